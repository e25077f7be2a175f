"""Which sampled parameters went with the value, in this search: a description, not a cause."""

from __future__ import annotations

import plotly.graph_objects as go

from reports.evidence import Evidence
from reports.section import Section, figure, paragraph

ENOUGH = 16
FEW = ", which are too few: mostly noise"
LEAD = (
    "PED-ANOVA over COMPLETE trials and the parameters that all of them have. It describes where this search looked; "
    "with few trials it is mostly noise, and it says nothing about causes."
)


def build(evidence: Evidence) -> Section:
    title = "Parameter importances"
    if not evidence.importances:
        return Section(
            "importances",
            title,
            LEAD,
            (paragraph("Nothing to show: too few COMPLETE trials of different parameters."),),
        )
    names, shares = list(evidence.importances), list(evidence.importances.values())
    fig = go.Figure(
        go.Bar(
            x=shares,
            y=names,
            orientation="h",
            marker={"color": "#2f6fde"},
            hovertemplate="%{y}: %{x:.2f}<extra></extra>",
        )
    )
    fig.update_xaxes(title="share")
    fig.update_yaxes(autorange="reversed")
    assert evidence.search is not None
    num = evidence.search.count("COMPLETE")
    told = f"From {num} COMPLETE trials{FEW if num < ENOUGH else ''}."
    drawn = figure(fig, 90 + 34 * len(names), "share per parameter")
    return Section("importances", title, LEAD, (paragraph(told), drawn))
