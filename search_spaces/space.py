"""SearchSpace: what is sampled, from where, at which budget, and which arms are confirmed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, Protocol

from optuna.trial import Trial

from data.config import DataConfig
from search_spaces.config import TrialConfig
from search_spaces.errors import SpaceError
from search_spaces.knob import Knob, turned
from search_spaces.objectives import RANK_IC

REFERENCE = "reference"
MOST_RETUNED = 4  # arms with a tuning of their own: more would share too few days
SWITCH = (True, False)  # choices of a parameter that is on or off
Sampler = Callable[[Trial, TrialConfig], TrialConfig]
Suit = Callable[["SearchSpace", Sequence[str], DataConfig], "SearchSpace"]


@dataclass(frozen=True)
class Arm:
    """The reference with one switch turned."""

    summary: str
    changes: Mapping[str, Any]  # dotted keys, as TrialConfig.replace takes them
    is_placebo: bool = False  # keeps the block and takes what it works on: what is left is not the block's merit

    @property
    def kind(self) -> str:
        """Of one that is not retuned."""
        return "placebo" if self.is_placebo else "fixed"

    def apply(self, reference: TrialConfig) -> TrialConfig:
        return reference.replace(**self.changes)


class Design(Protocol):
    """Arms that are compared together, not one by one (`search_spaces.factorial`)."""

    def check(self, base: TrialConfig) -> None:
        """Raises SpaceError where the design means nothing on `base`."""

    def plain(self) -> dict[str, Any]:
        """As a study keeps it."""


@dataclass(frozen=True)
class Budget:
    """Defaults that the command line overrides."""

    trials: int = 12  # finished search trials
    epochs: int = 5  # per trial
    seeds: int = 5  # per confirm arm and fold
    draws: int = 16  # points that the reference and each retuned arm try; 0: no arm is retuned


DEMO = Budget(epochs=3, draws=2, seeds=2)  # on the synthetic market: to be looked at, too few for a verdict


@dataclass(frozen=True)
class Scheduler:
    """Early stopping of the search. `asha` halves at rungs one full pass, two, four .. after the start."""

    kind: Literal["asha", "none"] = "asha"
    reduction_factor: int = 2


@dataclass(frozen=True)
class SearchSpace:
    """A named study. `sample` must draw the same parameters in the same order for equal earlier draws."""

    name: str
    summary: str
    reference: TrialConfig
    sample: Sampler
    arms: Mapping[str, Arm]
    first_points: tuple[Mapping[str, Any], ...] = ()
    objectives: tuple[str, ...] = (RANK_IC,)  # the first one is what early stopping and the report go by
    constraints: tuple[str, ...] = ()  # such as turnover<=0.5
    budget: Budget = field(default_factory=Budget)
    suit: Suit | None = None  # makes it one for a market's features; None where all markets are alike to it
    scheduler: Scheduler = field(default_factory=Scheduler)
    equivalence: float = 0.005  # X: a difference of daily RankIC that nobody would act on, declared before launch
    knobs: tuple[Knob, ...] = ()  # that the reference and each retuned arm are tuned by
    design: Design | None = None  # that the arms are the runs of, all at the reference's tuning

    @property
    def retuned(self) -> tuple[str, ...]:
        """Arms that get a tuning of their own, as the reference does: the first ones that are no placebo."""
        switches = [name for name, arm in self.arms.items() if not arm.is_placebo]
        return tuple(switches[:MOST_RETUNED]) if self.knobs and self.design is None else ()

    def suited(self, features: Sequence[str], data: DataConfig) -> SearchSpace:
        """This space for a market of these features, under these settings.

        Raises:
            SpaceError: it cannot be one.
        """
        return self if self.suit is None else self.suit(self, features, data)

    def with_arms(self, names: Sequence[str]) -> SearchSpace:
        """This space with some of its arms, in the order given.

        Raises:
            SpaceError: it has no such arm, or its arms belong together.
        """
        if self.design is not None:
            raise SpaceError(f"the arms of space {self.name!r} must all be run: they are one design. Leave --arms out.")
        for name in names:
            if name not in self.arms:
                raise SpaceError(f"an arm of space {self.name!r} must be one of: {', '.join(self.arms)}; got {name!r}.")
        if twice := sorted({name for name in names if list(names).count(name) > 1}):
            raise SpaceError(f"an arm must be named once, but {', '.join(twice)} is there twice. Drop one of them.")
        return replace(self, arms={name: self.arms[name] for name in names})

    def arm_configs(self, base: TrialConfig) -> dict[str, TrialConfig]:
        """Reference first, then every arm, on the market and budget of `base`.

        Raises:
            SpaceError: an arm changes nothing, two arms are the same configuration, or one has the reference's name.
        """
        if REFERENCE in self.arms:
            raise SpaceError(
                f"no arm of space {self.name!r} may be named {REFERENCE!r}: that is what arms differ from."
            )
        self._refuse_switches_that_are_knobs()
        if self.design is not None:
            self.design.check(base)
        configs = {REFERENCE: base.replace(arm=REFERENCE)}
        for name, arm in self.arms.items():
            configs[name] = arm.apply(base).replace(arm=name)
        seen: dict[str, str] = {}
        for name, config in configs.items():
            if config.hash in seen:
                raise SpaceError(
                    f"arms must differ, but {name!r} and {seen[config.hash]!r} of space {self.name!r} are the same "
                    f"configuration ({config.hash}): the override changes nothing."
                )
            seen[config.hash] = name
        return configs

    def tuned(self, base: TrialConfig, points: Sequence[Mapping[str, Any]]) -> dict[str, list[TrialConfig]]:
        """The reference and each retuned arm at every point; a point says nothing of what an arm does not have.

        Raises:
            SpaceError: as `arm_configs`, or a point breaks a rule in some arm.
        """
        arms = {name: config for name, config in self.arm_configs(base).items() if name in (REFERENCE, *self.retuned)}
        return {name: [self.at_point(config, point) for point in points] for name, config in arms.items()}

    def at_point(self, config: TrialConfig, point: Mapping[str, Any]) -> TrialConfig:
        """With the point's values of those knobs that the configuration has.

        Raises:
            SpaceError: a value breaks a rule.
        """
        return turned(config, self.knobs, point)

    def _refuse_switches_that_are_knobs(self) -> None:
        keys = {key: knob.name for knob in self.knobs for key in knob.keys}
        for name, arm in self.arms.items():
            for key in arm.changes:
                if key in keys:
                    raise SpaceError(
                        f"a switch may not be a knob, but arm {name!r} of space {self.name!r} changes {key}, which "
                        f"knob {keys[key]!r} tunes in every arm. Leave the knob out, or the arm."
                    )
