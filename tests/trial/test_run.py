"""Whole sweeps on a real Ray head: states, steps, files, faults, and what a second start finds."""

from __future__ import annotations

import io
from dataclasses import replace
from io import StringIO
from pathlib import Path

import pandas as pd
import pytest
import sqlalchemy as sa
from rich.console import Console
from typer.testing import CliRunner

import storage.database
import storage.lease
from search_spaces import SPACES
from search_spaces.config import validated
from storage.database import open_storage
from storage.errors import LeaseLostError, StorageError, StoreAwayError
from storage.lease import Lease
from storage.record import read_events
from storage.study import StudyStore
from storage.tables import attempts, leases
from tests.trial.faulty import (
    CRASHING_TRIAL,
    KILLED_TRIAL,
    NAN_TRIAL,
    FaultyTrial,
    GrownTrial,
    HungTrial,
    PreemptedTrial,
    TellingTrial,
)
from tests.trial.study_checks import check_truth, open_study
from tests.trial.webhook import Server
from trial.failures import PAUSES
from trial.request import SweepRequest
from trial.resources import Resources
from trial.run import SweepOutcome, run_sweep
from trial.sweep import app

pytestmark = pytest.mark.usefixtures("ray_head")
REQUEST = SweepRequest(space="gat_ablation", trials=5, epochs=2, seeds=1, draws=0)


@pytest.fixture(scope="module")
def finished(ray_head: str, sweep_panel: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, SweepOutcome]:
    """Both stages, run once for all tests that only look."""
    runs = tmp_path_factory.mktemp("runs")
    return runs, run_sweep(replace(REQUEST, runs=runs, panel=sweep_panel))


def test_a_sweep_reaches_its_targets_and_tells_the_truth(finished: tuple[Path, SweepOutcome]) -> None:
    runs, outcome = finished
    states = check_truth(runs, "gat_ablation", finished=5)
    assert states["COMPLETE"] >= 1
    assert outcome.counts["gat_ablation"]["COMPLETE"] == states["COMPLETE"]
    assert outcome.stopped is None


def test_trials_whose_blocks_workers_make_have_the_same_values(
    finished: tuple[Path, SweepOutcome], sweep_panel: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ATFT_LOADER_WORKERS", "1")
    request = replace(REQUEST, runs=tmp_path, panel=sweep_panel, stages=("search",), trials=1)
    run_sweep(request, worker=TellingTrial)
    assert (tmp_path / "gat_ablation" / "0" / "blocks").read_text() == "WorkerBlocks"
    _, (helped,) = open_study(tmp_path, "gat_ablation")
    _, alone = open_study(finished[0], "gat_ablation")
    assert helped.state == "COMPLETE"
    assert [epoch["value"] for epoch in helped.curve] == [epoch["value"] for epoch in alone[0].curve][
        : len(helped.curve)
    ]


@pytest.mark.long
def test_an_interrupted_trial_goes_on_in_the_same_run_and_a_killed_workers_fails(
    finished: tuple[Path, SweepOutcome], sweep_panel: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(PAUSES, "crash", (0.5, 0.5))
    request = replace(REQUEST, runs=tmp_path, panel=sweep_panel, stages=("search",), trials=2)
    outcome = run_sweep(request, worker=PreemptedTrial)
    assert check_truth(tmp_path, "gat_ablation", finished=2)["FAIL"] == 1
    assert outcome.counts["gat_ablation"]["WAITING"] == 0
    _, records = open_study(tmp_path, "gat_ablation")
    assert records[0].attributes["attempts"] == 3
    told = [event for event in read_events(open_storage(outcome.storage_url), "gat_ablation") if event.number == 0]
    assert [event.kind for event in told] == ["taken_away", "unwritten"]
    assert "tried again in" in told[0].message
    assert "predictions could not be written" in told[1].message
    assert "taken_away" in outcome.report.read_text()
    log = (tmp_path / "gat_ablation/0/0/log.jsonl").read_text()
    assert "interrupted by SIGTERM: step 2 is in the checkpoint" in log
    assert not (tmp_path / "gat_ablation/0/1/taken-away").exists()
    killed = records[KILLED_TRIAL]
    assert (killed.state, killed.reason, killed.attributes["retries"]) == ("FAIL", "crash", {"crash": 2})
    assert "died" in killed.attributes["sentence"]
    assert "(tried 3 times without a new epoch)" in killed.attributes["sentence"]
    _, undisturbed = open_study(finished[0], "gat_ablation")
    assert [e["value"] for e in records[0].curve] == [e["value"] for e in undisturbed[0].curve][: len(records[0].curve)]


def test_a_store_that_stays_away_ends_the_sweep_in_words_and_the_next_start_replays(
    ray_head: str, sweep_panel: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> bool:
        raise sa.exc.OperationalError("INSERT", {}, Exception("database or disk is full"))

    request = replace(REQUEST, runs=tmp_path, panel=sweep_panel, stages=("search",), trials=2, epochs=1)
    monkeypatch.setenv("ATFT_STORE_PATIENCE_SECONDS", "0")
    with monkeypatch.context() as patch:
        patch.setattr(storage.database, "BACK_OFF_SECONDS", ())
        patch.setattr(StudyStore, "_insert_epoch", full)
        with pytest.raises(StoreAwayError, match=r"database or disk is full.*writes wait in .*spool-.*jsonl"):
            run_sweep(request)
    _, before = open_study(tmp_path, "gat_ablation")
    assert {(record.state, len(record.curve)) for record in before} == {("RUNNING", 0)}
    run_sweep(request)
    check_truth(tmp_path, "gat_ablation", finished=2)
    _, after = open_study(tmp_path, "gat_ablation")
    assert [record.attributes["attempts"] for record in after] == [1, 1], "nothing was trained twice"
    assert not list((tmp_path / "gat_ablation").glob("spool*"))


def test_days_appended_behind_a_pinned_hold_out_go_on_with_the_study(sweep_panel: Path, tmp_path: Path) -> None:
    frame = pd.read_parquet(sweep_panel)
    days = sorted(frame["date"].unique())
    settings = tmp_path / "data.yaml"
    settings.write_text(f"splits: {{holdout_from: {pd.Timestamp(days[-60]).date()}}}")
    panel, runs = tmp_path / "panel.parquet", tmp_path / "runs"
    request = replace(REQUEST, runs=runs, panel=panel, data_config=settings, stages=("search",), trials=1, epochs=1)
    for last in (-6, -1):
        frame[frame["date"] <= days[last]].to_parquet(panel)
        outcome = run_sweep(request)
        assert outcome.study == "gat_ablation"
        assert outcome.counts["gat_ablation"]["COMPLETE"] == 1
    assert len(list((runs / "prepared").glob("*/meta.json"))) == 2


def test_confirm_runs_every_arm_on_the_same_seeds_and_folds(finished: tuple[Path, SweepOutcome]) -> None:
    runs, _ = finished
    study, records = open_study(runs, "gat_ablation.confirm")
    arms = {"reference", *SPACES["gat_ablation"].arms, study.user_attrs["winner"]["arm"]}
    check_truth(runs, "gat_ablation.confirm", finished=2 * len(arms))
    cells = {(t.params["arm"], t.params["seed"], t.params["fold"]) for t in study.trials}
    assert cells == {(arm, 0, fold) for arm in arms for fold in ("confirm-1", "confirm-2")}
    assert {r.reason for r in records} == {"complete"}


SMALL_SPACE = """
from dataclasses import replace
from search_spaces.gat_ablation import SPACE as GAT_ABLATION
from search_spaces.space import Arm

SPACE = replace(
    GAT_ABLATION,
    name="small",
    arms={
        "no_small_init": Arm("off", {"model.head.small_init": False}),
        "shuffled": Arm("placebo", {"data.graph.shuffled": True}, is_placebo=True),
    },
)
"""


def test_reference_and_arms_are_tuned_alike_before_they_are_confirmed(sweep_panel: Path, tmp_path: Path) -> None:
    (tmp_path / "small.py").write_text(SMALL_SPACE)
    runs, space = tmp_path / "runs", str(tmp_path / "small.py")
    request = replace(REQUEST, space=space, stages=("confirm",), draws=2, epochs=1, runs=runs, panel=sweep_panel)
    said = io.StringIO()
    stopped = run_sweep(replace(request, time_budget_seconds=0.5), Console(file=said, width=300))
    assert stopped.stopped is not None
    assert "confirm: there was no search" in said.getvalue()
    assert list(stopped.counts) == ["small.tune"]
    assert list(run_sweep(request).counts) == ["small.tune", "small.confirm"]
    check_truth(runs, "small.tune", finished=8)
    study, records = open_study(runs, "small.tune")
    cells = [(t.params["arm"], t.params["draw"], t.params["seed"]) for t in study.trials]
    assert set(cells) == {
        (arm, draw, seed) for arm in ("reference", "no_small_init") for draw in (0, 1) for seed in (0, 1)
    }
    assert {record.fold for record in records} == {"search"}
    best = {}
    for arm in ("reference", "no_small_init"):
        values = [[r.value or 0 for r in records if r.arm == arm and r.params["draw"] == draw] for draw in (0, 1)]
        best[arm] = max((0, 1), key=lambda draw: sum(values[draw]))
    confirm, confirmed = open_study(runs, "small.confirm")
    kinds = confirm.user_attrs["arm_kinds"]
    assert {"reference": "reference", "no_small_init": "retuned", "shuffled": "placebo"}.items() <= kinds.items()
    assert ("no_small_init.fixed" in kinds) == (best["reference"] != best["no_small_init"])
    for record in confirmed:
        arm = str(record.arm)
        draw = best[arm] if arm in best else best["reference"]
        assert record.config["train"]["learning_rate"] == study.user_attrs["points"][draw]["learning_rate"]


def test_the_exported_config_is_the_best_complete_trials(finished: tuple[Path, SweepOutcome]) -> None:
    runs, outcome = finished
    _, records = open_study(runs, "gat_ablation")
    best = max((r for r in records if r.state == "COMPLETE"), key=lambda r: r.value or 0)
    assert outcome.best is not None
    assert outcome.best.number == best.number
    assert outcome.best_config == validated(best.config)


def test_a_notebook_gets_the_records_as_a_frame(finished: tuple[Path, SweepOutcome]) -> None:
    from trial import SweepOutcome as Exported

    _, outcome = finished
    frame = outcome.records
    assert isinstance(outcome, Exported)
    assert frame.groupby("study").size().to_dict() == {
        study: sum(counts.values()) for study, counts in outcome.counts.items()
    }
    assert outcome.best is not None
    best = frame[(frame["study"] == outcome.study) & (frame["number"] == outcome.best.number)]
    assert best["value"].item() == outcome.best.value
    assert "params_learning_rate" in frame
    assert {name: len(study.trials) for name, study in outcome.studies.items()} == {
        study: sum(counts.values()) for study, counts in outcome.counts.items()
    }


def test_a_request_and_options_at_once_are_refused() -> None:
    with pytest.raises(TypeError, match=r"got both: \['trials'\]"):
        run_sweep(REQUEST, trials=3)


def test_predictions_cover_the_folds_days_and_carry_labels(finished: tuple[Path, SweepOutcome]) -> None:
    runs, _ = finished
    study, records = open_study(runs, "gat_ablation.confirm")
    scored = study.user_attrs["folds_by_date"]["confirm-2"]
    record = next(r for r in records if r.fold == "confirm-2")
    frame = pd.read_parquet(record.attributes["predictions"])
    assert str(frame["date"].min()) == scored[2]
    assert str(frame["date"].max()) == scored[3]
    assert frame["score_5d"].notna().all()
    assert frame["return_5d"].notna().mean() > 0.9
    assert not frame.duplicated(["date", "code"]).any()


def test_each_trial_says_where_it_ran_and_what_it_cost(finished: tuple[Path, SweepOutcome]) -> None:
    runs, _ = finished
    for record in open_study(runs, "gat_ablation")[1]:
        told = {"node", "device", "wall_seconds", "peak_memory_mib", "oom_events", "config_hash", "code", "best_epoch"}
        assert told <= set(record.attributes)
        assert record.attributes["config_hash"] == validated(record.config).hash


def test_the_report_is_there_and_everything_lies_under_runs(finished: tuple[Path, SweepOutcome]) -> None:
    runs, outcome = finished
    assert outcome.report == runs / "gat_ablation" / "report.html"
    assert "no_gat" in outcome.report.read_text()
    names = {path.name for path in runs.iterdir() if not path.name.endswith(("-wal", "-shm"))}
    assert names == {"sweeps.db", "gat_ablation", "gat_ablation.confirm", "prepared"}


def test_the_same_command_again_finds_nothing_to_do(finished: tuple[Path, SweepOutcome], sweep_panel: Path) -> None:
    runs, first = finished
    again = run_sweep(replace(REQUEST, runs=runs, panel=sweep_panel))
    assert again.counts == first.counts


def test_more_trials_continue_the_study(ray_head: str, sweep_panel: Path, tmp_path: Path) -> None:
    options = {"runs": str(tmp_path), "panel": str(sweep_panel), "stages": ("search",), "epochs": 1}
    run_sweep("gat_ablation", trials=1, **options)
    run_sweep("gat_ablation", trials=3, **options)
    check_truth(tmp_path, "gat_ablation", finished=3)
    study, _ = open_study(tmp_path, "gat_ablation")
    assert len({str(t.params) for t in study.trials}) == 3


def test_a_nan_block_is_pruned_a_crash_fails_and_the_sweep_goes_on(
    ray_head: str, sweep_panel: Path, tmp_path: Path, webhook: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ATFT_NOTIFY_URL", webhook.address)
    request = replace(REQUEST, runs=tmp_path, panel=sweep_panel, stages=("search",), trials=5, epochs=2)
    run_sweep(request, worker=FaultyTrial)
    states = check_truth(tmp_path, "gat_ablation", finished=5)
    assert states["FAIL"] == 1
    _, records = open_study(tmp_path, "gat_ablation")
    diverged, crashed = records[NAN_TRIAL], records[CRASHING_TRIAL]
    assert (diverged.state, diverged.reason, diverged.value) == ("PRUNED", "diverged", None)
    assert "non-finite" in diverged.attributes["sentence"]
    assert (crashed.state, crashed.reason, crashed.attributes["attempts"]) == ("FAIL", "error", 1)
    assert crashed.attributes["sentence"].startswith("RuntimeError: the injected block gave up")
    assert "diverged" in (tmp_path / "gat_ablation" / "report.html").read_text()
    failure, end = (told["text"] for told in webhook.heard)
    assert failure == "sweep gat_ablation: trial 2 failed: RuntimeError: the injected block gave up"
    assert end.startswith("sweep gat_ablation: done: gat_ablation ")
    assert "1 FAIL" in end


@pytest.mark.long
def test_the_same_seed_gives_the_same_study_and_its_best_start_another(
    ray_head: str, sweep_panel: Path, tmp_path: Path
) -> None:
    request = replace(
        REQUEST,
        runs=tmp_path,
        panel=sweep_panel,
        stages=("search",),
        trials=3,
        epochs=1,
        scheduler="none",
        sampler="random",
        deterministic=True,
        concurrent=2,
        resources=Resources(memory_mib="auto"),
    )
    for name in ("one", "two"):
        run_sweep(replace(request, name=name))
    (_, one), (_, two) = (open_study(tmp_path, name) for name in ("one", "two"))
    assert [(record.params, record.value) for record in one] == [(record.params, record.value) for record in two]
    run_sweep(replace(request, name="three", warm_start=("one",), trials=6, patience=1))
    _, three = open_study(tmp_path, "three")
    best = sorted(one, key=lambda record: -(record.value or 0))
    assert three[1].params in [record.params for record in best]
    assert len(three) < 6, "patience ended it"


def test_a_worker_that_hangs_is_replaced_and_its_trial_tried_again(
    ray_head: str, sweep_panel: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ATFT_HANG_SECONDS", "12")
    monkeypatch.setitem(PAUSES, "hung", (0.5,) * 5)  # a start beside other tests may take longer than that, too
    request = replace(REQUEST, runs=tmp_path, panel=sweep_panel, stages=("search",), trials=1, epochs=1)
    told = StringIO()
    outcome = run_sweep(request, Console(file=told, width=200), worker=HungTrial)
    assert "trial 0, epoch 0: hung: attempt 0: tried again in 0.5 s: " in told.getvalue()
    check_truth(tmp_path, "gat_ablation", finished=1)
    _, (record,) = open_study(tmp_path, "gat_ablation")
    assert (record.state, list(record.attributes["retries"])) == ("COMPLETE", ["hung"])
    events = read_events(open_storage(outcome.storage_url), "gat_ablation")
    assert {event.kind for event in events} == {"hung"}
    assert "no step and no result for" in events[0].message
    assert outcome.costs["gat_ablation"].attempts == 1 + len(events)


def test_a_worker_that_has_grown_is_replaced_and_no_trial_minds(
    ray_head: str, sweep_panel: Path, tmp_path: Path
) -> None:
    request = replace(REQUEST, runs=tmp_path, panel=sweep_panel, stages=("search",), trials=3, epochs=2, concurrent=1)
    outcome = run_sweep(replace(request, scheduler="none"), worker=GrownTrial)
    assert outcome.counts["gat_ablation"]["COMPLETE"] == 3
    storage = open_storage(outcome.storage_url)
    assert not read_events(storage, "gat_ablation")
    with storage.engine.connect() as connection:
        endings = connection.execute(sa.select(attempts.c.ending)).scalars().all()
    assert sorted(endings) == ["complete"] * 3 + ["recycled"] * 2


def test_several_objectives_and_a_constraint_are_told_and_kept(
    ray_head: str, sweep_panel: Path, tmp_path: Path
) -> None:
    request = replace(
        REQUEST,
        runs=tmp_path,
        panel=sweep_panel,
        stages=("search",),
        trials=2,
        epochs=1,
        objectives=("rank_ic", "seconds", "turnover", "memory"),
        constraints=("memory<=1",),
    )
    outcome = run_sweep(request)
    study, records = open_study(tmp_path, "gat_ablation")
    assert [direction.name for direction in study.directions] == ["MAXIMIZE", "MINIMIZE", "MINIMIZE", "MINIMIZE"]
    assert study.metric_names == ["rank_ic", "seconds", "turnover", "memory"]
    for trial, record in zip(study.trials, records, strict=True):
        assert trial.values is not None
        assert trial.values[0] == record.curve[-1]["value"]
        assert trial.values[3] == record.curve[-1]["peak_memory_mib"]
        assert trial.constraints["memory<=1"] == trial.values[3] - 1
    assert outcome.best is None, "no trial keeps within 1 MiB"
    assert list(outcome.least_violations) == ["memory<=1"]
    assert outcome.least_violations["memory<=1"] > 100


def test_a_second_driver_is_refused_while_the_first_one_lives(sweep_panel: Path, tmp_path: Path) -> None:
    lease = Lease(open_storage(f"sqlite:///{tmp_path}/sweeps.db").engine, "gat_ablation")
    with pytest.raises(StorageError, match="one driver at a time"):
        run_sweep(replace(REQUEST, runs=tmp_path, panel=sweep_panel))
    lease.release()


def test_a_driver_that_lost_its_lease_writes_no_trial_any_more(
    sweep_panel: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As after a pause of minutes, in which another host's driver took it for dead."""
    monkeypatch.setattr(storage.lease, "RENEW_SECONDS", 0.0)

    def take_over(study: StudyStore, *_: object) -> bool:
        with study.storage.engine.begin() as connection:
            connection.execute(leases.update().values(owner="theirs", host="node-7"))
        study.put_back(0)
        raise AssertionError("written without the lease")

    monkeypatch.setattr(StudyStore, "_insert_epoch", take_over)
    request = replace(REQUEST, runs=tmp_path, panel=sweep_panel, stages=("search",), trials=1, epochs=1)
    with pytest.raises(LeaseLostError, match="taken over by another driver; this one stops"):
        run_sweep(request)
    _, (record,) = open_study(tmp_path, "gat_ablation")
    assert record.state == "RUNNING", "it is the other driver's"


def test_fewer_epochs_or_another_seed_are_refused_as_a_difference(
    finished: tuple[Path, SweepOutcome], sweep_panel: Path
) -> None:
    runs, _ = finished
    with pytest.raises(StorageError, match=r"\n  seed: 0 -> 3\n  epochs: 2 -> 1\n.*--accept-changes"):
        run_sweep(replace(REQUEST, runs=runs, panel=sweep_panel, epochs=1, seed=3))


def test_a_dry_run_refuses_what_the_run_would(finished: tuple[Path, SweepOutcome], sweep_panel: Path) -> None:
    runs, _ = finished
    command = ["gat_ablation", "--data", str(sweep_panel), "--runs", str(runs), "--epochs", "2", "--dry-run"]
    refused = CliRunner().invoke(app, [*command, "--seed", "3"])
    assert refused.exit_code == 2
    assert "seed: 0 -> 3" in refused.stderr
    warm = CliRunner().invoke(app, [*command, "--warm-start", "nobody"])
    assert warm.exit_code == 2
    assert "gat_ablation.confirm; got 'nobody'" in warm.stderr


def test_another_market_in_the_same_store_gets_a_study_of_its_own(
    ray_head: str, sweep_panel: Path, tmp_path: Path
) -> None:
    request = replace(REQUEST, runs=tmp_path, panel=sweep_panel, stages=("search",), trials=1, epochs=1)
    run_sweep(request)
    other = tmp_path / "other.parquet"
    frame = pd.read_parquet(sweep_panel)
    frame.assign(volume=frame["volume"] ** 1.2).to_parquet(other)  # twice the volume would give the same features
    assert run_sweep(replace(request, panel=other)).study == "gat_ablation-other"
    assert run_sweep(replace(request, panel=other)).counts["gat_ablation-other"]["COMPLETE"] == 1
    check_truth(tmp_path, "gat_ablation", finished=1)


def test_a_time_budget_leaves_trials_waiting_and_the_next_start_finishes_them(
    ray_head: str, sweep_panel: Path, tmp_path: Path
) -> None:
    request = replace(REQUEST, runs=tmp_path, panel=sweep_panel, stages=("search",), trials=3, epochs=2)
    stopped = run_sweep(replace(request, time_budget_seconds=0.5))
    assert stopped.stopped == "the time budget is used up"
    check_truth(tmp_path, "gat_ablation", finished=0)
    run_sweep(request)
    check_truth(tmp_path, "gat_ablation", finished=3)
