"""A store that is away: what arrives meanwhile waits in an append-only file, and is replayed once it is back.

One line of JSON per write, on the disk before the call returns. To replay is idempotent, so a driver that dies while it
replays does no harm; a last line that was cut short by a crash was never acknowledged, and is left out.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any

from storage.attempt import Ending, EpochReport
from storage.behind import WriteBehind, WriteThrough, Writing
from storage.database import away_in_words, is_there
from storage.errors import LeaseLostError, StorageError, StoreAwayError
from storage.study import StudyStore

SPOOL = "spool-{owner}.jsonl"  # each driver has its own
LOOK_SECONDS = 2.0  # between two looks whether the store is back
Said = Callable[[str], None]


class SpooledStudy:
    """Writes a study as `StudyStore` does; never raises because the store is away, as long as there is a disk."""

    def __init__(self, study: StudyStore, path: Path, say: Said = lambda sentence: None) -> None:
        self.study, self.path, self._say = study, path, say
        is_served = study.storage.engine.dialect.name == "postgresql"
        self._epochs: Writing = WriteBehind() if is_served else WriteThrough()
        self.away: StoreAwayError | None = None  # since when it is
        self.away_since = 0.0
        self._looked, self._spooled = 0.0, 0

    def record_epoch(self, report: EpochReport) -> None:
        """Its worker goes on meanwhile, and so does the driver: until the next write, which waits for this one."""
        self._epochs.submit(lambda: self._write("epoch", vars(report)))

    def end(self, ending: Ending) -> None:
        self._epochs.settle()
        self._write("end", ending.to_dict())

    def put_back(self, trial_id: int, attempt: int) -> None:
        self._epochs.settle()
        self._write("put_back", {"trial_id": trial_id, "attempt": attempt})

    def went_away(self, error: StoreAwayError) -> None:
        """From here on everything waits in the file."""
        if self.away is None:
            self.away, self.away_since = error, time.monotonic()
            self._say(f"the store is away ({_reason(error)}): no new trial starts, what arrives waits in {self.path}")

    def is_back(self) -> bool:
        """Looks now and then whether the store is there again; replays what waits, and goes on.

        Raises:
            LeaseLostError: another driver has the study by now; what waits stays in the file.
        """
        if self.away is None:
            return True
        self._epochs.settle()
        if time.monotonic() - self._looked < LOOK_SECONDS:
            return False
        self._looked = time.monotonic()
        try:
            if not is_there(self.study.storage.engine):
                return False
            with away_in_words():
                replayed = replay(self.study, self.path)
        except LeaseLostError:
            raise
        except StorageError:
            return False
        self.away, seconds = None, time.monotonic() - self.away_since
        self._spooled = 0
        self._say(f"the store is back after {seconds:.0f} s: {replayed} writes that waited were replayed")
        return True

    def _write(self, kind: str, content: Mapping[str, Any]) -> None:
        if self.away is None:
            try:
                perform(self.study, kind, content)
            except StoreAwayError as error:
                self.went_away(error)
            else:
                return
        self._append({"kind": kind, "content": content})

    def _append(self, line: Mapping[str, Any]) -> None:
        assert self.away is not None, "nothing is spooled while the store takes it"
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self.path.open("a") as file:
                file.write(json.dumps(line) + "\n")
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise StoreAwayError(
                f"{self.away} What arrived could not be kept in {self.path} either ({error}); the trials' checkpoints "
                f"have it."
            ) from error
        self._spooled += 1

    @property
    def farewell(self) -> StoreAwayError:
        """For a driver that gives up waiting."""
        where = f" {self._spooled} writes wait in {self.path}; the next start replays them." if self._spooled else ""
        return StoreAwayError(f"{self.away}{where}")


def spool_of(folder: Path, owner: str) -> Path:
    """Where a driver's writes to the study of a folder wait."""
    return folder / SPOOL.format(owner=owner)


def replay_left(study: StudyStore, folder: Path, living: Collection[str]) -> int:
    """Replays what drivers left that do not live any more; the number of writes."""
    kept = {spool_of(folder, owner) for owner in living}
    left = [path for path in sorted(folder.glob(SPOOL.format(owner="*"))) if path not in kept]
    return sum(replay(study, path) for path in left)


def replay(study: StudyStore, path: Path) -> int:
    """Performs what a file says, in its order, and removes it; the number of writes, 0 without a file.

    A trial that somebody went on with since, under a later attempt, is left to them.

    Raises:
        StoreAwayError: the store is away again; the file stays.
        LeaseLostError: the study is another driver's; the file stays.
    """
    if not path.exists():
        return 0
    lines = read_spool(path)
    for line in lines:
        if _is_ours(study, line["content"]):
            perform(study, line["kind"], line["content"])
    path.unlink()
    return len(lines)


def perform(study: StudyStore, kind: str, content: Mapping[str, Any]) -> None:
    """One write, as it was meant."""
    if kind == "epoch":
        study.record_epoch(EpochReport(**content))
    elif kind == "end":
        study.end(Ending.from_dict(content))
    else:
        study.put_back(content["trial_id"])


def read_spool(path: Path) -> list[dict[str, Any]]:
    """The whole lines of a file.

    Raises:
        StorageError: a line before the last one is damaged.
    """
    lines = path.read_text().split("\n")
    found = []
    for place, line in enumerate(lines):
        try:
            if line:
                found.append(json.loads(line))
        except json.JSONDecodeError as error:
            if place == len(lines) - 1:  # cut short: it was never acknowledged
                break
            raise StorageError(
                f"what waits for the store must be whole, but line {place + 1} of {path} is not: {error}. Move the "
                f"file away to go on without it; the trials' checkpoints have their epochs."
            ) from error
    return found


def _is_ours(study: StudyStore, content: Mapping[str, Any]) -> bool:
    """Whether no later attempt at the trial has begun."""
    begun = study.storage.get_trial(content["trial_id"]).user_attrs.get("attempts", 0)
    return bool(begun <= content["attempt"] + 1)


def _reason(error: StoreAwayError) -> str:
    return str(error).partition("but it does not: ")[2].partition(". Look at")[0] or str(error)
