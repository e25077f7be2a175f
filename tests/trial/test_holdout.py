"""`trial.holdout`: written down before it is read, read once, for the winner alone, and never part of a search."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import sqlalchemy as sa
import typer
from rich.console import Console
from typer.testing import CliRunner, Result

import trial.export
import trial.holdout
from data.store import MarketStore
from reports.deployment import Deployment, decide
from reports.evidence import read_evidence
from search_spaces.config import TrialConfig
from storage.database import open_storage
from storage.errors import StorageError
from storage.ledger import Tried, read_holdout_reads, tried_on_market_of
from storage.record import load_study, read_records
from storage.references import read_references
from storage.tables import holdout_reads, ledger
from tests.trial.training import SWEEP
from trial.holdout_once import HoldoutRead, note_read, unless_read
from trial.production.bundle import read_bundle
from trial.request import SweepRequest
from trial.run import run_sweep

STUDIES = (SWEEP, f"{SWEEP}.confirm")


def command(runs: Path, *words: object, status: int = 0) -> Result:
    done = CliRunner(env={"COLUMNS": "200"}).invoke(trial.holdout.app, [SWEEP, "--runs", str(runs), *map(str, words)])
    assert done.exit_code == status, done.output
    return done


def known(runs: Path) -> Tried:
    found = tried_on_market_of(open_storage(f"sqlite:///{runs}/sweeps.db").engine, STUDIES)
    assert found is not None
    return found


def test_it_is_read_once_for_the_winner_and_counted_for_ever(
    swept: SweepRequest, sweep_panel: Path, ray_head: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs, storage = swept.runs, open_storage(swept.storage_url)
    before = known(runs)

    refused = command(runs, status=2).stderr
    assert "a hold-out is read where it can decide" in refused
    assert "2 seeds, and 5 are needed" in refused
    command(runs, "--data", runs / "nowhere.parquet", status=2)
    assert known(runs) == before

    def crash(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as broken:
        broken.setattr(trial.holdout, "whole_market", crash)
        command(runs, "--burn-holdout", status=130)
    assert known(runs) == before._replace(holdout_reads=1), "a crash counts"

    place = ("--cpus-per-trial", 0.5, "--gpus-per-trial", 0, "--memory-per-trial", 700, "--concurrent", 2)
    option = ("--data", sweep_panel, "--storage", swept.storage_url, "--address", ray_head, *place)
    told = command(runs, *option).stdout
    assert "goes on with the read that was written down before" in told
    assert "deploy: undecided, because it was confirmed with 2 seeds" in told
    assert known(runs) == before._replace(holdout_reads=1), (
        "the hold-out's trials are no configurations that were tried"
    )
    assert "2 of 2 trials finished already" in command(runs).stdout

    records = read_records(storage, f"{SWEEP}.holdout")
    assert [(record.state, record.seed) for record in records] == [("COMPLETE", 0), ("COMPLETE", 1)]
    own = MarketStore.open(runs / "prepared" / str(records[0].attributes["store_key"]))
    search = read_records(storage, SWEEP)[0]
    sweeps = MarketStore.open(runs / "prepared" / str(search.attributes["store_key"]))
    first = sweeps.meta.holdout_from
    assert first is not None
    assert [*own.meta.dates[: sweeps.num_days]] == [*sweeps.meta.dates]
    days = [day for day in own.meta.dates if day >= first]
    assert [*records[0].curve[-1]["daily_rank_ic"]] == days[: len(days) - 5 - 1], "all whose labels are known"
    assert {one.name for one in read_references(storage, f"{SWEEP}.holdout")} >= {"ridge", "last_value", "random"}

    evidence = read_evidence(storage, SWEEP)
    winner = decide(evidence).winner
    assert winner is not None
    assert winner.holdout is not None
    assert (winner.holdout.level.num_seeds, winner.holdout.level.num_days) == (2, len(days) - 6)
    report = (runs / SWEEP / "report.html").read_text()
    assert "which was read for the winner alone" in report

    options = typer.main.get_command(trial.holdout.app).params
    named = {name for each in options for name in each.opts if name.startswith("--")}
    assert named == {"--runs", "--burn-holdout", *(word for word in option if str(word).startswith("--"))}


def test_the_winner_is_exported_with_its_figures_and_as_many_seeds_as_asked(
    swept: SweepRequest, tmp_path: Path
) -> None:
    def export(*words: object) -> Result:
        return CliRunner().invoke(trial.export.app, [SWEEP, "--runs", str(swept.runs), *map(str, words)])

    done = export("--ensemble", 2, "--out", tmp_path / "two")
    assert done.exit_code == 0, done.output
    found = read_bundle(tmp_path / "two")
    assert [member.config.seed for member in found.networks.members] == [0, 1]
    assert {member.config.fold for member in found.networks.members} == {"confirm-2"}
    card = (tmp_path / "two" / "model_card.md").read_text()
    assert "**undecided**, because it was confirmed with 2 seeds" in card
    assert "| hold-out: " in card
    metrics = json.loads((tmp_path / "two" / "metrics.json").read_text())
    winner = metrics["sweep"]["deployment"]["winner"]
    assert winner["holdout"]["low"] < winner["holdout"]["mean"] < winner["holdout"]["high"]
    assert "the winner was confirmed with 2 seeds. Ask for fewer" in export("--ensemble", 3).stderr


def test_a_sweep_goes_on_under_its_name_after_the_read(swept: SweepRequest) -> None:
    assert run_sweep(swept).study == SWEEP


def test_a_read_for_another_winner_counts_too(
    swept: SweepRequest, small_store: MarketStore, config: TrialConfig
) -> None:
    storage = open_storage(swept.storage_url)
    read = HoldoutRead("other", "winner", "abc", config, 5, swept.runs, small_store, "2021-01-04 .. 2021-06-30", 77)
    awaiting = Deployment("undecided", "the hold-out has not been read for it", awaits_holdout=True)
    assert not unless_read(storage, read, awaiting, burn=False).is_begun
    note_read(storage, replace(read, confirmed="def"), Console(quiet=True))
    with pytest.raises(StorageError, match=r"was read 1 time, last by .*configuration def"):
        unless_read(storage, read, awaiting, burn=False)
    assert not unless_read(storage, read, awaiting, burn=True).is_begun
    begun = replace(read, confirmed="def")
    assert unless_read(storage, begun, awaiting, burn=False).is_begun
    for other in (replace(begun, days="2021-01-04 .. 2021-07-30"), replace(begun, num_seeds=10)):
        with pytest.raises(StorageError, match="was read 1 time"):
            unless_read(storage, other, awaiting, burn=False)
    note_read(storage, unless_read(storage, read, awaiting, burn=True), Console(quiet=True))
    assert len(read_holdout_reads(storage.engine, 77)) == 2
    with pytest.raises(StorageError, match="somebody else has begun"):
        note_read(storage, replace(read, earlier=1), Console(quiet=True))


def test_days_that_another_sweep_scored_are_no_hold_out(
    swept: SweepRequest, small_store: MarketStore, config: TrialConfig, tmp_path: Path
) -> None:
    """A sweep whose splits hold out less chooses by what another one holds out."""
    with open_storage(swept.storage_url).engine.connect() as connection:
        connection.exec_driver_sql(f"VACUUM INTO '{tmp_path}/copy.db'")
    storage = open_storage(f"sqlite:///{tmp_path}/copy.db")
    with storage.engine.begin() as connection:
        connection.execute(holdout_reads.delete())
        (number,) = connection.execute(sa.select(ledger.c.market).distinct()).scalars()
    last = max(days[-1] for days in load_study(storage, f"{SWEEP}.confirm").user_attrs["folds_by_date"].values())
    awaiting = Deployment("undecided", "the hold-out has not been read for it", awaits_holdout=True)

    def read(first: str) -> HoldoutRead:
        market = replace(small_store, meta=replace(small_store.meta, holdout_from=first))
        return HoldoutRead("x", "winner", "abc", config, 5, swept.runs, market, f"{first} .. 2050-01-01", number)

    with pytest.raises(StorageError, match=f"scored days through {last} of this market"):
        unless_read(storage, read(last), awaiting, burn=False)
    assert not unless_read(storage, read(last), awaiting, burn=True).is_begun
    assert not unless_read(storage, read("2049-01-01"), awaiting, burn=False).is_begun
    assert not unless_read(storage, replace(read(last), number=78), awaiting, burn=False).is_begun, "another market"


def test_without_a_sweep_or_a_winner_it_is_refused(swept: SweepRequest, tmp_path: Path, sweep_panel: Path) -> None:
    command(tmp_path, status=2)
    run_sweep(replace(swept, runs=tmp_path, stages=("search",)))
    assert "a hold-out is read for a confirmed winner, but the confirm stage was not run" in command(
        tmp_path, status=2
    ).stderr.replace("\n", " ")
