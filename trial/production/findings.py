"""What `trial.ensemble` found, as the export reads it: `ensemble.json` beside a sweep's report."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import NamedTuple

from reports.monitoring.band import Expected
from storage.errors import StorageError
from storage.files import write_whole

FINDINGS = "ensemble.json"


class Taken(NamedTuple):
    trial: int
    times: int  # that the selection took it
    value: float | None  # of the trial, by which it is known again


@dataclass(frozen=True)
class EnsembleFindings:
    """The greedy ensemble of a search, judged on the confirm folds."""

    study: str
    members: tuple[Taken, ...]
    sentence: str
    expected: Expected | None

    def save(self, path: Path) -> None:
        """Atomic; raises StorageError where it cannot be written."""
        try:
            write_whole(path, json.dumps(asdict(self), indent=1) + "\n")
        except OSError as error:
            raise StorageError(f"findings need a folder that can be written, but {path} is none: {error}") from error

    @classmethod
    def load(cls, path: Path, sweep: str) -> EnsembleFindings:
        """Raises StorageError where there are none."""
        try:
            content = json.loads(path.read_text())
            members = tuple(Taken(*each) for each in content["members"])
            expected = None if content["expected"] is None else Expected(**content["expected"])
            return cls(content["study"], members, content["sentence"], expected)
        except FileNotFoundError:
            raise StorageError(
                f"a greedy ensemble is chosen before it is exported, but {path} is not there. Run: python -m "
                f"trial.ensemble {sweep}."
            ) from None
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise StorageError(f"{path} must be what trial.ensemble wrote, but cannot be read: {error}") from error
