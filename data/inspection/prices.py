"""Prices that cannot be, returns beyond belief, and closes that stand still."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from data.findings import Finding, doubt, error
from data.inspection.panel import LARGE_MEDIAN, Cells, Panel, sampled_days, sizes_on
from data.labels import without_ranges

LAWS: dict[str, tuple[str, Callable[[np.ndarray], np.ndarray]]] = {  # of roles that are no prices: words, offence
    "volume": ("zero or more", lambda values: values < 0),
    "turnover": ("zero or more", lambda values: values < 0),
    "borrow_fee": ("zero or more", lambda values: values < 0),
    "shortable": ("1 or 0", lambda values: (values != 0) & (values != 1) & ~np.isnan(values)),
}
PRICE = ("positive", lambda values: values <= 0)
DOUBTFUL_FACTOR = 2.0  # one-day change of a close that is doubted
OUTSIDE = 0.005  # share of a price by which an open or a close may lie outside its day's range
RARE = 0.02  # share of rows up to which they are taken for damaged
STALE_DAYS = 20  # unchanged closes in a row


def impossible_prices(panel: Panel) -> list[Finding]:
    """Prices of zero or less, negative volume or fees, flags that are none, all null, all zero, high below low."""
    found = []
    for role, values in panel.bars.items():
        if role == "returns":
            continue
        column = panel.columns.roles[role]
        words, is_offence = LAWS.get(role, PRICE)
        known, largest, bad = 0, -np.inf, Cells()
        for rows in panel.stretches():
            part = np.asarray(values[rows])
            finite = np.isfinite(part)
            known += int(finite.sum())
            largest = max(largest, float(part[finite].max(initial=-np.inf)))
            bad.add(panel, is_offence(part), part, rows)
        if known == 0:
            law, rows, first = "a column must hold values", panel.present.sum(), f"first: {panel.axes.dates[0]}"
            found.append(error("all null", column, rows, "null row", first, law, "Fill it in."))
        elif role == "volume" and largest == 0:
            law = "volume must be positive somewhere"
            found.append(error("all zero", column, known, "row", "", law, "Fill it in, or leave the column out."))
        if bad.count:
            law = f"{role} must be {words}"
            found.append(
                error("impossible price", column, bad.count, "row", bad.first, law, "Write null for what is missing.")
            )
    return found + _crossed_prices(panel) + _prices_outside(panel)


def _prices_outside(panel: Panel) -> list[Finding]:
    """Opens and closes above their day's high or below its low, by more than rounding and adjustment explain."""
    if not {"open", "high", "low", "close"} <= panel.bars.keys():
        return []
    bad, known = Cells(), 0
    for rows in panel.stretches():
        bars = {role: np.asarray(panel.bars[role][rows]) for role in ("open", "high", "low", "close")}
        high, low = bars["high"], bars["low"]
        top, bottom = np.maximum(bars["open"], bars["close"]), np.minimum(bars["open"], bars["close"])
        outside = (top > high * (1 + OUTSIDE)) | (bottom < low * (1 - OUTSIDE))
        in_its_unit = (top < 2 * high) & (bottom > low / 2) & (low <= high)  # else another check tells of it
        bad.add(panel, outside & in_its_unit, high, rows)
        known += int(np.isfinite(high).sum())
    if not 0 < bad.count <= RARE * known:  # more of them are a way of adjusting, not damage
        return []
    law, way = "open and close should lie between low and high", "Look whether these rows are damaged."
    return [doubt("price outside its day", panel.columns.roles["high"], bad.count, "row", bad.first, law, way)]


def bars_without_ranges(panel: Panel) -> list[Finding]:
    """Days on which most stocks' high is their low: closes in the place of bars, of which no lock can be seen."""
    if not {"high", "low"} <= panel.bars.keys():
        return []
    days = [np.zeros(0, np.int64)]
    for rows in panel.stretches():
        bars = {role: np.asarray(panel.bars[role][rows]) for role in ("high", "low")}
        days.append(rows.start + np.flatnonzero(without_ranges(bars)))
    found = np.concatenate(days)
    if not len(found):
        return []
    law = "high and low should differ, or a day locked at its price limit cannot be told from others"
    way = "Bring bars with ranges, or mask locked days in a volume of 0."
    about = f"first: {panel.axes.dates[found[0]]}"
    return [doubt("bars without a range", panel.columns.roles["high"], len(found), "day", about, law, way)]


def _crossed_prices(panel: Panel) -> list[Finding]:
    if "high" not in panel.bars or "low" not in panel.bars:
        return []
    bad, known = Cells(), 0
    for rows in panel.stretches():
        high, low = np.asarray(panel.bars["high"][rows]), np.asarray(panel.bars["low"][rows])
        known += int(np.isfinite(high).sum())
        bad.add(panel, high < low * (1 - 1e-5), high, rows)
    if not bad.count:
        return []
    make = error if bad.count > 0.01 * known else doubt
    law, way = "high must not be below low", "Correct the rows, or map the columns the right way round."
    return [make("high below low", panel.columns.roles["high"], bad.count, "row", bad.first, law, way)]


def absurd_returns(panel: Panel) -> list[Finding]:
    """Closes that rise or fall beyond belief from one row of a stock to the next, and the panel's own such returns."""
    found = _absurd_factors(panel, "close", _Changes(panel)) if "close" in panel.bars else []
    if "returns" not in panel.bars:
        return found
    sizes = sizes_on(panel.bars["returns"], sampled_days(len(panel.axes.dates)))
    if "close" in panel.bars and len(sizes) and (size := float(np.median(sizes))) > LARGE_MEDIAN:
        law, way = "a return should be a fraction (0.01 is 1%)", "Divide percents by 100, or exclude the column."
        name = panel.columns.roles["returns"]
        return [*found, doubt("large return", name, 1, "column", f"median size {size:.3g}", law, way)]
    return found + _absurd_factors(panel, "returns", _Returns(panel))


def _absurd_factors(panel: Panel, role: str, factors: _Changes | _Returns) -> list[Finding]:
    column, what = panel.columns.roles[role], {"close": "a close", "returns": "a stock"}[role]
    limits, absurd, large = panel.config.inspection, Cells(), Cells()
    for rows in panel.stretches():
        factor = factors.of(rows)
        beyond = (factor >= limits.max_factor) | (factor <= 1 / limits.max_fall)
        absurd.add(panel, beyond, factor, rows)
        large.add(panel, ~beyond & ((factor >= DOUBTFUL_FACTOR) | (factor <= 1 / DOUBTFUL_FACTOR)), factor, rows)
    found = []
    if absurd.count:
        law = f"{what} must not rise {limits.max_factor:g}-fold or fall to 1/{limits.max_fall:g} between two rows"
        way = "Adjust for splits or correct the rows; where it is real, raise inspection.max_factor or max_fall."
        found.append(error("absurd return", column, absurd.count, "row", absurd.first, law, way))
    if large.count:
        law, way = f"{what} seldom doubles or halves in a day", "Look whether these are splits that were not adjusted."
        found.append(doubt("large return", column, large.count, "row", large.first, law, way))
    return found


def raw_prices(panel: Panel) -> list[Finding]:
    """A raw close where an adjusted one lies beside it."""
    adjusted = panel.columns.unused_adjusted_close
    if adjusted is None:
        return []
    law = "prices should be adjusted for splits and dividends, all of them alike"
    way = "Adjust open, high, low and close by the same factor, or map columns.close to it if nothing else is used."
    return [doubt("raw prices", panel.columns.roles["close"], 1, "column", f"{adjusted} is unused", law, way)]


class _Changes:
    """Factors from one row of a stock to its next, across stretches."""

    def __init__(self, panel: Panel) -> None:
        self.close = panel.bars["close"]
        self.last = np.full(panel.present.shape[1], np.nan)

    def of(self, rows: slice) -> np.ndarray:
        close = np.asarray(self.close[rows])
        factor = np.full(close.shape, np.nan)
        for row in range(len(close)):
            known = np.isfinite(close[row])
            with np.errstate(divide="ignore", invalid="ignore"):
                factor[row, known] = close[row, known] / self.last[known]
            self.last = np.where(known, close[row], self.last)
        return factor


class _Returns:
    """The same from the panel's own one-day returns."""

    def __init__(self, panel: Panel) -> None:
        self.returns = panel.bars["returns"]

    def of(self, rows: slice) -> np.ndarray:
        return 1 + np.asarray(self.returns[rows])


def stale_prices(panel: Panel) -> list[Finding]:
    """Closes that stand still for weeks: a halted, dead or filled-forward stock."""
    role = next((role for role in ("close", "returns") if role in panel.bars), None)
    if role is None:
        return []
    last = np.full(panel.present.shape[1], 0.0 if role == "returns" else np.nan)
    run = np.zeros(panel.present.shape[1], np.int64)
    first: dict[int, str] = {}
    for rows in panel.stretches():
        for offset, value in enumerate(np.asarray(panel.bars[role][rows])):
            known = np.isfinite(value)
            run = np.where(known, np.where(value == last, run + 1, 0), run)
            if role == "close":
                last = np.where(known, value, last)
            for stock in np.flatnonzero(run == STALE_DAYS):
                first.setdefault(int(stock), panel.name(rows.start + offset, int(stock)))
    if not first:
        return []
    law = f"a close seldom stands still for {STALE_DAYS} rows"
    way = "Remove rows that were filled forward, or set universe.min_turnover."
    return [
        doubt("stale prices", panel.columns.roles[role], len(first), "stock", f"first: {min(first.values())}", law, way)
    ]
