"""Whether a panel's last days go on as those before them: no unit changed, no columns swapped, no day lost.

A panel is held against itself. What one day may do to a whole market is known from its own past: how far the median
stock moves, how alike stocks are ranked on neighbouring days, and that a night's move says little about the day's.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from scipy.stats import rankdata

from data.errors import DataError
from data.features import FEATURES
from data.store import MarketStore

RECENT, PAST, LEAST_PAST = 20, 500, 60  # days that are looked at, days before them, and how many of these it takes
COMPARED = 60  # days of the past whose ranks are compared
MOST_STOCKS = 500
JUMP = 2.0  # times the past's largest move of the median stock
POSSIBLE, POSSIBLE_PRICE = np.log(4), np.log(2)  # moves of the median stock that are never refused
PRICES = ("open", "high", "low", "close")
PERSISTENT, LOST = 0.5, 0.3  # rank correlation of neighbouring days; how much less than ever is a break
OPPOSED, UNUSUAL = -0.8, 0.55  # rank correlation of night and day in columns that were swapped; less than the usual one
SHOWN = 3


def refuse_break(store: MarketStore, day: int) -> None:
    """Looks at the last days up to one of them.

    Args:
        store: prepared from the panel.
        day: position of the last one.

    Raises:
        DataError: a column is not what it was on the days before; names it, the day, and what gave it away.
    """
    recent = range(max(1, day - RECENT + 1), day + 1)
    past = range(max(1, recent.start - PAST), recent.start)
    if len(past) < LEAST_PAST:
        return
    stocks = _stocks(store, day)
    found = [*_breaks_of_bars(store, past, recent, stocks), *_breaks_of_own(store, past, recent, stocks)]
    if found:
        more = f", and {len(found) - SHOWN} more" if len(found) > SHOWN else ""
        raise DataError(
            f"a panel's columns must go on as they were, but {'; '.join(found[:SHOWN])}{more}. See whether a source "
            f"changed its unit or the order of its columns, and correct those days."
        )


def refuse_hole(store: MarketStore, day: int, reach: int) -> None:
    """Raises DataError where more weekdays in a row are missing, among those that a day reads, than holidays take."""
    dates = store.dates[: day + 1]
    gaps = np.busday_count(dates[:-1], dates[1:]) - 1
    near, before = gaps[max(0, day - reach) :], gaps[: max(0, day - reach)]
    usual = max(2, int(before.max(initial=0)))
    if len(near) and near.max() > 2 * usual:
        place = max(0, day - reach) + int(near.argmax())
        raise DataError(
            f"days must follow each other, but between {dates[place]} and {dates[place + 1]} {near.max()} weekdays "
            f"have no row; {usual} in a row at most were usual. Bring the days that are missing."
        )


def _breaks_of_bars(store: MarketStore, past: range, recent: range, stocks: np.ndarray) -> Iterator[str]:
    """Prices and volume: jumps of the median stock, ranks that do not persist, open and close in each other's place."""
    with np.errstate(invalid="ignore", divide="ignore"):
        logs = np.log(np.asarray(store.bars[past.start - 1 : recent.stop], np.float64)[:, stocks])
    logs[~np.isfinite(logs)] = np.nan
    names = store.bar_names
    dates = store.dates[past.start : recent.stop]
    for c, (role, name) in enumerate(zip(store.meta.bars, names, strict=True)):
        moves = _medians(np.diff(logs[..., c], axis=0))
        possible = POSSIBLE_PRICE if role in PRICES else POSSIBLE
        bound = max(JUMP * float(np.abs(moves[: len(past)]).max()), possible)
        for place in np.flatnonzero(np.abs(moves) > bound):
            if place >= len(past):
                yield f"on {dates[place]} {name} is {np.exp(moves[place]):.3g} times that of the day before"
        yield from _ranks_lost(name, logs[..., c], dates, len(past))
    if {"open", "close"} <= set(store.meta.bars):
        first, last = (store.meta.bars.index(role) for role in ("open", "close"))
        yield from _swapped(logs[..., first], logs[..., last], (names[first], names[last]), dates, len(past))


def _breaks_of_own(store: MarketStore, past: range, recent: range, stocks: np.ndarray) -> Iterator[str]:
    """The panel's own features: those whose ranks used to persist, and do not."""
    built_in = FEATURES if store.meta.built_in else {}
    own = [c for c, name in enumerate(store.meta.features) if name not in built_in]
    dates = store.dates[past.start : recent.stop]
    for c in own:
        values = np.asarray(store.features[past.start - 1 : recent.stop, :, c], np.float64)[:, stocks]
        yield from _ranks_lost(store.meta.features[c], values, dates, len(past))


def _ranks_lost(name: str, values_DN: np.ndarray, dates: np.ndarray, num_past: int) -> Iterator[str]:
    """Days on which stocks are ranked unlike the day before, though they never were in the past."""
    compared = np.unique(np.linspace(0, num_past - 1, COMPARED).astype(int))
    usual = [_rank_correlation(values_DN[t], values_DN[t + 1]) for t in compared]
    least = float(np.nanmin(usual)) if np.isfinite(usual).any() else -1.0
    if least < PERSISTENT:
        return
    for t in range(num_past, len(dates)):
        found = _rank_correlation(values_DN[t], values_DN[t + 1])
        if found < least - LOST:
            yield (
                f"on {dates[t]} {name} ranks stocks unlike the day before (rank correlation {found:+.2f}, never below "
                f"{least:+.2f} before)"
            )


def _swapped(
    open_DN: np.ndarray, close_DN: np.ndarray, names: tuple[str, str], dates: np.ndarray, num_past: int
) -> Iterator[str]:
    """Where an open is the close and the close an open, the night's move holds the day's, which is then taken back."""
    night_DN, day_DN = open_DN[1:] - close_DN[:-1], close_DN[1:] - open_DN[1:]
    usual = np.nanmedian([_rank_correlation(night_DN[t], day_DN[t]) for t in range(num_past)])
    for t in range(num_past, len(dates)):
        found = _rank_correlation(night_DN[t], day_DN[t])
        if found < OPPOSED and found < usual - UNUSUAL:
            yield (
                f"on {dates[t]} {names[0]} and {names[1]} look swapped (moves by night and by day correlate "
                f"{found:+.2f}, {usual:+.2f} usually)"
            )


def _stocks(store: MarketStore, day: int) -> np.ndarray:
    """Of the day's universe, as many as it takes."""
    own = np.flatnonzero(np.asarray(store.eligible[day]))
    return own[np.linspace(0, len(own) - 1, min(len(own), MOST_STOCKS)).astype(int)]


def _medians(moves_DN: np.ndarray) -> np.ndarray:
    """[D], 0 where no stock has one."""
    known = np.isfinite(moves_DN).any(axis=1)
    return np.array([np.nanmedian(row) if has else 0.0 for row, has in zip(moves_DN, known, strict=True)])


def _rank_correlation(one_N: np.ndarray, other_N: np.ndarray) -> float:
    """NaN of fewer than ten stocks, 0 where either is one value."""
    known = np.isfinite(one_N) & np.isfinite(other_N)
    if known.sum() < 10:
        return float("nan")
    ranks = [rankdata(each[known]) for each in (one_N, other_N)]
    if any(rank.std() == 0 for rank in ranks):
        return 0.0
    return float(np.corrcoef(*ranks)[0, 1])
