"""Rows that no training should see: repeated keys and values that are no numbers."""

from __future__ import annotations

import numpy as np

from data.findings import Finding, doubt, error
from data.inspection.panel import Panel

LONGEST_GAP = 20  # calendar days; exchanges have closed for two weeks


def duplicate_keys(panel: Panel) -> list[Finding]:
    faults = panel.faults
    if not faults.duplicates:
        return []
    key = f"{panel.columns.roles['date']}, {panel.columns.roles['code']}"
    law, way = "(date, code) must be unique", "Remove the duplicates."
    return [error("duplicate keys", key, faults.duplicates, "row", f"first: {faults.first_duplicate}", law, way)]


def odd_codes(panel: Panel) -> list[Finding]:
    """Codes that are blank, or that only a blank tells from another."""
    odd = [str(code) for code in panel.axes.codes if not code or code != code.strip()]
    if not odd:
        return []
    law, way = "a code must be text without blanks around it", "Correct the rows, or remove them."
    return [error("odd codes", panel.columns.roles["code"], len(odd), "code", f"first: {odd[0]!r}", law, way)]


def calendar_gaps(panel: Panel) -> list[Finding]:
    """Trading days far apart: a wrong date, or months that are missing."""
    days = panel.axes.all_dates
    gaps = np.diff(days).astype(int)
    far = np.flatnonzero(gaps > LONGEST_GAP)
    if not len(far):
        return []
    law = f"trading days are seldom more than {LONGEST_GAP} days apart"
    example = f"first: {days[far[0]]} .. {days[far[0] + 1]}"
    way = "Is a date wrong, or are days missing? Windows count trading days and reach across the gap."
    return [doubt("calendar gap", panel.columns.roles["date"], len(far), "gap", example, law, way)]


def infinite_values(panel: Panel) -> list[Finding]:
    law, way = "values must be finite, fit 32 bits, or be missing", "Write null for what is not known."
    return [
        error("infinite values", name, count, "value", f"first: {panel.faults.first_infinite[name]}", law, way)
        for name, count in panel.faults.infinite.items()
    ]
