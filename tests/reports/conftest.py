"""A store with a search and a confirm study of known numbers, written through the driver's own door."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from optuna.storages import RDBStorage
from optuna.trial import TrialState

from storage.attempt import EpochReport
from storage.database import append_row, open_storage
from storage.references import Reference, put_reference
from storage.study import StudyStore
from storage.tables import attempts

REFERENCE = "reference"
ARMS = {"no_gat": "no graph attention", "no_fan": "slice statistics only", "shuffled": "edges drawn by lot"}
SIDE = {
    "net": {f"2021-01-{day:02d}": 0.001 * (-1) ** day for day in range(1, 29)},
    "excess_mean": 0.0002,
    "annual_return": 0.123,
    "annual_volatility": 0.08,
    "sharpe": 1.4,
    "max_drawdown": 0.05,
    "break_even_bps": 23.4,
    "turnover": 0.41,
    "unfilled_share": 0.01,
    "num_long": 8.0,
    "num_short": 8.0,
}
ABOUT = {
    "panel_name": "market.parquet",
    "num_stocks": 42,
    "market": {"first_date": "2020-01-01", "last_date": "2021-12-31"},
    "holdout_from": "2021-10-01",
    "reference_arm": REFERENCE,
    "arm_summaries": ARMS,
    "arm_kinds": {REFERENCE: "reference", "no_gat": "retuned", "no_fan": "fixed", "shuffled": "placebo"},
    "winner": {"trial": 1, "arm": REFERENCE},
    "draws": {REFERENCE: 1, "no_gat": 0},
    "equivalence": 0.005,
    "design": {
        "factors": {"gat": "neighbours are heard"},
        "levels": {REFERENCE: {"gat": 1}, "no_gat": {"gat": -1}},
        "aliases": [["gat"]],
        "resolution": 5,
    },
    "reference_backtest": {"sides": {"long_short": SIDE | {"sharpe": 1.2}}},
    "backtest": {
        "arm": REFERENCE,
        "horizon": 5,
        "num_trials": 4,
        "cost_bps": 10.0,
        "section_bps": {"prime": 8.0},
        "borrow_fee": 0.01,
        "borrow_assumed": 0.25,
        "has_fees": True,
        "has_shortable": True,
        "capital": None,
        "sides": dict.fromkeys(("long_short", "long_only"), SIDE),
        "exposures": {"beta": 0.12},
        "sectors": {"energy": -0.03, "health": 0.04},
    },
    "pilot": {"detectable": 0.0123, "num_seeds": 5, "num_days": 56},
    "horizons": [1, 5],
    "points": [{"learning_rate": 1e-3}, {"learning_rate": 2e-3}],
    "folds_by_date": {"search": ["2020-01-01", "2020-06-01", "2020-07-01", "2020-09-01"]},
    "provenance": {"code": "abc"},
}


HORIZONS = [1, 5]
INSIDE = {
    "dates": ["2021-02-05", "2021-02-15", "2021-02-25"],
    "features": {"momentum_20": 2.5, "gap": 0.5},
    "neighbours_share": 0.41,
    "pairs": [["7203", "7267", 0.31, 3], ["6758", "7203", 0.12, 2]],
    "sectors": {"names": ["autos", "machines"], "mass": [[0.7, 0.3], [0.4, 0.6]]},
    "edges": [[str(n), "7203", 0.4 - 0.05 * n, 0.05 - 0.005 * n] for n in range(6)],
    "removed": {"frequency": [0.9, 0.2, 0.1], "energy": [0.8], "mean": [0.5, 0.4], "deviation": [0.1, 0.2]},
}
CHOICES: dict[str, Any] = {"arm": [REFERENCE, "no_gat"], "draw": [0, 1], "seed": [0, 1]}


def epoch(number: int, value: float, is_last: bool, month: int = 6) -> dict[str, object]:
    """An EpochResult whose skill is a little better every day of a month."""
    daily = {f"2021-{month:02d}-{day:02d}": [value / 2, value + day / 1000] for day in range(1, 29)}
    return {
        "daily_rank_ic": daily,
        "epoch": number,
        "is_last": is_last,
        "inside": INSIDE if is_last else {},
        "value": value,
        "best_so_far": value,
        "seconds": 1.5,
        "metrics": {"valid/rank_ic/1": value / 2, "valid/rank_ic/5": value},
    }


def add_trial(
    study: StudyStore,
    curve: list[float],
    state: TrialState,
    reason: str,
    sentence: str = "",
    cell: dict[str, Any] | None = None,
    **attributes: object,
) -> None:
    """One finished trial with its curve; `cell` are its parameters, else two are drawn."""
    if cell is not None:
        study.study.enqueue_trial(cell)
    trial = study.ask()
    for name in cell or {}:
        trial.suggest_categorical(name, CHOICES[name])
    if cell is None:
        trial.suggest_float("learning_rate", 1e-4, 1e-1, log=True)
        trial.suggest_categorical("gat", (True, False))
    config = {"train": {"epochs": 2}, "data": {"horizons": HORIZONS}}
    study.set_attributes(
        trial._trial_id,
        {
            "reason": reason,
            "sentence": sentence,
            "config": config,
            "config_hash": "abc",
            "wall_seconds": 3.0,
            **attributes,
        },
    )
    month = int(str(attributes.get("fold", "-6")).rpartition("-")[2])
    for position, value in enumerate(curve):
        is_last = state == TrialState.COMPLETE and position == len(curve) - 1
        study.record_epoch(EpochReport(trial._trial_id, trial.number, epoch(position + 1, value, is_last, month)))
    study.tell(trial.number, state, curve[-1] if state == TrialState.COMPLETE else None)


def charge(storage: RDBStorage, study: str, number: int) -> None:
    """Half an hour of a worker and of a whole GPU, for one attempt at a trial."""
    row: dict[str, object] = {"study": study, "number": number, "attempt": 0, "ending": "complete", "epochs": 2}
    row |= {"wall_seconds": 1800.0, "train_seconds": 900.0, "gpu_seconds": 1800.0, "peak_memory_mib": 500.0}
    append_row(storage.engine, attempts, row)


def make_study(storage: RDBStorage, name: str) -> StudyStore:
    study = StudyStore(storage, name)
    study.define({"space": "gat_ablation", "panel": "p", "store": "s", "configuration": "c", "epochs": 2})
    for key, value in ABOUT.items():
        study.study.set_user_attr(key, value)
    return study


@pytest.fixture
def storage(tmp_path: Path) -> RDBStorage:
    return open_storage(f"sqlite:///{tmp_path}/sweeps.db")


@pytest.fixture
def search(storage: RDBStorage) -> StudyStore:
    """Six trials: four COMPLETE, one PRUNED by ASHA, one diverged, one crashed."""
    study = make_study(storage, "demo")
    for value in (0.02, 0.05, 0.03, 0.04):
        add_trial(study, [0.01, value], TrialState.COMPLETE, "complete")
    add_trial(study, [-0.02], TrialState.PRUNED, "asha")
    add_trial(study, [], TrialState.PRUNED, "diverged", "3 steps had a <non-finite> loss")
    add_trial(study, [0.0], TrialState.FAIL, "crash", "RuntimeError: boom\ntrace")
    charge(storage, "demo", 0)
    charge(storage, "demo", 1)
    return study


@pytest.fixture
def confirm(storage: RDBStorage) -> StudyStore:
    """Three arms and the reference on two seeds and two folds; no_gat loses 0.01 each time, no_fan misses a pair."""
    study = make_study(storage, "demo.confirm")
    for seed in (0, 1):
        for fold in ("confirm-1", "confirm-2"):
            cell = {"seed": seed, "fold": fold}
            base = 0.03 + 0.01 * seed
            add_trial(study, [base], TrialState.COMPLETE, "complete", arm=REFERENCE, **cell)
            add_trial(study, [base - 0.01 - 0.001 * seed], TrialState.COMPLETE, "complete", arm="no_gat", **cell)
            add_trial(study, [base - 0.005], TrialState.COMPLETE, "complete", arm="shuffled", **cell)
            if (seed, fold) == (1, "confirm-2"):
                add_trial(study, [], TrialState.PRUNED, "diverged", "gone", arm="no_fan", **cell)
            else:
                add_trial(study, [base + 0.002], TrialState.COMPLETE, "complete", arm="no_fan", **cell)
    for fold in (1, 2):
        daily = {f"2021-{fold:02d}-{day:02d}": [0.0, 0.01 + day / 1000] for day in range(1, 29)}
        result = {"horizons": HORIZONS, "daily_rank_ic": daily, "scorecard": {}, "setting": 0.1}
        put_reference(storage, study.name, Reference("ridge", f"confirm-{fold}", "key", result))
    return study


@pytest.fixture
def tune(storage: RDBStorage) -> StudyStore:
    """The reference does best at draw 1; no_gat at draw 0, because a seed of its draw 1 failed."""
    study = make_study(storage, "demo.tune")
    values = {"reference": ((0.01, 0.03), (0.03, 0.05)), "no_gat": ((0.02, 0.02), (0.09, None))}
    for arm, draws in values.items():
        for draw, seeds in enumerate(draws):
            for seed, value in enumerate(seeds):
                cell = {"arm": arm, "draw": draw, "seed": seed}
                state, reason = (TrialState.FAIL, "crash") if value is None else (TrialState.COMPLETE, "complete")
                add_trial(study, [] if value is None else [value], state, reason, cell=cell, arm=arm, seed=seed)
    return study
