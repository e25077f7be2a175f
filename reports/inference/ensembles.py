"""Greedy selection of an ensemble: Caruana, Niculescu-Mizil, Crew, Ksikes 2004, "Ensemble Selection from Libraries of
Models", ICML, section 2, with replacement and started from the best.

Shape legend: M candidates, D days, N stocks.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Objective = Callable[[NDArray], float]


def greedy(score_MDN: NDArray, objective: Objective, size: int) -> list[int]:
    """Candidates in the order in which they were taken, some of them more than once.

    Begins with the best one; then each step takes the candidate with which the mean of all that were taken scores most.
    Returned is the shortest list that scored best on the way, so that no step is kept that did not help.

    Args:
        score_MDN: standardised within each day, NaN where a stock is not ranked.
        objective: of a [D, N] score, the higher the better.
        size: most steps.

    Raises:
        ValueError: no candidate, or fewer than one step.
    """
    if not len(score_MDN) or size < 1:
        raise ValueError(f"an ensemble needs a candidate and a step, got {len(score_MDN)} and {size}.")
    taken: list[int] = []
    total_DN = np.zeros(score_MDN.shape[1:])
    best, length = -np.inf, 1
    for step in range(size):
        reached = [objective((total_DN + score_DN) / (step + 1)) for score_DN in score_MDN]
        taken.append(int(np.argmax(reached)))
        total_DN = total_DN + score_MDN[taken[-1]]
        if max(reached) > best:
            best, length = max(reached), step + 1
    return taken[:length]
