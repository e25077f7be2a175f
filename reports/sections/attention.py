"""Whom the winner's network hears: features, stock pairs, sectors, and what an edge is worth by leaving it out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import plotly.graph_objects as go
from scipy import stats

from reports.evidence import Evidence
from reports.inside import find_inside
from reports.section import Section, figure, nothing, paragraph, table

TITLE = "What the winner looks at"
LEAD = (
    "Three scored days of the last confirm fold, seed 0. Attention is what a network weighs, and need not be what it "
    "needs: beside it stands by how much the day's scores move when an edge is left out. It describes one network, and "
    "decides nothing."
)
FEWEST = 5  # edges for a rank correlation


def build(evidence: Evidence) -> Section:
    found = find_inside(evidence)
    if isinstance(found, str):
        return nothing("attention", TITLE, LEAD, found)
    content = found.content
    pieces = [paragraph(found.in_words), *_features(content), *_neighbours(content)]
    if not content["pairs"]:
        pieces.append(paragraph("Nothing to show of its neighbours: it hears nobody with attention."))
    else:
        pieces += [*_sectors(content["sectors"]), *_pairs(content["pairs"]), *_edges(content["edges"])]
    return Section("attention", TITLE, LEAD, tuple(pieces))


def _features(content: Mapping[str, Any]) -> list[str]:
    rows = [(name, f"{weight:.3f}") for name, weight in content["features"].items()]
    body = table(("feature", "weight; 1 is an equal share"), rows)
    return [f"<details><summary>Features of the largest weight</summary>{body}</details>"]


def _neighbours(content: Mapping[str, Any]) -> list[str]:
    share = content["neighbours_share"]
    return [] if share is None else [paragraph(f"Of what a stock is scored by, {share:.0%} comes from its neighbours.")]


def _sectors(sectors: Mapping[str, Any]) -> list[str]:
    """A row per sector that hears."""
    names = sectors["names"]
    if len(names) < 2:
        return []
    fig = go.Figure(go.Heatmap(z=sectors["mass"], x=names, y=names, colorscale="Blues", zmin=0))
    fig.update_traces(hovertemplate="%{y} hears %{x}: %{z:.1%}<extra></extra>", colorbar={"tickformat": ".0%"})
    fig.update_yaxes(autorange="reversed", title="who hears")
    fig.update_xaxes(title="who is heard")
    return [figure(fig, 140 + 28 * len(names), "share of each sector's attention, by the sector that is heard")]


def _pairs(pairs: list[list[Any]]) -> list[str]:
    rows = [(source, target, f"{weight:.3f}", days) for source, target, weight, days in pairs]
    return [table(("heard", "by", "attention", "days"), rows)]


def _edges(edges: list[list[Any]]) -> list[str]:
    """From the most to the least heard, of the last day."""
    if not edges:
        return []
    rows = [(source, target, f"{weight:.3f}", f"{moved:.4f}") for source, target, weight, moved in edges]
    body = table(("left out", "of whom", "attention", "scores move by, in their deviations"), rows)
    return [paragraph(_agreement(edges)), f"<details><summary>Edges left out, one by one</summary>{body}</details>"]


def _agreement(edges: list[list[Any]]) -> str:
    weights, moves = ([edge[place] for edge in edges] for place in (2, 3))
    if len(edges) < FEWEST or min(map(len, map(set, (weights, moves)))) < 2:
        return f"{len(edges)} edges were left out: too few to say whether attention tells what matters."
    correlation = float(stats.spearmanr(weights, moves).statistic)
    return (
        f"Left out one by one, {len(edges)} edges from the most to the least heard: rank correlation of attention and "
        f"of what leaving out moves {correlation:+.2f}."
    )
