"""Learning curves of the search: every step that a trial ran, pruned ones marked where they ended."""

from __future__ import annotations

import plotly.graph_objects as go

from reports.evidence import Evidence
from reports.rungs import rung_trust
from reports.section import Section, figure, paragraph
from storage.record import TrialRecord

LEAD = "Validation RankIC per epoch. A cross ends a trial that was stopped early; hover names trial and reason."
STYLES = {"COMPLETE": ("#2a9d6f", "solid"), "PRUNED": ("#d9822b", "dot"), "FAIL": ("#c43d5a", "dash")}


def build(evidence: Evidence) -> Section:
    title = "Learning curves"
    records = [r for r in (evidence.search.records if evidence.search else []) if r.curve]
    if not records:
        return Section("curves", title, LEAD, (paragraph("Nothing to show yet: no search trial has ended an epoch."),))
    drawn = figure(_curves(records), 420, "validation RankIC per epoch and trial")
    return Section("curves", title, LEAD, (drawn, paragraph(_trust(evidence, records))))


def _trust(evidence: Evidence, records: list[TrialRecord]) -> str:
    """Whether ASHA's cuts can be trusted, as far as this study knows."""
    rungs = evidence.search.attributes.get("rungs", []) if evidence.search else []
    if not rungs:
        return "No trial was stopped early by rank."
    told = "; ".join(rung.in_words for rung in rung_trust(records, rungs))
    return (
        f"Rank correlation of the value at a rung, by which ASHA cuts, with the final one: {told}. Only trials that "
        f"came to their end can be counted, which flatters the rung."
    )


def _curves(records: list[TrialRecord]) -> go.Figure:
    fig = go.Figure()
    seen: set[str] = set()
    for record in records:
        colour, dash = STYLES.get(record.state, ("#2f6fde", "solid"))
        epochs = [result["epoch"] for result in record.curve]
        values = [result["value"] for result in record.curve]
        ended_early = record.state in ("PRUNED", "FAIL")
        symbols = ["circle"] * (len(epochs) - 1) + ["x" if ended_early else "circle"]
        fig.add_scatter(
            x=epochs,
            y=values,
            mode="lines+markers",
            name=record.state,
            legendgroup=record.state,
            showlegend=record.state not in seen,
            line={"color": colour, "dash": dash, "width": 1.5},
            marker={"symbol": symbols, "size": [5] * (len(epochs) - 1) + [10 if ended_early else 5], "color": colour},
            hovertemplate=f"trial {record.number} {record.state} ({record.reason or 'unfinished'})<br>"
            "epoch %{x}: %{y:+.4f}<extra></extra>",
        )
        seen.add(record.state)
    fig.update_xaxes(title="epoch", dtick=1)
    fig.update_yaxes(title="RankIC")
    return fig
