"""The report of a running sweep, written again as trials finish, so that a browser tab follows."""

from __future__ import annotations

import logging
import time
from pathlib import Path
from threading import Thread

from reports.ablation import write_report
from storage.database import Address, open_existing
from storage.study import StudyStore

logger = logging.getLogger(__name__)
FIRST_SECONDS, LOOK_SECONDS = 20.0, 5.0  # a sweep that is shorter is done before anybody looks
SHARE = 0.05  # of the time, that writing may take


class ReportRefresh:
    """Of one stage: looks now and then, and writes beside the driver, over a connection of its own."""

    def __init__(self, address: Address, sweep: str, path: Path, study: StudyStore) -> None:
        """
        Args:
            address: of the store.
            sweep: whose report it is.
            path: of the page.
            study: of the stage that runs.
        """
        self._address, self._sweep, self._path, self._study = address, sweep, path, study
        self._known, self._next = study.num_finished, time.monotonic() + FIRST_SECONDS
        self._thread: Thread | None = None

    def look(self) -> None:
        """Called often; starts a writing where trials have finished since the last one, and it is time."""
        if time.monotonic() < self._next or (self._thread is not None and self._thread.is_alive()):
            return
        self._next = time.monotonic() + LOOK_SECONDS
        finished = self._study.num_finished
        if finished > self._known:
            self._known = finished
            self._thread = Thread(target=self._write, name="report", daemon=True)
            self._thread.start()

    def close(self) -> None:
        """Waits for the writing under way: what is written afterwards must be the last."""
        if self._thread is not None:
            self._thread.join()

    def _write(self) -> None:
        started = time.monotonic()
        try:
            storage = open_existing(self._address)
            try:
                write_report(storage, self._sweep, self._path, is_running=True)
            finally:
                storage.engine.dispose()
        except Exception as error:  # the sweep goes on; what lasts is raised by the report at its end
            logger.warning("the report was not refreshed: %s: %s", type(error).__name__, error)
        self._next = time.monotonic() + max(LOOK_SECONDS, (time.monotonic() - started) / SHARE)
