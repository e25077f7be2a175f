"""The sweep driver, the Ray worker, the training loop, and every command that joins the layers.

In a notebook: `from trial import SweepRequest, run_sweep`. Names are looked up when they are asked for, because the
training loop and its commands start without Ray.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from trial.request import SweepRequest as SweepRequest
    from trial.run import SweepOutcome as SweepOutcome
    from trial.run import run_sweep as run_sweep

__all__ = ["SweepOutcome", "SweepRequest", "run_sweep"]
PLACES = {"SweepOutcome": "trial.run", "SweepRequest": "trial.request", "run_sweep": "trial.run"}


def __getattr__(name: str) -> Any:
    if name not in PLACES:
        raise AttributeError(f"module 'trial' has no attribute {name!r}")
    return getattr(import_module(PLACES[name]), name)
