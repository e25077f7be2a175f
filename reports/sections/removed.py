"""What FAN, SAN or RevIN take out of the windows before the encoder sees them."""

from __future__ import annotations

from collections.abc import Sequence

import plotly.graph_objects as go

from reports.evidence import Evidence
from reports.inside import find_inside
from reports.section import Section, figure, nothing, paragraph

TITLE = "What normalisation removes"
LEAD = (
    "Of the winner's network on three scored days of the last confirm fold, mean over stocks and channels: the "
    "frequencies that FAN takes out of a window, and the level and spread that SAN takes out of each of its slices, in "
    "units of the hidden state. What is removed is added back, as predicted, after the encoder."
)


def build(evidence: Evidence) -> Section:
    found = find_inside(evidence)
    if isinstance(found, str):
        return nothing("removed", TITLE, LEAD, found)
    removed = found.content["removed"]
    if not removed:
        return nothing("removed", TITLE, LEAD, "the winner normalises nothing, or by no block that removes anything")
    pieces = [paragraph(found.in_words)]
    if "frequency" in removed:
        energy = f" Together they are {removed['energy'][0]:.0%} of a window's energy." if "energy" in removed else ""
        window = 2 * (len(removed["frequency"]) - 1)
        pieces += [
            paragraph(f"FAN: share of channels that lose a frequency, in windows of about {window} days.{energy}"),
            _frequencies(removed["frequency"]),
        ]
    if "mean" in removed:
        pieces += [paragraph(_slices(removed["mean"])), _levels(removed["mean"], removed["deviation"])]
    return Section("removed", TITLE, LEAD, tuple(pieces))


def _slices(mean: Sequence[float]) -> str:
    if len(mean) == 1:
        return "The whole window has one level and one spread."
    return f"{len(mean)} slices of the window, the oldest first: size of the level, and spread, that are taken out."


def _frequencies(share: Sequence[float]) -> str:
    fig = go.Figure(go.Bar(x=[*range(len(share))], y=list(share), marker_color="#2f6fde"))
    fig.update_xaxes(title="cycles per window", dtick=1)
    fig.update_yaxes(title="share of channels", tickformat=".0%")
    return figure(fig, 260, "frequencies that FAN removes")


def _levels(mean: Sequence[float], deviation: Sequence[float]) -> str:
    fig = go.Figure()
    for name, values in (("size of the level", mean), ("spread", deviation)):
        fig.add_scatter(x=[*range(1, len(values) + 1)], y=list(values), mode="lines+markers", name=name)
    fig.update_xaxes(title="slice, the oldest first", dtick=1)
    fig.update_yaxes(title="hidden units", rangemode="tozero")
    return figure(fig, 260, "level and spread that are removed, by slice")
