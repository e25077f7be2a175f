"""Who may be ranked on a day, decided by what was known on that day."""

from __future__ import annotations

import numpy as np

from data.config import UniverseConfig
from data.errors import DataError

PIECE = 256  # stocks whose windows are sorted at once


def eligible(
    present_TN: np.ndarray,
    labels: dict[str, np.ndarray],
    vocabularies: dict[str, tuple[str, ...]],
    turnover_TN: np.ndarray | None,
    config: UniverseConfig,
) -> np.ndarray:
    """[T, N] bool: has a row, an admitted section and security type, and enough trailing turnover.

    Args:
        present_TN: bool, the stock has a row on the day.
        labels: role -> [T, N] codes into its vocabulary, 0 where unknown.
        vocabularies: role -> its values; code k is value k - 1.
        turnover_TN: traded value per day, NaN where missing; needed for `min_turnover`.
        config: what is admitted.
    """
    chosen = present_TN.copy()
    for role, wanted in (("section", config.sections), ("security_type", config.security_types)):
        if wanted:
            codes = [vocabularies[role].index(value) + 1 for value in wanted if value in vocabularies[role]]
            chosen &= np.isin(labels[role], codes)
    if config.min_turnover > 0:
        assert turnover_TN is not None, "check_universe has seen to it"
        chosen &= trailing_median(turnover_TN, config.turnover_window) >= config.min_turnover
    return chosen


def trailing_median(x_TN: np.ndarray, days: int) -> np.ndarray:
    """Median of the known values of the last `days` rows, NaN unless half of them are known."""
    out = np.full(x_TN.shape, np.nan)
    padded = np.vstack([np.full((days - 1, x_TN.shape[1]), np.nan), x_TN])
    for start in range(0, x_TN.shape[1], PIECE):
        windows = np.lib.stride_tricks.sliding_window_view(padded[:, start : start + PIECE], days, axis=0)
        ordered = np.sort(windows, axis=2)  # NaN last
        known = np.isfinite(ordered).sum(axis=2)
        lower = np.take_along_axis(ordered, np.maximum(known - 1, 0)[..., None] // 2, axis=2)[..., 0]
        upper = np.take_along_axis(ordered, (known // 2)[..., None].clip(max=days - 1), axis=2)[..., 0]
        out[:, start : start + PIECE] = np.where(2 * known >= days, (lower + upper) / 2, np.nan)
    return out


def check_universe(config: UniverseConfig, vocabularies: dict[str, tuple[str, ...]], has_turnover: bool) -> None:
    """Refuses a filter that the panel cannot answer.

    Raises:
        DataError: a section or type without its column, or a value that never occurs; turnover without prices.
    """
    for role, field, wanted in (
        ("section", "sections", config.sections),
        ("security_type", "security_types", config.security_types),
    ):
        if wanted and role not in vocabularies:
            raise DataError(
                f"universe.{field} needs a column that says the {role.replace('_', ' ')}, but the panel has none. Name "
                f"it in data.columns.{role}."
            )
        if absent := [value for value in wanted if value not in vocabularies.get(role, ())]:
            raise DataError(
                f"universe.{field} must name values of the panel, but {', '.join(absent)} never occurs; there are "
                f"{', '.join(vocabularies[role][:20])}."
            )
    if config.min_turnover > 0 and not has_turnover:
        raise DataError("universe.min_turnover needs close and volume, or turnover. Name them in data.columns.")
