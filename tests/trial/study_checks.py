"""What must hold of any finished study, whatever happened on the way."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import optuna
from optuna.trial import FrozenTrial

from storage.database import open_existing
from storage.record import TrialRecord, load_study, read_records


def open_study(runs: Path, name: str) -> tuple[optuna.Study, list[TrialRecord]]:
    storage = open_existing(f"sqlite:///{runs}/sweeps.db")
    return load_study(storage, name), read_records(storage, name)


def check_truth(runs: Path, name: str, finished: int) -> Counter[str]:
    """Exactly `finished` finished trials, none RUNNING, no step missing or twice; returns the states."""
    study, records = open_study(runs, name)
    states = Counter(trial.state.name for trial in study.trials)
    assert states["RUNNING"] == 0
    assert states["COMPLETE"] + states["PRUNED"] + states["FAIL"] == finished
    assert [trial.number for trial in study.trials] == list(range(len(study.trials)))
    for trial, record in zip(study.trials, records, strict=True):
        check_curve(trial, record)
    return states


def check_curve(trial: FrozenTrial, record: TrialRecord) -> None:
    """Our table and Optuna's copy agree step by step, and the value is the last epoch's."""
    epochs = [result["epoch"] for result in record.curve]
    assert epochs == list(range(1, len(epochs) + 1))
    assert trial.intermediate_values == {result["epoch"]: result["value"] for result in record.curve}
    if record.state == "COMPLETE":
        assert record.curve[-1]["is_last"]
        assert record.value == record.curve[-1]["value"]
        assert Path(record.attributes["predictions"]).exists()
    if record.state == "PRUNED" and record.reason == "asha":
        assert record.curve
        assert not record.curve[-1]["is_last"]
