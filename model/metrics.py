"""Metrics of daily cross-sections. Undefined is NaN for a day and never enters a mean as a number.

D days, N stocks, K horizons. A metric takes (score, label, mask [D, N, K], min_stocks) and returns [D, K]: NaN on days
with fewer than `min_stocks` labels, and where it is not defined.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

DailyMetric = Callable[[np.ndarray, np.ndarray, np.ndarray, int], np.ndarray]
TRADING_DAYS = 252  # a year
TOP_SHARE = 0.2  # of a day's stocks that make the top, and the bottom


def rank_ic(score_DNK: np.ndarray, label_DNK: np.ndarray, mask_DNK: np.ndarray, min_stocks: int) -> np.ndarray:
    """Spearman correlation of scores and labels, ties averaged; NaN where scores or labels are constant."""
    return _daily(score_DNK, label_DNK, mask_DNK, min_stocks, lambda s, y: _pearson(ranks(s), ranks(y)))


def ic(score_DNK: np.ndarray, label_DNK: np.ndarray, mask_DNK: np.ndarray, min_stocks: int) -> np.ndarray:
    """Pearson correlation of scores and labels; NaN where scores or labels are constant."""
    return _daily(score_DNK, label_DNK, mask_DNK, min_stocks, _pearson)


def top_minus_bottom(score_DNK: np.ndarray, label_DNK: np.ndarray, mask_DNK: np.ndarray, min_stocks: int) -> np.ndarray:
    """Mean label of the fifth with the highest scores minus that of the lowest; NaN where scores are constant.

    Stocks with equal scores at an edge share the places that are left.
    """
    return _daily(score_DNK, label_DNK, mask_DNK, min_stocks, _top_minus_bottom)


def hit_rate(score_DNK: np.ndarray, label_DNK: np.ndarray, mask_DNK: np.ndarray, min_stocks: int) -> np.ndarray:
    """Share of stocks on the same side of the day's median by score and by label; one half is chance.

    Stocks on a median count half; NaN where scores or labels are constant.
    """
    return _daily(score_DNK, label_DNK, mask_DNK, min_stocks, _hit_rate)


def prediction_spread(
    score_DNK: np.ndarray, label_DNK: np.ndarray, mask_DNK: np.ndarray, min_stocks: int
) -> np.ndarray:
    """Standard deviation of the scores over stocks; 0 where they are constant."""
    return _daily(score_DNK, label_DNK, mask_DNK, min_stocks, lambda s, y: float(s.std(dtype=np.float64)))


# Of every epoch, and of the last one besides: the first must be cheap.
METRICS: dict[str, DailyMetric] = {"rank_ic": rank_ic, "ic": ic, "prediction_spread": prediction_spread}
FINAL_METRICS: dict[str, DailyMetric] = {"top_minus_bottom": top_minus_bottom, "hit_rate": hit_rate}


def neutral_rank_ic(
    score_DNK: np.ndarray,
    label_DNK: np.ndarray,
    mask_DNK: np.ndarray,
    min_stocks: int,
    sector_DN: np.ndarray,
    beta_DN: np.ndarray,
) -> np.ndarray:
    """RankIC of what sector and beta leave of scores and labels, residuals of least squares on both: [D, K].

    Args:
        score_DNK: predictions.
        label_DNK: forward returns.
        mask_DNK: bool, cells that count.
        min_stocks: least number of labels on a day.
        sector_DN: codes.
        beta_DN: to the market; a stock without one (NaN) does not count.
    """
    days, _, horizons = score_DNK.shape
    out = np.full((days, horizons), np.nan)
    for day in range(days):
        for k in range(horizons):
            usable = mask_DNK[day, :, k] & np.isfinite(beta_DN[day])
            exposures = _exposures(sector_DN[day, usable], beta_DN[day, usable])
            if usable.sum() >= max(min_stocks, exposures.shape[1] + 3):
                score, label = score_DNK[day, usable, k], label_DNK[day, usable, k]
                if np.ptp(score) > 0 and np.ptp(label) > 0:
                    rest = [ranks(_residual(values, exposures)) for values in (score, label)]
                    out[day, k] = _pearson(*rest)
    return out


def information_ratio(daily_D: np.ndarray) -> float:
    """Mean over standard deviation of a daily metric, per day; NaN where fewer than two days have one."""
    known = daily_D[np.isfinite(daily_D)]
    if len(known) < 2 or np.ptp(known) == 0:
        return float("nan")
    return float(known.mean() / known.std(ddof=1))


def coverage(level_DNKQ: np.ndarray, target_DNK: np.ndarray, mask_DNK: np.ndarray) -> np.ndarray:
    """Share of targets at or below each predicted quantile, days alike: [K, Q]; NaN where no day has a target."""
    below = (target_DNK[..., None] <= level_DNKQ) & mask_DNK[..., None]
    count_DK1 = mask_DNK.sum(axis=1)[..., None]
    daily = np.where(count_DK1 > 0, below.sum(axis=1) / np.maximum(count_DK1, 1), np.nan)
    known = np.isfinite(daily).any(axis=0)
    return np.where(known, np.nanmean(np.where(known, daily, 0.0), axis=0), np.nan)


def ranks(values: np.ndarray) -> np.ndarray:
    """Average ranks from 1, as scipy.stats.rankdata: [N] -> [N]; all NaN where any value is."""
    if np.isnan(values).any():
        return np.full(values.shape, np.nan)
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    return (last - (counts - 1) / 2)[inverse]


def tail_weights(score_N: np.ndarray, share: float = TOP_SHARE) -> tuple[np.ndarray, np.ndarray]:
    """Equal weights of the highest and of the lowest share of scores, each summing to one: ([N], [N]).

    Stocks with equal scores at the edge share what is left.
    """
    return _head_weights(-score_N, share), _head_weights(score_N, share)


def _head_weights(value_N: np.ndarray, share: float) -> np.ndarray:
    """Of the lowest values."""
    places = max(1, round(share * len(value_N)))
    edge = np.partition(value_N, places - 1)[places - 1]
    weight = (value_N < edge).astype(np.float64)
    at_edge = value_N == edge
    weight[at_edge] = (places - weight.sum()) / at_edge.sum()
    return weight / places


def _daily(
    score: np.ndarray,
    label: np.ndarray,
    mask: np.ndarray,
    min_stocks: int,
    measure: Callable[[np.ndarray, np.ndarray], float],
) -> np.ndarray:
    days, _, horizons = score.shape
    out = np.full((days, horizons), np.nan)
    for day in range(days):
        for k in range(horizons):
            usable = mask[day, :, k]
            if usable.sum() >= min_stocks:
                out[day, k] = measure(score[day, usable, k], label[day, usable, k])
    return out


def _pearson(a: np.ndarray, b: np.ndarray) -> float:
    if np.ptp(a) == 0 or np.ptp(b) == 0:  # a rounded mean would leave a residue, and a correlation with it
        return float("nan")
    a = a.astype(np.float64) - a.mean(dtype=np.float64)
    b = b.astype(np.float64) - b.mean(dtype=np.float64)
    size = np.sqrt((a * a).sum() * (b * b).sum())
    return float((a * b).sum() / size) if size > 0 else float("nan")


def _top_minus_bottom(score: np.ndarray, label: np.ndarray) -> float:
    if np.ptp(score) == 0:
        return float("nan")
    top, bottom = tail_weights(score)
    return float(((top - bottom) * label).sum())


def _hit_rate(score: np.ndarray, label: np.ndarray) -> float:
    if np.ptp(score) == 0 or np.ptp(label) == 0:
        return float("nan")
    agreement = np.sign(score - np.median(score)) * np.sign(label - np.median(label))
    return float((1 + agreement.mean()) / 2)


def _exposures(sector_N: np.ndarray, beta_N: np.ndarray) -> np.ndarray:
    """One column per sector, which stand for the constant too, and beta."""
    dummies = (sector_N[:, None] == np.unique(sector_N)).astype(np.float64)
    return np.column_stack([dummies, beta_N.astype(np.float64)])


def _residual(values: np.ndarray, exposures: np.ndarray) -> np.ndarray:
    return values - exposures @ np.linalg.lstsq(exposures, values, rcond=None)[0]
