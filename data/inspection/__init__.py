"""What is wrong, or looks wrong, with a panel, found on its dense arrays before anything trains on them.

Errors refuse: keys, values and columns that no training should see. Doubts warn: what may be real. Every check reads
a stretch of days at a time, so that memory does not grow with the panel. A new check is a function and a line in
`CHECKS`.
"""

from __future__ import annotations

from data.findings import Finding
from data.inspection.columns import empty_columns
from data.inspection.leaks import leaks
from data.inspection.panel import Check, Panel
from data.inspection.prices import absurd_returns, bars_without_ranges, impossible_prices, raw_prices, stale_prices
from data.inspection.rows import calendar_gaps, duplicate_keys, infinite_values, odd_codes
from data.inspection.targets import own_targets
from data.inspection.universe import (
    few_stocks,
    missing_lags,
    numbers_as_text,
    spare_targets,
    survivorship,
    unknown_sectors,
)

CHECKS: tuple[Check, ...] = (
    duplicate_keys,
    odd_codes,
    calendar_gaps,
    infinite_values,
    impossible_prices,
    absurd_returns,
    bars_without_ranges,
    stale_prices,
    raw_prices,
    empty_columns,
    leaks,
    own_targets,
    few_stocks,
    survivorship,
    missing_lags,
    numbers_as_text,
    spare_targets,
    unknown_sectors,
)


def inspect_panel(panel: Panel) -> list[Finding]:
    """All findings, errors first."""
    found = [finding for check in CHECKS for finding in check(panel)]
    return sorted(found, key=lambda finding: finding.severity != "error")
