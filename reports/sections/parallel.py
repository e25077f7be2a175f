"""Every COMPLETE search trial as a line through its parameters."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go
from plotly.colors import sample_colorscale

from reports.evidence import Evidence
from reports.section import Section, figure, nothing
from storage.record import TrialRecord

TITLE = "Parallel coordinates"
LEAD = (
    "COMPLETE trials of the search through the parameters that all of them have, each axis from its smallest value to "
    "its largest; the brighter, the better. It shows where the search looked, not what causes what."
)
FEWEST, MOST = 2, 150  # trials; of more, the best
DARKEST, BRIGHTEST = 0.25, 0.85  # of the colour scale
RATIO = 20.0  # of the largest to the smallest value of an axis, from which on it is logarithmic


def build(evidence: Evidence) -> Section:
    records = [r for r in (evidence.search.compared if evidence.search else []) if r.state == "COMPLETE" and r.params]
    records = sorted(records, key=lambda record: record.value or 0.0)[-MOST:]  # the best are drawn last, on top
    names = _common(records)
    if len(records) < FEWEST or not names:
        return nothing("parallel", TITLE, LEAD, "fewer than two COMPLETE trials have a parameter in common")
    axes = [places([record.params[name] for record in records]) for name in names]
    values = places([record.value or 0.0 for record in records])
    fig = go.Figure()
    for n, record in enumerate(records):
        shown = [str(record.params[name]) for name in names]
        fig.add_scatter(
            x=[*names, "RankIC"],
            y=[*(axis[n] for axis in axes), values[n]],
            text=[*shown, f"{record.value or 0.0:+.4f}"],
            mode="lines+markers",
            line={"color": _colour(values[n]), "width": 1.5},
            marker={"size": 5},
            showlegend=False,
            hovertemplate=f"trial {record.number}<br>%{{x}}: %{{text}}<extra></extra>",
        )
    fig.update_yaxes(showticklabels=False, title="smallest to largest")
    return Section("parallel", TITLE, LEAD, (figure(fig, 420, "parameters and value of every COMPLETE trial"),))


def places(values: Sequence[Any]) -> list[float]:
    """0 to 1 along an axis: numbers evenly, or by their logarithm where they span decades; others in order of name."""
    if not all(isinstance(value, int | float) and not isinstance(value, bool) for value in values):
        kinds = sorted(set(map(str, values)))
        return [kinds.index(str(value)) / max(1, len(kinds) - 1) for value in values]
    low, high = min(values), max(values)
    if low > 0 and high / low > RATIO:
        values, low, high = [math.log(value) for value in values], math.log(low), math.log(high)
    return [float(place) for place in (np.array(values, float) - low) / ((high - low) or 1.0)]


def _colour(place: float) -> str:
    """The middle of the scale, which is seen on a light page and on a dark one."""
    return str(sample_colorscale("Plasma", [DARKEST + (BRIGHTEST - DARKEST) * place])[0])


def _common(records: list[TrialRecord]) -> list[str]:
    """Parameters that every trial has, and that are not the same in all."""
    if not records:
        return []
    common = set.intersection(*(set(record.params) for record in records))
    return [name for name in records[0].params if name in common and len({str(r.params[name]) for r in records}) > 1]
