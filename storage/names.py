"""How the studies of a sweep are named: NAME is the search; NAME.tune, NAME.confirm, NAME.holdout come after it."""

from __future__ import annotations

TUNE, CONFIRM, HOLDOUT = ".tune", ".confirm", ".holdout"
ENDINGS = ("", TUNE, CONFIRM, HOLDOUT)  # in the order in which the stages run


def sweep_of(study: str) -> str:
    """The sweep that a study is a stage of."""
    for ending in ENDINGS:
        if ending and study.endswith(ending):
            return study.removesuffix(ending)
    return study


def studies_of(sweep: str) -> tuple[str, ...]:
    """All that a sweep may have."""
    return tuple(f"{sweep}{ending}" for ending in ENDINGS)
