"""What finished trials have in common is kept once: Optuna holds every one of them for as long as the study is open."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import Any

from optuna.trial import FrozenTrial


class Alike:
    """Finished trials never change, so that what one of them says as another did can be the same object.

    Of some 20 KiB, most of it the configuration among the attributes, what was drawn is left to each trial.
    """

    def __init__(self) -> None:
        self._attributes: dict[str, Any] = {}
        self._distributions: dict[str, Any] = {}
        self._done: set[int] = set()

    def keep(self, trials: Iterable[FrozenTrial]) -> None:
        """Of those that Optuna hands out without a copy; the ones that are not finished stay as they are."""
        for trial in trials:
            if trial.number in self._done or not trial.state.is_finished():
                continue
            self._done.add(trial.number)
            self._attributes = trial.user_attrs | self._attributes  # a trial that failed has fewer
            self._distributions = trial.distributions | self._distributions  # conditional ones
            trial.user_attrs = made_of(self._attributes, trial.user_attrs)
            trial.distributions = made_of(self._distributions, trial.distributions)
            trial.params = {sys.intern(name): value for name, value in trial.params.items()}


def made_of(known: Any, value: Any) -> Any:
    """`value`, with the parts of `known` wherever they are the same.

    Args:
        known: dicts, nested as one likes, of values whose `repr` says all of them.
        value: likewise; 1, 1.0 and True are three values.
    """
    if not (isinstance(known, dict) and isinstance(value, dict)):
        return known if type(known) is type(value) and repr(known) == repr(value) else value
    made = {sys.intern(key): made_of(known.get(key), each) for key, each in value.items()}
    are_all = len(made) == len(known) and all(key in known and known[key] is each for key, each in made.items())
    return known if are_all else made
