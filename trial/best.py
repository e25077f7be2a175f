"""The best COMPLETE search trial: its configuration, as YAML that reads back to an equal value, and its scaler."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from optuna.storages import RDBStorage

from search_spaces.config import TrialConfig, validated
from storage.files import aside, write_whole
from storage.record import TrialRecord, best_complete, read_records
from trial.predictions import SCALER


def export_best(storage: RDBStorage, study: str, path: Path) -> TrialRecord | None:
    """Writes the best trial's configuration atomically; removes an older file where no trial is COMPLETE."""
    best = best_complete(read_records(storage, study))
    if best is None:
        path.unlink(missing_ok=True)
        path.with_name("best.scaler.json").unlink(missing_ok=True)
        return None
    config = validated(best.config)
    write_whole(path, _header(study, best) + config.to_yaml())
    _export_scaler(best, path.with_name("best.scaler.json"))
    return best


def _export_scaler(best: TrialRecord, path: Path) -> None:
    """Copies the scaler that the best trial was trained with, where its folder can be reached from here."""
    source = Path(str(best.attributes.get("predictions", ""))).with_name(SCALER)
    if not source.is_file():
        path.unlink(missing_ok=True)
        return
    scratch = aside(path)
    shutil.copyfile(source, scratch)
    os.replace(scratch, path)


def read_config(path: Path) -> TrialConfig:
    """Reads what `export_best` wrote."""
    return TrialConfig.from_yaml(path.read_text())


def _header(study: str, best: TrialRecord) -> str:
    return (
        f"# best COMPLETE trial of study {study}: number {best.number}, weighted RankIC {best.value:+.6f}\n"
        f"# on the search fold, chosen among many: expect less on days that no trial has seen.\n"
    )
