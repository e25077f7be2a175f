"""A two-level fractional factorial over switches: which of them need each other, in few combinations.

Box, Hunter and Hunter (2005), Statistics for Experimenters, ch. 5-6; the fraction and its aliases are pyDOE3's.
"""

from __future__ import annotations

import itertools
import string
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

from search_spaces.config import TrialConfig
from search_spaces.errors import SpaceError
from search_spaces.space import REFERENCE, Arm

MIN_FACTORS, MAX_FACTORS = 2, 7  # of eight, finding the fraction takes longer than anybody waits
TIMES = " x "  # between the factors of an interaction
Off = Callable[[TrialConfig], TrialConfig]


@dataclass(frozen=True)
class Factor:
    """One switch, whatever the others are."""

    summary: str
    off: Off  # the configuration with it turned off


@dataclass(frozen=True)
class Run(Arm):
    """One combination of switches: some are off."""

    factors: tuple[Factor, ...] = ()

    @property
    def kind(self) -> str:
        return "run"

    def apply(self, reference: TrialConfig) -> TrialConfig:
        for factor in self.factors:
            reference = factor.off(reference)
        return reference


@dataclass(frozen=True)
class Factorial:
    """Switches that are turned together, in the fewest combinations of a resolution.

    Raises:
        SpaceError: too few or too many factors.
    """

    factors: Mapping[str, Factor]
    resolution: Literal[4, 5] = 5  # 4: pairs of switches may stand for each other; 5: no two pairs do

    def __post_init__(self) -> None:
        if not MIN_FACTORS <= len(self.factors) <= MAX_FACTORS:
            raise SpaceError(
                f"a factorial design must have {MIN_FACTORS} to {MAX_FACTORS} factors, got {len(self.factors)}."
            )

    @cached_property
    def levels(self) -> tuple[tuple[int, ...], ...]:
        """[runs][factors] +1 on, -1 off; the first run has all on."""
        rows = sorted((tuple(int(level) for level in row) for row in self._found[0]), reverse=True)
        assert all(level == 1 for level in rows[0]), "the principal fraction holds it"
        return tuple(rows)

    @property
    def runs(self) -> dict[str, Run]:
        """By name, all but the reference, which is the one with everything on."""
        return {name: self._run(row) for name, row in self._named.items() if name != REFERENCE}

    @property
    def aliases(self) -> list[list[str]]:
        """Effects of one or two factors; those of a list cannot be told from each other, nor from the longer words
        that follow them: ['gat', 'fan x san x small_init']."""
        found = [sorted(map(self._word, words), key=_order) for words in self._found[1]]
        return [words for words in found if 1 <= _order(words[0]) <= 2]

    def plain(self) -> dict[str, Any]:
        """As a study keeps it: factors by name, levels by arm and factor, aliases."""
        return {
            "factors": {name: factor.summary for name, factor in self.factors.items()},
            "levels": {arm: dict(zip(self.factors, row, strict=True)) for arm, row in self._named.items()},
            "aliases": self.aliases,
            "resolution": self.resolution,
        }

    def check(self, base: TrialConfig) -> None:
        """Whether every factor means something whatever the others are.

        Raises:
            SpaceError: one means nothing where another is off, or their order matters.
        """
        both = {pair: self._both_off(*pair, base) for pair in itertools.permutations(self.factors, 2)}
        for (one, other), config in both.items():
            if config.hash != both[other, one].hash:
                raise SpaceError(
                    f"factors must turn off in any order alike, but {one!r} and {other!r} do not. Let each look at "
                    f"what the other left."
                )

    def _both_off(self, one: str, other: str, base: TrialConfig) -> TrialConfig:
        """First the other. Raises SpaceError where the one means nothing then."""
        without = self.factors[other].off(base)
        try:
            config = self.factors[one].off(without)
        except SpaceError as error:
            raise _meaningless(one, other) from error
        if config.hash == without.hash:
            raise _meaningless(one, other)
        return config

    @property
    def _named(self) -> dict[str, tuple[int, ...]]:
        return {self._name(row): row for row in self.levels}

    def _name(self, row: Sequence[int]) -> str:
        off = [name for name, level in zip(self.factors, row, strict=True) if level < 0]
        return "+".join(f"no_{name}" for name in off) or REFERENCE

    def _run(self, row: Sequence[int]) -> Run:
        off = [name for name, level in zip(self.factors, row, strict=True) if level < 0]
        return Run(f"{', '.join(off)} off", {}, factors=tuple(self.factors[name] for name in off))

    @cached_property
    def _found(self) -> tuple[Sequence[Sequence[float]], list[list[str]]]:
        """The smallest fraction of the resolution, and what its words stand for together."""
        from pyDOE3 import ff2n, fracfact, fracfact_opt  # with SciPy's statistics: half a second

        number = len(self.factors)
        for erased in range(number - 2, 0, -1):
            try:
                design = fracfact(fracfact_opt(number, erased)[0])
            except ValueError:  # so many cannot be told apart in so few runs
                continue
            aliases = _aliases(design)
            if _resolution(aliases) >= self.resolution:
                return design, aliases
        design = ff2n(number)
        return design, _aliases(design)

    def _word(self, letters: str) -> str:
        names = dict(zip(string.ascii_lowercase, self.factors, strict=False))
        return TIMES.join(names[letter] for letter in letters)


def _aliases(design: Sequence[Sequence[float]]) -> list[list[str]]:
    from pyDOE3 import fracfact_aliasing

    lines, _ = fracfact_aliasing(design)
    return [line.split(" = ") for line in lines]


def _resolution(aliases: Sequence[Sequence[str]]) -> int:
    """Length of the shortest word that stands for nothing: of two aliases, the letters that only one of them has."""
    pairs = (pair for words in aliases for pair in itertools.combinations(words, 2))
    return min((len(set(one) ^ set(other)) for one, other in pairs), default=MAX_FACTORS + 1)


def _order(word: str) -> int:
    """How many factors it is of; 0 for the mean."""
    return len(word.split(TIMES)) if word else 0


def _meaningless(one: str, other: str) -> SpaceError:
    return SpaceError(
        f"a factor must mean something whatever the others are, but {one!r} changes nothing where {other!r} is off. "
        f"Leave one of them out, or make them one factor."
    )
