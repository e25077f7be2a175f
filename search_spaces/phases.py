"""Phases of a training: which blocks learn, how fast, for how long.

A block that does not learn in a phase stands still: no gradient, no dropout, and, of the augmentation, no perturbation.
"""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

LearningSlot = Literal["selection", "projection", "norm", "augment", "temporal", "graph", "fusion", "head"]
ALL_SLOTS: tuple[LearningSlot, ...] = (
    "selection",
    "projection",
    "norm",
    "augment",
    "temporal",
    "graph",
    "fusion",
    "head",
)


class PhaseConfig(BaseModel):
    """One phase; the schedule begins anew in each."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    name: str = Field(pattern=r"^[a-z][a-z0-9_]*$", description="lower case, digits, underscores")
    epochs: int = Field(ge=1)
    learning_rate: float = Field(gt=0, description="peak rate in this phase")
    learns: tuple[LearningSlot, ...] = Field(ALL_SLOTS, min_length=1, description="blocks that learn; the rest stand")


def five_phases(
    learning_rate: float = 2e-3, epochs: tuple[int, int, int, int, int] = (5, 2, 3, 3, 3)
) -> tuple[PhaseConfig, ...]:
    """The predecessor's plan: base, adaptive normalisation, graph attention, fine-tuning, augmentation."""
    base: tuple[LearningSlot, ...] = ("selection", "projection", "temporal", "head")
    plan: tuple[tuple[str, float, tuple[LearningSlot, ...]], ...] = (
        ("base", 1.0, base),
        ("adaptive_normalisation", 0.5, (*base, "norm")),
        ("graph", 0.5, (*base, "norm", "graph", "fusion")),
        ("fine_tuning", 0.1, tuple(slot for slot in ALL_SLOTS if slot != "augment")),
        ("augmentation", 0.1, ALL_SLOTS),
    )
    return tuple(
        PhaseConfig(name=name, epochs=length, learning_rate=learning_rate * share, learns=learns)
        for (name, share, learns), length in zip(plan, epochs, strict=True)
    )
