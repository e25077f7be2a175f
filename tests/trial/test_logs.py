"""A trial's log: written in time, bound, with the time at which things happened."""

from __future__ import annotations

import json
import logging
import time
from datetime import datetime
from pathlib import Path
from typing import Any

from trial.logs import LOG, logging_to, start_line

logger = logging.getLogger("trial.tests")


def lines_of(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / LOG).read_text().splitlines()]


def test_the_start_is_on_disk_at_once(tmp_path: Path) -> None:
    """A process that is killed leaves it."""
    with logging_to(tmp_path, "INFO", study="s", trial=3):
        start_line(logger, stocks=24)
        (line,) = lines_of(tmp_path)
    assert (line["event"], line["study"], line["trial"]) == ("trial starts: stocks 24", "s", 3)


def test_what_waits_keeps_its_time(tmp_path: Path) -> None:
    with logging_to(tmp_path, "DEBUG", study="s"):
        logger.debug("first")
        assert not (tmp_path / LOG).exists(), "it waits"
        time.sleep(0.1)
        logger.debug("second")
    first, second = (datetime.fromisoformat(line["timestamp"]) for line in lines_of(tmp_path))
    assert (second - first).total_seconds() >= 0.1


def test_records_of_debug_wait_for_one_that_matters(tmp_path: Path) -> None:
    with logging_to(tmp_path, "DEBUG", study="s"):
        logger.debug("one")
        assert not (tmp_path / LOG).exists()
        logger.warning("two")
        assert [line["event"] for line in lines_of(tmp_path)] == ["one", "two"]
        logger.debug("three")
    assert len(lines_of(tmp_path)) == 3


def test_an_exception_is_logged_with_its_traceback(tmp_path: Path) -> None:
    with logging_to(tmp_path, "INFO", study="s"):
        try:
            raise ValueError("the reason")
        except ValueError:
            logger.exception("it failed")
    (line,) = lines_of(tmp_path)
    assert "ValueError: the reason" in line["exception"]
