"""How the studies of one sweep are named: NAME is the search, NAME.tune and NAME.confirm are its other stages."""

from __future__ import annotations

TUNE, CONFIRM = ".tune", ".confirm"
ENDINGS = ("", TUNE, CONFIRM)  # in the order in which the stages run


def sweep_of(study: str) -> str:
    """The sweep that a study is a stage of."""
    for ending in ENDINGS:
        if ending and study.endswith(ending):
            return study.removesuffix(ending)
    return study


def studies_of(sweep: str) -> tuple[str, ...]:
    """All that a sweep may have."""
    return tuple(f"{sweep}{ending}" for ending in ENDINGS)
