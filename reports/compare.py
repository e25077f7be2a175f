"""`python -m reports.compare A B`: two sweeps of one store side by side, and their winners day by day."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from rich.console import Console
from rich.table import Table

from reports.as_json import STANDARD_OUTPUT, as_json, effect_as_json, write_json
from reports.console import open_console, refused, start
from reports.daily import by_seed
from reports.deployment import Winner, decide, find_winner
from reports.evidence import Evidence, StudyEvidence, read_evidence
from reports.inference.effect import MIN_SEEDS, Effect, effect
from reports.judged import judge
from reports.options import Json, Runs, Storage, SweepName
from reports.section import in_days, signed, with_interval
from storage.address import store_of
from storage.database import open_existing
from storage.definition import DEFINITION, EPOCHS, differences
from storage.errors import StorageError

SHOWN_DIFFERENCES = 20
STAGES = ("search", "tune", "confirm", "holdout")
ENDED = ("COMPLETE", "PRUNED", "FAIL")
app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@dataclass(frozen=True)
class Comparison:
    """What the two have in common, and what not."""

    one: Evidence
    other: Evidence
    stage: str | None  # confirm or search: whose definitions were compared; None where they have no stage in common
    differences: list[str]  # 'setting: value of one -> value of the other'
    winners: Effect | str  # daily skill of one's winner minus the other's; or in words why it is not known


def compare(one: Evidence, other: Evidence) -> Comparison:
    """Definitions of the confirm stage, or else of the search, and the winners on common seeds and days."""
    for stage in ("confirm", "search"):
        first, second = getattr(one, stage), getattr(other, stage)
        if first is not None and second is not None:
            return Comparison(one, other, stage, _differences(first, second), _winners(one, other))
    return Comparison(one, other, None, [], _winners(one, other))


def comparison_as_json(found: Comparison) -> dict[str, Any]:
    """As plain values.

    Returns:
        a, b: each as `as_json` has it.
        compared_stage: confirm, search, or None where the two have no stage in common.
        differences: of the two definitions of that stage, 'setting: value in A -> value in B'.
        winner_a_minus_b: an effect as `as_json` has it; None where the winners cannot be compared.
        why_not_comparable: in words; None where they can.
    """
    winners = found.winners
    return {
        "a": as_json(found.one),
        "b": as_json(found.other),
        "compared_stage": found.stage,
        "differences": found.differences,
        "winner_a_minus_b": effect_as_json(winners) if isinstance(winners, Effect) else None,
        "why_not_comparable": winners if isinstance(winners, str) else None,
    }


@app.command("compare")
def compare_command(
    a: SweepName,
    b: Annotated[str, typer.Argument(help="Another one of the same store.")],
    runs: Runs = Path("runs"),
    storage: Storage = None,
    json: Json = None,
) -> None:
    """Show two sweeps side by side: definitions, counts, bests, verdicts, and their winners on the same days."""
    try:
        opened = open_existing(store_of(storage, runs))
        found = compare(read_evidence(opened, a), read_evidence(opened, b))
    except StorageError as error:
        raise refused(error) from None
    if json is None:
        _show(found, open_console())
        return
    write_json(comparison_as_json(found), json)
    if json != STANDARD_OUTPUT:
        typer.echo(json)


def _differences(one: StudyEvidence, other: StudyEvidence) -> list[str]:
    """Epochs too, of which `differences` says nothing where they grew."""
    known, wanted = (study.attributes.get(DEFINITION, {}) for study in (one, other))
    lines = differences(known, wanted)
    epochs = f"{EPOCHS}: {known.get(EPOCHS)} -> {wanted.get(EPOCHS)}"
    return [*lines, *([epochs] if known.get(EPOCHS) != wanted.get(EPOCHS) and epochs not in lines else [])]


def _winners(one: Evidence, other: Evidence) -> Effect | str:
    found = [find_winner(each) for each in (one, other)]
    first, second = found
    if not isinstance(first, Winner) or not isinstance(second, Winner):
        missing = {each.name: why for each, why in zip((one, other), found, strict=True) if isinstance(why, str)}
        return "; ".join(f"{name} has no winner to compare: {why}" for name, why in missing.items())
    if why := _of_other_days(one, other):
        return why
    if first.horizon != second.horizon:
        return f"the winners are scored at other horizons: {first.horizon} and {second.horizon} days"
    return _paired(_seeds(one, first), _seeds(other, second), first.horizon)


def _of_other_days(one: Evidence, other: Evidence) -> str | None:
    """Why days of one do not stand for days of the other; None where they do."""
    assert one.confirm is not None
    assert other.confirm is not None
    known, wanted = (study.attributes.get(DEFINITION, {}) for study in (one.confirm, other.confirm))
    if known.get("cells") != wanted.get("cells"):
        return "their confirm studies are about other data"
    if known.get("folds") != wanted.get("folds"):
        return "their confirm studies are cut into other folds"
    return None


def _seeds(evidence: Evidence, winner: Winner) -> Mapping[int, Mapping[str, float]]:
    """Daily skill by seed."""
    assert evidence.confirm is not None, "it has a winner"
    return by_seed(evidence.confirm.compared, winner.arm, winner.horizon)


def _paired(
    one: Mapping[int, Mapping[str, float]], other: Mapping[int, Mapping[str, float]], horizon: int
) -> Effect | str:
    seeds = sorted(one.keys() & other.keys())
    days = sorted(set.intersection(*(set(side[seed]) for side in (one, other) for seed in seeds))) if seeds else []
    if len(seeds) < 2 or len(days) < 2:
        return f"the winners have {len(seeds)} seeds and {len(days)} days in common, and 2 of each are needed"
    d_ST = np.array([[one[seed][day] - other[seed][day] for day in days] for seed in seeds])
    return effect(d_ST, horizon)


def _show(found: Comparison, console: Console) -> None:
    for part in (_sides(found.one, found.other), _arms(found.one, found.other), _winners_in_words(found)):
        console.print(part, end="\n\n")
    console.print(_heading(found))
    for line in found.differences[:SHOWN_DIFFERENCES]:
        console.print(f"  {line}")
    if len(found.differences) > SHOWN_DIFFERENCES:
        console.print(f"  and {len(found.differences) - SHOWN_DIFFERENCES} more, which --json has")


def _sides(one: Evidence, other: Evidence) -> Table:
    """Counts, bests, and whether to deploy."""
    table = _table("", one, other)
    for stage in STAGES:
        told = [_counts(getattr(each, stage)) for each in (one, other)]
        table.add_row(f"trials of {stage}", *told)
    table.add_row("best of the search", *map(_best, (one, other)))
    table.add_row("its winner on confirm folds, 95 %", *map(_winner, (one, other)))
    table.add_row("deploy", *(decide(each).decision for each in (one, other)))
    return table


def _counts(study: StudyEvidence | None) -> str:
    if study is None:
        return "not run"
    finished = {state: number for state in ENDED if (number := study.count(state))}
    told = [f"{number} {state}" for state, number in finished.items()]
    unfinished = len(study.records) - sum(finished.values())
    return ", ".join([*told, *([f"{unfinished} unfinished"] if unfinished else [])]) or "none yet"


def _best(evidence: Evidence) -> str:
    best = evidence.search.best if evidence.search is not None else None
    return "none" if best is None else f"{signed(best.value)}, trial {best.number}"


def _winner(evidence: Evidence) -> str:
    winner = find_winner(evidence)
    if isinstance(winner, str):
        return f"none: {winner}"
    return f"{_in_words(winner.confirm.level)}, RankIC at {in_days(winner.horizon)}"


def _in_words(found: Effect) -> str:
    return f"{with_interval(found)}, {found.num_seeds} seeds, {found.num_days} days"


def _arms(one: Evidence, other: Evidence) -> Table:
    """What is said of each arm that one of them has."""
    table = _table("arm against the reference", one, other)
    words = [_words(each) for each in (one, other)]
    for arm in dict.fromkeys([*words[0], *words[1]]):
        table.add_row(arm, *(own.get(arm, "–") for own in words))
    return table


def _words(evidence: Evidence) -> dict[str, str]:
    """Arm -> its verdict, or what is said of it without one."""
    judged = judge(evidence.confirm)
    if isinstance(judged, str):
        return {}
    return judged.words | {
        arm: f"{each.in_words} ({each.kind}, no verdict)" for arm, each in judged.exploratory.items()
    }


def _winners_in_words(found: Comparison) -> str:
    if isinstance(found.winners, str):
        return f"The winners cannot be compared: {found.winners}."
    few = f"; fewer than {MIN_SEEDS} seeds, so an indication at most" if found.winners.num_seeds < MIN_SEEDS else ""
    names = f"winner of {found.one.name} minus winner of {found.other.name}"
    return f"{names}, on the same days with the same seeds, 95 %: {_in_words(found.winners)}{few}"


def _heading(found: Comparison) -> str:
    """Of the list of differences."""
    if found.stage is None:
        return "Their definitions are not compared: they have no stage in common."
    if not found.differences:
        return f"Their {found.stage} studies have one definition."
    number = len(found.differences)
    what = "1 setting differs" if number == 1 else f"{number} settings differ"
    return f"{what} between their {found.stage} studies, {found.one.name} -> {found.other.name}:"


def _table(heading: str, one: Evidence, other: Evidence) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0))
    for name in (heading, one.name, other.name):
        table.add_column(name, overflow="fold")
    return table


if __name__ == "__main__":
    start(app)
