"""`trial.validate_improvements` from panel to page: stages beside what the documents promised of them."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from reports.evidence import read_evidence
from reports.rollout import Costs, Row, rollout_rows
from search_spaces.config import TrialConfig
from search_spaces.rollout import SPACE, STAGES
from storage.database import open_storage
from storage.errors import StorageError
from trial.run import run_sweep
from trial.validate_improvements import app

NAME = "promises"
SETTINGS = "horizons: [1, 5]\nwindow: 10\nsplits: {search_days: 50, confirm_days: 30, holdout_days: 50}\n"


def command(*words: object) -> Result:
    return CliRunner(env={"COLUMNS": "240"}).invoke(app, [*map(str, words)])


def test_a_stage_holds_all_of_the_one_before() -> None:
    base = SPACE.reference
    configs = [arm.apply(base) for arm in STAGES.values()]
    switched = [
        {
            "small head": bool(getattr(config.model.head, "small_init", False)),
            "huber": config.train.loss.kind == "huber",
            "ema": config.train.ema_decay > 0,
            "streaming": config.data.scaler == "streaming",
            "freq_dropout": config.model.augment.kind == "freq_dropout",
            "temperature": getattr(config.model.graph, "temperature", 1.0) != 1.0,
        }
        for config in (base, *configs)
    ]
    assert [sum(each.values()) for each in switched] == [0, 2, 4, 5, 6]
    for before, after in pairwise(switched):
        assert {name for name, is_on in before.items() if is_on} < {name for name, is_on in after.items() if is_on}
    assert len({config.model_dump_json() for config in configs}) == 4
    assert all(isinstance(config, TrialConfig) for config in configs)


def test_stages_are_the_arms_that_are_retuned() -> None:
    assert SPACE.retuned == tuple(STAGES)


def test_from_panel_to_page(ray_head: str, sweep_panel: Path, tmp_path: Path) -> None:
    (tmp_path / "data.yaml").write_text(SETTINGS)
    options = ("--runs", tmp_path, "--data-config", tmp_path / "data.yaml", "--name", NAME, "--arms", "stage_1, ema")
    done = command(sweep_panel, *options, "--epochs", 1, "--draws", 0, "--seeds", 2)
    assert done.exit_code == 0, done.output
    storage = open_storage(f"sqlite:///{tmp_path}/sweeps.db")
    rows = rollout_rows(read_evidence(storage, NAME))
    assert [row.arm for row in rows] == ["stage_1", "ema"]
    for row in rows:
        assert (row.costs.num_trials, row.costs.num_diverged) == (4, 0)
        assert row.one_day is not None
        assert row.one_day.num_seeds == 2
        assert row.cells[1] in done.output
        assert row.costs.memory_mib is not None
        assert row.costs.memory_mib > 100
        assert row.costs.epoch_seconds is not None
    page = (tmp_path / NAME / "improvements.html").read_text()
    assert "nothing to reduce" in page
    assert all(row.cells[1] in page for row in rows)
    again = command(sweep_panel, *options, "--epochs", 1, "--draws", 0, "--seeds", 2, "--storage", storage.url)
    assert again.exit_code == 0, again.output
    assert len(read_evidence(storage, NAME).confirm.records) == 12  # type: ignore[union-attr]


@pytest.mark.parametrize("words", [("nowhere.parquet",), ("--arms", "stage_9"), ("--data-config", "nowhere.yaml")])
def test_bad_input_is_refused(sweep_panel: Path, tmp_path: Path, words: tuple[str, ...]) -> None:
    panel = () if words[0].endswith("parquet") else (sweep_panel,)
    assert command(*panel, *words, "--runs", tmp_path / "runs").exit_code == 2


def test_an_aim_is_judged_where_both_sides_are_known() -> None:
    base = Costs(20, 4, 1000.0, 10.0)
    better = Row("all", None, "undecided", Costs(20, 1, 800.0, 10.5), base).cells
    assert better[4:] == ("1 of 20", "yes", "800 MiB (-20%)", "yes", "10.50 s (+5%)", "yes")
    worse = Row("all", None, "undecided", Costs(20, 3, 990.0, 12.0), base).cells
    assert (worse[5], worse[7], worse[9]) == ("no", "no", "no")
    unknown = Row("all", None, "undecided", Costs(0, 0, None, None), Costs(20, 0, None, 10.0)).cells
    assert (unknown[2], unknown[5], unknown[7], unknown[9]) == (
        "not known",
        "nothing to reduce",
        "not known",
        "not known",
    )


def test_without_a_confirm_stage_there_is_nothing(swept, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]

    run_sweep(replace(swept, runs=tmp_path, stages=("search",)))
    with pytest.raises(StorageError, match="confirm stage"):
        rollout_rows(read_evidence(open_storage(f"sqlite:///{tmp_path}/sweeps.db"), swept.space))
