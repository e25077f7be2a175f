"""Logs: JSON lines in the trial's folder, bound to study, trial and seed; readable lines on a terminal.

Records of DEBUG are buffered and written with the next of INFO or above, or when the log is closed: the line that says
how a trial starts is there even where the process is killed. What every module tells `logging` goes there.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from logging.handlers import MemoryHandler
from pathlib import Path
from typing import Any

import structlog

LOG = "log.jsonl"
CAPACITY = 200  # records that wait for the disk
OURS = ("trial", "data", "model", "storage")  # loggers whose records are kept


def start_line(logger: logging.Logger, **facts: Any) -> None:
    """The one line per trial at INFO."""
    logger.info("trial starts: %s", ", ".join(f"{name} {value}" for name, value in facts.items()))


@contextmanager
def logging_to(folder: Path, level: str, **bound: Any) -> Iterator[None]:
    """Writes what happens inside to `folder/log.jsonl`, every line with what is bound.

    Args:
        folder: of the attempt; is made.
        level: DEBUG, INFO, WARNING or ERROR.
        bound: such as study, trial, seed.
    """
    folder.mkdir(parents=True, exist_ok=True)
    file = logging.FileHandler(folder / LOG, delay=True)
    file.setFormatter(_formatter(structlog.processors.JSONRenderer()))
    buffer = MemoryHandler(CAPACITY, flushLevel=logging.INFO, target=file)
    loggers = [logging.getLogger(name) for name in OURS]
    before = [logger.level for logger in loggers]
    structlog.contextvars.bind_contextvars(**bound)
    for logger in loggers:
        logger.addHandler(buffer)
        logger.setLevel(level)
    try:
        yield
    finally:
        for logger, previous in zip(loggers, before, strict=True):
            logger.removeHandler(buffer)
            logger.setLevel(previous)
        buffer.close()  # what waits is written with what is still bound
        structlog.contextvars.unbind_contextvars(*bound)
        file.close()


@contextmanager
def logging_to_terminal(level: str) -> Iterator[None]:
    """Readable lines on standard error while inside; colours where it is a terminal."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_formatter(structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())))
    handler.setLevel(level)
    loggers = [logging.getLogger(name) for name in OURS]
    for logger in loggers:
        logger.addHandler(handler)
    try:
        yield
    finally:
        for logger in loggers:
            logger.removeHandler(handler)


def _time_of_the_record(_: Any, __: str, event: dict[str, Any]) -> dict[str, Any]:
    """When it happened, which is not when a buffer is written."""
    return event | {"timestamp": datetime.fromtimestamp(event["_record"].created, UTC).isoformat()}


def _formatter(renderer: Any) -> logging.Formatter:
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        _time_of_the_record,
        structlog.processors.format_exc_info,
    ]
    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=shared,
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
    )
