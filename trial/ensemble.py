"""`python -m trial.ensemble NAME`: whether networks rank better together; chosen by search days, judged by others.

Two kinds: the greedy selection of Caruana et al. 2004 over the best trials of the search, and the seeds of the winner.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from rich.console import Console

from data.errors import DataError
from data.findings import counted
from reports.console import open_console, refused, start
from reports.daily import primary_horizon
from reports.evidence import Evidence, StudyEvidence, read_evidence
from reports.inference.effect import Effect, effect_of_days
from reports.inference.verdict import Verdict, Word, verdicts
from reports.monitoring.band import Expected
from reports.section import in_days, signed
from search_spaces.config import validated
from storage.database import open_existing
from storage.errors import StorageError
from trial.market import market_of
from trial.options import Runs, Storage, SweepName, folder_of, url_of
from trial.production.ensembles import Judged, judge_greedy, judge_seeds
from trial.production.findings import FINDINGS, EnsembleFindings, Taken
from trial.production.pool import Pool, has_files, pool_of

GREEDY, SEEDS = "greedy", "seeds"
WORDS = {Word.HELPS: "better", Word.HURTS: "worse", Word.NO_DIFFERENCE: "no different", Word.UNDECIDED: "undecided"}
app = typer.Typer(add_completion=False, rich_markup_mode="rich", pretty_exceptions_enable=False)


@app.command()
def ensemble(
    name: SweepName,
    top: Annotated[int, typer.Option(min=2, max=200, help="Best trials of the search to choose among.")] = 20,
    size: Annotated[int, typer.Option(min=2, max=100, help="Most steps of the greedy selection.")] = 20,
    data: Annotated[
        Path | None,
        typer.Option(help="The panel, where the prepared market is gone. (default: where it was)", show_default=False),
    ] = None,
    runs: Runs = None,
    storage: Storage = None,
) -> None:
    """Choose a greedy ensemble by the search fold, and judge it, and the winner's seeds together, by the confirm folds.

    The greedy one is held against the best trial alone, both as the search trained them; the seeds together against
    their mean alone. One family of two; the error is that of the days. `trial.export --ensemble greedy` takes it.
    """
    console = open_console()
    try:
        opened = open_existing(url_of(storage, runs))
        evidence = read_evidence(opened, name)
        pool = _pool(evidence, top)
        chosen = pool.select(size)
        configs = {place: validated(pool.records[place].config) for place in (0, *chosen)}
        best, study = pool.records[0], _search(evidence).name
        market = market_of(opened, study, best, configs[0], folder_of(runs), data, console)
        found = {GREEDY: judge_greedy(market, pool, chosen, configs)}
        if (seeds := judge_seeds(evidence)) is not None:
            found[SEEDS] = seeds
        horizon = _horizon(evidence)
        effects = {kind: effect_of_days(judged.ensemble_T - judged.alone_T, horizon) for kind, judged in found.items()}
        said = verdicts(effects)
        findings = _findings(study, pool, chosen, found[GREEDY], said[GREEDY], horizon)
        findings.save(folder_of(runs) / name / FINDINGS)
    except (DataError, StorageError) as error:
        raise refused(error) from None
    _say(name, pool, chosen, found, said, horizon, console)


def _horizon(evidence: Evidence) -> int:
    return primary_horizon(_search(evidence).attributes["horizons"])


def _search(evidence: Evidence) -> StudyEvidence:
    study = evidence.search
    if study is None or not study.attributes.get("horizons"):
        raise StorageError(f"an ensemble is chosen among search trials, but {evidence.name} has none. Run the search.")
    return study


def _pool(evidence: Evidence, top: int) -> Pool:
    """The best COMPLETE trials of the search that left their networks."""
    horizon = _horizon(evidence)
    search = _search(evidence)
    done = [record for record in search.compared if record.state == "COMPLETE" and record.value is not None]
    left = sorted((record for record in done if has_files(record)), key=lambda record: -(record.value or 0.0))
    if len(left) < 2:
        raise StorageError(
            f"an ensemble is chosen among 2 trials or more that left their networks, but {search.name} has "
            f"{counted(len(left), 'such trial')} of {len(done)} COMPLETE ones. Run a longer search."
        )
    return pool_of(left[:top], horizon)


def _findings(
    study: str, pool: Pool, chosen: list[int], judged: Judged, verdict: Verdict, horizon: int
) -> EnsembleFindings:
    level = effect_of_days(judged.ensemble_T, horizon)
    members = tuple(
        Taken(pool.records[place].number, chosen.count(place), pool.records[place].value)
        for place in sorted(set(chosen))
    )
    source = f"{counted(level.num_days, 'day')} of the confirm folds, as trained for the search fold"
    variance = level.days_part * level.num_days
    expected = Expected(horizon, level.mean, level.standard_error, variance, source)
    return EnsembleFindings(study, members, _sentence(judged, verdict), expected)


def _sentence(judged: Judged, verdict: Verdict) -> str:
    return f"it is {WORDS[verdict.word]}: {_shown(verdict.effect, verdict)} against {judged.about}"


def _shown(found: Effect, verdict: Verdict) -> str:
    return f"{signed(found.mean)} ({signed(verdict.low)} .. {signed(verdict.high)})"


def _say(
    name: str,
    pool: Pool,
    chosen: list[int],
    found: dict[str, Judged],
    said: dict[str, Verdict],
    horizon: int,
    console: Console,
) -> None:
    taken = ", ".join(
        f"{pool.records[place].number}" + (f" x {chosen.count(place)}" if chosen.count(place) > 1 else "")
        for place in sorted(set(chosen))
    )
    searched = float(np.nanmean(pool.daily(pool.score_MDN[chosen].mean(axis=0))))
    best = float(np.nanmean(pool.daily(pool.score_MDN[0])))
    console.print(f"chosen     of {counted(len(pool.records), 'trial')}: {taken}", soft_wrap=True)
    single = f"{signed(best)} trial {pool.records[0].number} alone, the search's best"
    told = f"{signed(searched)} together, {single}, at {in_days(horizon)}"
    console.print(f"search     {told}: by these it was chosen")
    if len(set(chosen)) == 1:
        console.print("           no other trial adds to it on the search fold, so the greedy ensemble is one network")
    for kind, judged in found.items():
        mean, alone = float(judged.ensemble_T.mean()), float(judged.alone_T.mean())
        days = counted(len(judged.ensemble_T), "confirm day")
        told = f"{signed(mean)} against {signed(alone)}, {days}; {_sentence(judged, said[kind])}"
        console.print(f"{kind:<10} {told}", soft_wrap=True)
    if SEEDS not in found:
        console.print("seeds      not judged: the winner was not confirmed with two seeds or more")
    best_kind = max(said, key=lambda kind: (said[kind].word is Word.HELPS, kind == SEEDS))
    option = "greedy" if best_kind == GREEDY else "5"
    if said[best_kind].word is Word.HELPS:
        console.print(f"next       python -m trial.export {name} --ensemble {option}")
    else:
        console.print(f"next       python -m trial.export {name}: neither is surely better than a network alone")


if __name__ == "__main__":
    start(app)
