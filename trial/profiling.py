"""A window of torch's profiler over a trial's steps: off, or a Chrome trace in the trial's folder."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Protocol

from torch import profiler

WARM_UP = 2  # steps that are not recorded: allocators and caches fill
TRACE = "profile.json"


class Profile(Protocol):
    """Told of every step."""

    def step(self) -> None: ...

    def close(self) -> None: ...


class NoProfile:
    """Records nothing."""

    def step(self) -> None:
        pass

    def close(self) -> None:
        pass


class TorchProfile:
    """Records `steps` steps after the warm-up, then writes the trace."""

    def __init__(self, folder: Path, steps: int) -> None:
        os.environ["KINETO_LOG_LEVEL"] = "6"  # read once by the profiler, which talks on standard error otherwise
        folder.mkdir(parents=True, exist_ok=True)
        self._profile = profiler.profile(
            schedule=profiler.schedule(wait=0, warmup=WARM_UP, active=steps, repeat=1),
            on_trace_ready=lambda done: done.export_chrome_trace(str(folder / TRACE)),
            profile_memory=True,
        )
        self._profile.start()
        self._left: int | None = WARM_UP + steps

    def step(self) -> None:
        if self._left is None:
            return
        self._profile.step()
        self._left -= 1
        if self._left == 0:
            self.close()

    def close(self) -> None:
        if self._left is not None:
            self._left = None
            self._profile.stop()


def open_profile(folder: Path, steps: int) -> Profile:
    """A window of so many steps; none for 0."""
    return TorchProfile(folder, steps) if steps else NoProfile()
