"""Days without enough stocks, universes chosen with hindsight, groups without a lag or a sector."""

from __future__ import annotations

import numpy as np

from data.findings import Finding, doubt, error, some
from data.inspection.panel import Panel

MIN_DELISTING_RATE = 0.01  # share of stocks a year; markets lose 2 % to 7 %
QUIET_DAYS = 11  # a stock without a row for so long at the panel's end has ended


def few_stocks(panel: Panel) -> list[Finding]:
    """Days with too few stocks to rank; refused where that is the usual day."""
    daily = np.concatenate([panel.eligible[rows].sum(axis=1) for rows in panel.stretches()])
    least = panel.config.min_stocks
    begun = int(np.argmax(daily > 0))  # a filter by trailing turnover admits nobody at first
    few = np.flatnonzero((daily < least) & ((np.arange(len(daily)) >= begun) | (daily.max(initial=0) == 0)))
    if not len(few):
        return []
    example = f"first: {panel.axes.dates[few[0]]} with {daily[few[0]]}"
    if np.median(daily) < least:
        law = f"a usual day must have at least {least} stocks of the universe"
        way = "Is every stock in the panel? Or lower min_stocks or the universe filter."
        return [error("few stocks", "(universe)", len(few), "day", example, law, way)]
    law = f"a day with fewer than {least} stocks of the universe is left out"
    return [doubt("few stocks", "(universe)", len(few), "day", example, law, "See whether rows are missing.")]


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
    ended = int((last < days - QUIET_DAYS).sum())
    if ended / stocks / years >= MIN_DELISTING_RATE:
        return []
    law = f"about {0.02:.0%} to {0.07:.0%} of a market delist every year"
    example = f"without a row in the last {QUIET_DAYS} days, of {stocks} in {years:.1f} years"
    way = "The universe looks chosen with hindsight: scores will flatter. Add the delisted stocks."
    return [doubt("survivorship", "(universe)", ended, "ended stock", example, law, way)]


def missing_lags(panel: Panel) -> list[Finding]:
    """Features whose names speak of statements, margin or flows, taken as known on their own date."""
    names = panel.columns.unlagged
    if not names:
        return []
    law = "statements, margin and flows are published later than their date"
    way = "Put them into columns.groups with their publication_lag (0 if the date is that of publication)."
    return [doubt("no publication lag", "(columns)", len(names), "column", some(names), law, way)]


def spare_targets(panel: Panel) -> list[Finding]:
    """Targets of the user's own that go unused, because other horizons have none."""
    spare, horizons = panel.columns.spare_targets, ", ".join(map(str, panel.config.horizons))
    if not spare:
        return []
    law = f"the panel's own targets are labels only where each of {horizons} days has one; here labels come from prices"
    way = "Set horizons to those that have a target, or labels.source to prices."
    return [doubt("targets unused", "(columns)", len(spare), "target column", some(spare), law, way)]


def numbers_as_text(panel: Panel) -> list[Finding]:
    """Columns that a program took for text, so that no model will see their numbers."""
    names = panel.columns.numbers_as_text
    if not names:
        return []
    law, way = "a feature must be stored as a number", "Cast them, or add them to columns.exclude."
    return [doubt("numbers as text", "(columns)", len(names), "column", some(names), law, way)]


def unknown_sectors(panel: Panel) -> list[Finding]:
    column = panel.columns.roles.get("sector")
    if column is not None and panel.axes.labels.get("sector"):
        return []
    law, way = (
        "sectors let stocks be compared with their like",
        "Fill the column in, or name it in data.columns.sector.",
    )
    return [doubt("no sector", column or "(columns)", 0, "sector", "", law, way)]
