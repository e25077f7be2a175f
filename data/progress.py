"""How a long preparation shows itself: bars where people look, plain lines when piped, nothing by default."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from typing import Protocol

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as RichProgress


class Progress(Protocol):
    """What a preparation tells."""

    def say(self, text: str) -> None:
        """One line that stays."""

    def stage(self, title: str) -> contextlib.AbstractContextManager[None]:
        """Work of unknown length."""

    def rows(self, title: str, total: int) -> contextlib.AbstractContextManager[Callable[[int], None]]:
        """Work of so many rows; the function is told those that are done."""


class Silent:
    """Says nothing."""

    def say(self, text: str) -> None:
        pass

    @contextlib.contextmanager
    def stage(self, title: str) -> Iterator[None]:
        yield

    @contextlib.contextmanager
    def rows(self, title: str, total: int) -> Iterator[Callable[[int], None]]:
        yield lambda _: None


class Shown:
    """A bar on a terminal; a line per stage elsewhere."""

    def __init__(self, console: Console) -> None:
        self.console = console

    def say(self, text: str) -> None:
        self.console.print(f"data: {text}")

    @contextlib.contextmanager
    def stage(self, title: str) -> Iterator[None]:
        started = time.monotonic()
        with self.console.status(title):
            yield
        if (seconds := time.monotonic() - started) > 2:
            self.say(f"{title} took {seconds:.0f} s")

    @contextlib.contextmanager
    def rows(self, title: str, total: int) -> Iterator[Callable[[int], None]]:
        if not self.console.is_terminal:
            with self.stage(title):
                yield lambda _: None
            return
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        with RichProgress(*columns, console=self.console, transient=True) as bar:
            task = bar.add_task(title, total=total)
            yield lambda done: bar.advance(task, done)
