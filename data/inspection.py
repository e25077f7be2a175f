"""What is wrong, or looks wrong, with a panel, found on its dense arrays before anything trains on them.

Errors refuse: keys, values and columns that no training should see. Doubts warn: what may be real. Every check reads a
stretch of days at a time, so that memory does not grow with the panel.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from data.axes import Axes
from data.bars import day_rank
from data.columns import Columns
from data.config import DataConfig
from data.dense import release
from data.findings import Finding, doubt, error
from data.ingest import RowFaults
from data.labels import forward_returns

NUM_PERIODS = 20  # equal stretches of days whose missing shares are compared
JUMP = 0.5  # change of a column's known share from one period to the next that is doubted
EMPTY = 0.02  # known share below which a period counts as empty
STALE_DAYS = 20  # unchanged closes in a row
LEAK, SUSPICIOUS = 0.97, 0.5  # |mean daily rank correlation| of a feature and a forward return
SAMPLED_DAYS = 24  # days on which leaks are looked for
MIN_DELISTING_RATE = 0.01  # share of stocks a year; markets lose 2 % to 7 %
DOUBTFUL_FACTOR = 2.0  # one-day change of a close that is doubted
STRETCH_BYTES = 64 << 20


@dataclass(frozen=True, eq=False)
class Panel:
    """What the checks read: axes, settings and the arrays of a store that is being made."""

    axes: Axes
    columns: Columns
    config: DataConfig
    faults: RowFaults
    names: list[str]  # features, built-in first
    num_built_in: int
    present: np.ndarray  # [D, N] bool
    eligible: np.ndarray  # [D, N] bool
    features: np.ndarray  # [D, N, F]
    labels: np.ndarray  # [D, N, K]
    bars: dict[str, np.ndarray]  # role -> [D, N]

    def stretches(self) -> Iterator[slice]:
        """Stretches of days in order; the pages of the last one are given back."""
        days, stocks = self.present.shape
        width = max(1, STRETCH_BYTES // max(1, 8 * stocks * max(4, len(self.names) // 8)))
        for start in range(0, days, width):
            yield slice(start, min(start + width, days))
            for array in (self.present, self.eligible, self.labels, *self.bars.values()):
                release(array)

    def name(self, day: int, stock: int) -> str:
        return f"{self.axes.dates[day]} {self.axes.codes[stock]}"


Check = Callable[[Panel], list[Finding]]


def inspect_panel(panel: Panel) -> list[Finding]:
    """All findings, errors first."""
    found = [finding for check in CHECKS for finding in check(panel)]
    return sorted(found, key=lambda finding: finding.severity != "error")


def duplicate_keys(panel: Panel) -> list[Finding]:
    faults = panel.faults
    if not faults.duplicates:
        return []
    key = f"{panel.columns.roles['date']}, {panel.columns.roles['code']}"
    law, way = "(date, code) must be unique", "Remove the duplicates."
    return [error("duplicate keys", key, faults.duplicates, faults.first_duplicate, law, way)]


def infinite_values(panel: Panel) -> list[Finding]:
    law, way = "values must be finite or missing", "Write null for what is not known."
    return [
        error("infinite values", name, count, panel.faults.first_infinite[name], law, way)
        for name, count in panel.faults.infinite.items()
    ]


def impossible_prices(panel: Panel) -> list[Finding]:
    """Prices of zero or less, negative volume, all null, all zero, high below low."""
    found = []
    for role, values in panel.bars.items():
        if role == "returns":
            continue
        column = panel.columns.roles[role]
        nothing = (lambda x: x < 0) if role in ("volume", "turnover") else (lambda x: x <= 0)
        known, largest, bad = 0, -np.inf, _Cells()
        for rows in panel.stretches():
            part = np.asarray(values[rows])
            finite = np.isfinite(part)
            known += int(finite.sum())
            largest = max(largest, float(part[finite].max(initial=-np.inf)))
            bad.add(panel, nothing(part), part, rows)
        if known == 0:
            found.append(error("all null", column, panel.present.sum(), "", "a column must hold values", "Fill it in."))
        elif role == "volume" and largest == 0:
            law = "volume must be positive somewhere"
            found.append(error("all zero", column, known, "", law, "Fill it in, or leave the column out."))
        if bad.count:
            law = f"{role} must be {'zero or more' if role in ('volume', 'turnover') else 'positive'}"
            found.append(
                error("impossible price", column, bad.count, bad.first, law, "Write null for what is missing.")
            )
    return found + _crossed_prices(panel)


def _crossed_prices(panel: Panel) -> list[Finding]:
    if "high" not in panel.bars or "low" not in panel.bars:
        return []
    bad, known = _Cells(), 0
    for rows in panel.stretches():
        high, low = np.asarray(panel.bars["high"][rows]), np.asarray(panel.bars["low"][rows])
        known += int(np.isfinite(high).sum())
        bad.add(panel, high < low * (1 - 1e-5), high, rows)
    if not bad.count:
        return []
    make = error if bad.count > 0.01 * known else doubt
    law, way = "high must not be below low", "Correct the rows, or map the columns the right way round."
    return [make("high below low", panel.columns.roles["high"], bad.count, bad.first, law, way)]


def absurd_returns(panel: Panel) -> list[Finding]:
    """Closes that rise or fall beyond belief from one row of a stock to its next."""
    if "close" not in panel.bars:
        return []
    limits, column = panel.config.inspection, panel.columns.roles["close"]
    absurd, large = _Cells(), _Cells()
    last = np.full(panel.present.shape[1], np.nan)
    for rows in panel.stretches():
        close = np.asarray(panel.bars["close"][rows])
        factor = np.full(close.shape, np.nan)
        for row in range(len(close)):
            known = np.isfinite(close[row])
            with np.errstate(divide="ignore", invalid="ignore"):
                factor[row, known] = close[row, known] / last[known]
            last = np.where(known, close[row], last)
        beyond = (factor >= limits.max_factor) | (factor <= 1 / limits.max_fall)
        absurd.add(panel, beyond, factor, rows)
        large.add(panel, ~beyond & ((factor >= DOUBTFUL_FACTOR) | (factor <= 1 / DOUBTFUL_FACTOR)), factor, rows)
    found = []
    if absurd.count:
        law = f"a close must not rise {limits.max_factor:g}-fold or fall to 1/{limits.max_fall:g} between two rows"
        way = "Adjust for splits or correct the rows; where it is real, raise inspection.max_factor or max_fall."
        found.append(error("absurd return", column, absurd.count, absurd.first, law, way))
    if large.count:
        law, way = "a close seldom doubles or halves in a day", "Look whether these are splits that were not adjusted."
        found.append(doubt("large return", column, large.count, large.first, law, way))
    return found


def stale_prices(panel: Panel) -> list[Finding]:
    """Closes that stand still for weeks: a halted, dead or filled-forward stock."""
    if "close" not in panel.bars:
        return []
    last = np.full(panel.present.shape[1], np.nan)
    run = np.zeros(panel.present.shape[1], np.int64)
    first: dict[int, str] = {}
    for rows in panel.stretches():
        for offset, close in enumerate(np.asarray(panel.bars["close"][rows])):
            known = np.isfinite(close)
            run = np.where(known, np.where(close == last, run + 1, 0), run)
            last = np.where(known, close, last)
            for stock in np.flatnonzero(run == STALE_DAYS):
                first.setdefault(int(stock), panel.name(rows.start + offset, int(stock)))
    if not first:
        return []
    law = f"a close seldom stands still for {STALE_DAYS} rows (stocks counted)"
    way = "Remove rows that were filled forward, or set universe.min_turnover."
    return [doubt("stale prices", panel.columns.roles["close"], len(first), min(first.values()), law, way)]


def empty_columns(panel: Panel) -> list[Finding]:
    """Own features that are all null, constant, cut off, or whose missing share jumps."""
    if not panel.columns.own:
        return []
    own = slice(panel.num_built_in, None)
    days, num = panel.present.shape[0], len(panel.columns.own)
    bounds = np.linspace(0, days, min(NUM_PERIODS, days) + 1).astype(int)
    known, rows_in = np.zeros((len(bounds) - 1, num)), np.zeros(len(bounds) - 1)
    only = np.full(num, np.nan)  # the one value of a column that has not varied yet
    varies = np.zeros(num, bool)
    for period, (start, stop) in enumerate(itertools.pairwise(bounds)):
        for first in range(start, stop, 8):
            part = np.asarray(panel.features[first : min(first + 8, stop), :, own]).reshape(-1, num)
            known[period] += np.count_nonzero(np.isfinite(part), axis=0)
            _note_variation(part, only, varies)
        rows_in[period] = panel.present[start:stop].sum()
        release(panel.features)
    share = known / np.maximum(rows_in, 1)[:, None]
    dates = panel.axes.dates[bounds[:-1]]
    found = []
    for number, name in enumerate(panel.columns.own):
        only_value = None if varies[number] else float(only[number])
        found += _column_findings(name, share[:, number], only_value, dates, known[:, number])
    return found


def _note_variation(part: np.ndarray, only: np.ndarray, varies: np.ndarray) -> None:
    """Marks the columns of [rows, F] that differ from their first known value."""
    for number in np.flatnonzero(~varies):
        values = part[:, number]
        values = values[np.isfinite(values)]
        if len(values):
            if np.isnan(only[number]):
                only[number] = values[0]
            varies[number] = bool((values != only[number]).any())


def _column_findings(
    name: str, share: np.ndarray, only: float | None, dates: np.ndarray, known: np.ndarray
) -> list[Finding]:
    exclude = f"Fill it in, or add it to columns.exclude: {name}."
    if known.sum() == 0:
        return [
            error("all null", name, len(share), str(dates[0]), "a feature must hold values (periods counted)", exclude)
        ]
    found = []
    if only is not None:
        law = "a feature should vary (values counted)"
        found.append(doubt("constant", name, int(known.sum()), f"{only:g} everywhere", law, f"Drop it: {exclude}"))
    full = np.flatnonzero(share >= EMPTY)
    lost = len(share) - 1 - int(full[-1])
    if lost and np.median(share[: full[-1] + 1]) >= 0.5:
        law = "a feature must not end before the panel does (periods counted)"
        found.append(error("cut off", name, lost, f"empty from {dates[full[-1] + 1]}", law, exclude))
    elif (np.abs(np.diff(share)) > JUMP).any():
        jump = int(np.argmax(np.abs(np.diff(share)) > JUMP))
        example = f"known {share[jump]:.0%} before {dates[jump + 1]}, {share[jump + 1]:.0%} after"
        law = "the missing share of a feature should not jump (jumps counted)"
        count = int((np.abs(np.diff(share)) > JUMP).sum())
        found.append(doubt("missing share jumps", name, count, example, law, "See whether a source was lost there."))
    elif share.mean() < EMPTY:
        law = f"a feature known in less than {EMPTY:.0%} of the rows helps little (values counted)"
        found.append(doubt("nearly empty", name, int(known.sum()), f"{share.mean():.2%} known", law, exclude))
    return found


def leaks(panel: Panel) -> list[Finding]:
    """Own features that are, or nearly are, a forward return."""
    if not panel.columns.own:
        return []
    days = panel.present.shape[0]
    sampled = np.unique(np.linspace(0, max(0, days - panel.config.reach - 2), SAMPLED_DAYS).astype(int))
    each = []
    for day in sampled:
        own = np.asarray(panel.features[day, :, panel.num_built_in :], np.float64)
        each.append(_rank_correlations(own, _futures(panel, int(day)), panel.config.min_stocks))
    count = np.isfinite(each).sum(axis=0)
    total = np.nansum(each, axis=0)
    found = []
    mean = np.abs(np.divide(total, count, out=np.zeros_like(total), where=count >= 3))
    strongest = mean.max(axis=1)
    for number, name in enumerate(panel.columns.own):
        value = float(strongest[number])
        if value < SUSPICIOUS or name in panel.config.inspection.allow_leaks:
            continue
        make, law = (
            (error, "no feature may be a forward return (sampled days counted)")
            if value >= LEAK
            else (doubt, "no honest daily feature ranks tomorrow this well (sampled days counted)")
        )
        way = f"Exclude it (columns.exclude: {name}), or shift it; inspection.allow_leaks admits it."
        example = f"mean daily rank correlation {value:.2f} with a forward return"
        found.append(make("leak", name, int(count.max()), example, law, way))
    return found


def _futures(panel: Panel, day: int) -> np.ndarray:
    """[N, J] forward returns of a day: the store's labels, and those from prices at delays 0 and 1."""
    futures = [np.asarray(panel.labels[day], np.float64)]
    if "close" in panel.bars:
        stop = day + panel.config.reach + 2
        close = np.asarray(panel.bars["close"][day:stop])
        anything = np.isfinite(close)
        horizons = panel.config.horizons
        futures += [forward_returns(close, close, close, anything, horizons, delay)[0] for delay in (0, 1)]
    return np.concatenate(futures, axis=1)


def _rank_correlations(x_NF: np.ndarray, y_NJ: np.ndarray, min_stocks: int) -> np.ndarray:
    """[F, J] Spearman correlations over the stocks known in both, NaN where too few or constant."""
    everyone = np.ones((1, 1), bool)
    ranks = [day_rank(values.T, np.broadcast_to(everyone, values.T.shape)) for values in (x_NF, y_NJ)]
    out = np.full((x_NF.shape[1], y_NJ.shape[1]), np.nan)
    x, y = (np.where(np.isfinite(rank), rank, 0.0) for rank in ranks)
    known_x, known_y = (np.isfinite(rank).astype(float) for rank in ranks)
    count = known_x @ known_y.T
    sum_x, sum_y = x @ known_y.T, known_x @ y.T
    covariance = x @ y.T - sum_x * sum_y / np.maximum(count, 1)
    variance_x = (x**2) @ known_y.T - sum_x**2 / np.maximum(count, 1)
    variance_y = known_x @ (y**2).T - sum_y**2 / np.maximum(count, 1)
    scale = np.sqrt(np.maximum(variance_x * variance_y, 0))
    return np.divide(covariance, scale, out=out, where=(count >= min_stocks) & (scale > 1e-9))


def few_stocks(panel: Panel) -> list[Finding]:
    """Days with too few stocks to rank; refused where that is the usual day."""
    daily = np.concatenate([panel.eligible[rows].sum(axis=1) for rows in panel.stretches()])
    least = panel.config.min_stocks
    few = np.flatnonzero(daily < least)
    if not len(few):
        return []
    example = f"{panel.axes.dates[few[0]]} with {daily[few[0]]}"
    if np.median(daily) < least:
        law, way = f"a usual day must have at least {least} stocks of the universe", "Is every stock in the panel?"
        return [
            error("few stocks", "(days)", len(few), example, law, f"{way} Or lower min_stocks or the universe filter.")
        ]
    law = f"a day with fewer than {least} stocks of the universe is left out"
    return [doubt("few stocks", "(days)", len(few), example, law, "See whether rows are missing.")]


def survivorship(panel: Panel) -> list[Finding]:
    """A universe in which hardly anything ever ends was chosen with hindsight."""
    days, stocks = panel.present.shape
    years = days / 250
    if years < 2:
        return []
    last = np.full(stocks, -1)
    for rows in panel.stretches():
        part = panel.present[rows]
        seen = part.any(axis=0)
        last = np.where(seen, rows.stop - 1 - np.argmax(part[::-1], axis=0), last)
    ended = int((last < days - 11).sum())
    if ended / stocks / years >= MIN_DELISTING_RATE:
        return []
    law = f"about {0.02:.0%} to {0.07:.0%} of a market delist every year (stocks that ended counted)"
    example = f"{ended} of {stocks} stocks ended in {years:.1f} years"
    way = "The universe looks chosen with hindsight: scores will flatter. Add the delisted stocks."
    return [doubt("survivorship", "(universe)", ended, example, law, way)]


def missing_lags(panel: Panel) -> list[Finding]:
    """Features whose names speak of statements, margin or flows, taken as known on their own date."""
    names = panel.columns.unlagged
    if not names:
        return []
    law = "statements, margin and flows are published later than their date (columns counted)"
    way = "Put them into columns.groups with their publication_lag (0 if the date is that of publication)."
    return [doubt("no publication lag", names[0], len(names), ", ".join(names[:5]), law, way)]


def unknown_sectors(panel: Panel) -> list[Finding]:
    if "sector" in panel.columns.roles:
        return []
    law, way = "sectors let stocks be compared with their like", "Name the column in data.columns.sector."
    return [doubt("no sector", "(columns)", 0, "", law, way)]


class _Cells:
    """Counts offending cells and remembers the first."""

    def __init__(self) -> None:
        self.count, self.first = 0, ""

    def add(self, panel: Panel, bad: np.ndarray, values: np.ndarray, rows: slice) -> None:
        number = int(bad.sum())
        if number and not self.count:
            day, stock = np.argwhere(bad)[0]
            self.first = f"{panel.name(rows.start + int(day), int(stock))} = {values[day, stock]:.6g}"
        self.count += number


CHECKS: tuple[Check, ...] = (
    duplicate_keys,
    infinite_values,
    impossible_prices,
    absurd_returns,
    stale_prices,
    empty_columns,
    leaks,
    few_stocks,
    survivorship,
    missing_lags,
    unknown_sectors,
)
