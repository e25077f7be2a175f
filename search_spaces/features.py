"""features: which groups of features earn their place. Each is left out, and each is added to the first one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from fnmatch import fnmatchcase

from optuna.trial import Trial

from data.config import DataConfig
from search_spaces.config import TrialConfig
from search_spaces.errors import SpaceError
from search_spaces.knobs import HIDDEN, LEARNING_RATE
from search_spaces.space import SWITCH, Arm, Budget, Sampler, SearchSpace

Patterns = Mapping[str, tuple[str, ...]]  # group -> names or patterns of its features
COMPUTED: Patterns = {  # from OHLCV; each of those features is in one of them
    "returns": ("return_*", "scaled_return_*"),
    "momentum": ("momentum_*", "residual_momentum_*"),
    "relative": ("market_relative_*", "sector_relative_*", "sector_momentum_*"),
    "risk": (
        *("volatility_*", "downside_share_*", "residual_volatility_*", "largest_return_*", "smallest_return_*"),
        *("skewness_*", "kurtosis_*"),
    ),
    "bars": (
        *("gap", "mean_gap_*", "intraday", "mean_intraday_*", "range", "mean_range_*", "range_shock_*"),
        *("close_location", "mean_close_location_*"),
    ),
    "volume": ("volume_*", "turnover_shock_*", "signed_volume_share_*", "illiquidity_shock_*"),
    "market": ("beta_*", "lagged_beta_*", "market_share_of_variance_*"),
    "path": (
        *("autocorrelation_*", "share_of_gains_*", "below_high_*", "above_low_*", "above_mean_*", "band_position_*"),
        *("stochastic_*", "relative_strength_*", "macd_*"),
    ),
    "calendar": ("weekday", "days_since_session", "month_position", "season_*"),
    "ranks": ("rank_*",),
}


def groups_of(features: Sequence[str], data: DataConfig) -> Patterns:
    """The computed ones and those of the column map, as far as the market has them."""
    own = {name: tuple(group.columns) for name, group in data.columns.groups.items()}
    known = {**COMPUTED, **own}
    return {
        name: found
        for name, patterns in known.items()
        if (found := tuple(p for p in patterns if any(fnmatchcase(feature, p) for feature in features)))
    }


def sampler(groups: Patterns) -> Sampler:
    """Draws a switch per group; without any, the first one is on."""

    def sample(trial: Trial, base: TrialConfig) -> TrialConfig:
        off = [name for name in groups if not trial.suggest_categorical(f"with_{name}", SWITCH)]
        if len(off) == len(groups):
            off = off[1:]
        rate = LEARNING_RATE.suggest(trial)
        return base.replace(**{"data.leave_out": _patterns(groups, off), "train.learning_rate": rate})

    return sample


def arms(groups: Patterns) -> dict[str, Arm]:
    """Each group left out; and the first one alone, with each of the others."""
    first, *others = groups
    out = {f"no_{name}": Arm(f"without {name}", {"data.leave_out": _patterns(groups, [name])}) for name in groups}
    alone = {f"only_{first}": Arm(f"{first} alone", {"data.leave_out": _patterns(groups, others)})}
    pairs = {
        f"{first}_{name}": Arm(
            f"{first} and {name} alone",
            {"data.leave_out": _patterns(groups, [each for each in others if each != name])},
        )
        for name in others
        if len(others) > 1
    }
    return out | alone | pairs


def suit(space: SearchSpace, features: Sequence[str], data: DataConfig) -> SearchSpace:
    """For the groups that a market has.

    Raises:
        SpaceError: fewer than two.
    """
    groups = groups_of(features, data)
    if len(groups) < 2:
        raise SpaceError(
            f"space 'features' needs at least two groups of features, but this market has {len(groups)}. Name groups "
            f"of your columns in data.columns.groups."
        )
    point = {f"with_{name}": True for name in groups} | {"learning_rate": 1e-3}
    return replace(space, sample=sampler(groups), arms=arms(groups), first_points=(point,))


def _patterns(groups: Patterns, names: Sequence[str]) -> tuple[str, ...]:
    return tuple(pattern for name in names for pattern in groups[name])


SPACE = SearchSpace(
    name="features",
    summary="groups of features on or off, learning rate; arms: each left out, and the first with each of the others",
    reference=TrialConfig(),
    sample=sampler(COMPUTED),
    arms=arms(COMPUTED),
    first_points=({f"with_{name}": True for name in COMPUTED} | {"learning_rate": 1e-3},),
    budget=Budget(trials=40),
    suit=suit,
    knobs=(HIDDEN, LEARNING_RATE),
)
