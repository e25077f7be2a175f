"""Rows that no training should see: repeated keys and values that are no numbers."""

from __future__ import annotations

from data.findings import Finding, error
from data.inspection.panel import Panel


def duplicate_keys(panel: Panel) -> list[Finding]:
    faults = panel.faults
    if not faults.duplicates:
        return []
    key = f"{panel.columns.roles['date']}, {panel.columns.roles['code']}"
    law, way = "(date, code) must be unique", "Remove the duplicates."
    return [error("duplicate keys", key, faults.duplicates, "row", f"first: {faults.first_duplicate}", law, way)]


def infinite_values(panel: Panel) -> list[Finding]:
    law, way = "values must be finite, fit 32 bits, or be missing", "Write null for what is not known."
    return [
        error("infinite values", name, count, "value", f"first: {panel.faults.first_infinite[name]}", law, way)
        for name, count in panel.faults.infinite.items()
    ]
