"""Every COMPLETE search trial as a line through its parameters."""

from __future__ import annotations

from typing import Any

import plotly.graph_objects as go

from reports.evidence import Evidence
from reports.section import Section, figure, nothing
from storage.record import TrialRecord

TITLE = "Parallel coordinates"
LEAD = (
    "COMPLETE trials of the search through the parameters that all of them have; the brighter, the better. Drag along "
    "an axis to keep a range. It shows where the search looked, not what causes what."
)
FEWEST = 2


def build(evidence: Evidence) -> Section:
    records = [r for r in (evidence.search.compared if evidence.search else []) if r.state == "COMPLETE" and r.params]
    names = _common(records)
    if len(records) < FEWEST or not names:
        return nothing("parallel", TITLE, LEAD, "fewer than two COMPLETE trials have a parameter in common")
    values = [record.value or 0.0 for record in records]
    axes = [_axis(name, [record.params[name] for record in records]) for name in names]
    fig = go.Figure(
        go.Parcoords(
            line={"color": values, "colorscale": "Viridis", "showscale": False},
            dimensions=[*axes, {"label": "RankIC", "values": values, "tickformat": "+.3f"}],
            labelangle=-20,
            labelside="bottom",
        )
    )
    return Section("parallel", TITLE, LEAD, (figure(fig, 420, "parameters and value of every COMPLETE trial"),))


def _common(records: list[TrialRecord]) -> list[str]:
    """Parameters that every trial has, and that are not the same in all."""
    if not records:
        return []
    common = set.intersection(*(set(record.params) for record in records))
    return [name for name in records[0].params if name in common and len({str(r.params[name]) for r in records}) > 1]


def _axis(name: str, values: list[Any]) -> dict[str, Any]:
    """Numbers as they are; anything else in the order of its first appearance."""
    if all(isinstance(value, int | float) and not isinstance(value, bool) for value in values):
        return {"label": name, "values": values}
    kinds = list(dict.fromkeys(map(str, values)))
    places = [kinds.index(str(value)) for value in values]
    return {"label": name, "values": places, "tickvals": list(range(len(kinds))), "ticktext": kinds}
