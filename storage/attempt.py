"""What an attempt at a trial sends to its study, by epoch and at its end. Plain values: they can wait in a file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True)
class Ending:
    """All that is written when an attempt is over."""

    number: int
    trial_id: int
    attempt: int
    ending: str  # complete, asha, diverged, crash, oom, lost_node, interrupted, ..
    state: str | None = None  # that is told; None: the trial waits for another attempt
    values: tuple[float, ...] | None = None  # of a COMPLETE trial
    attributes: dict[str, Any] = field(default_factory=dict)
    events: tuple[tuple[str, str], ...] = ()  # kind, message
    cost: dict[str, Any] = field(default_factory=dict)  # columns of the attempts' table
    ledger: dict[str, Any] | None = None  # columns of the ledger's; None: it was never scored
    held: bool = False  # it waits, but is not to be handed out yet

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Ending:
        told = tuple((kind, message) for kind, message in content["events"])
        values = None if content["values"] is None else tuple(content["values"])
        return cls(**{**content, "events": told, "values": values})


@dataclass(frozen=True)
class EpochReport:
    """One EpochResult of an attempt."""

    trial_id: int  # Optuna's
    number: int
    result: Mapping[str, Any]
    fold: str | None = None  # that was scored
    horizons: Sequence[int] = ()  # trading days, in the order of the daily RankIC's values
    attempt: int = 0  # not kept with the epoch, because all attempts would send the same
