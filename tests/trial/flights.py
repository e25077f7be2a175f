"""Flights that no worker has, for what only looks at them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from search_spaces.config import TrialConfig
from trial.machine import Machine
from trial.order import Flight, TrialOrder


def flight(number: int = 0, folder: Path = Path("nowhere"), known_epochs: int = 0, **more: Any) -> Flight:
    """The first attempt at a trial of the default configuration."""
    order = TrialOrder(
        study="s",
        number=number,
        attempt=0,
        folder=folder,
        resume_from=None,
        known_epochs=known_epochs,
        store=Path("nowhere"),
        machine=Machine(),
        config=TrialConfig(),
    )
    return Flight(order, number, **more)
