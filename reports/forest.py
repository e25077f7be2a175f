"""The forest plot: a row per arm, a dot per seed, the mean with its interval, and the band that nobody would act on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import plotly.graph_objects as go

from reports.inference.long_run import Array
from reports.judged import Judged, short_word
from reports.section import figure

SEED, MEAN = "#2f6fde", "#888888"


class Row(NamedTuple):
    """Of one arm: daily RankIC, arm minus reference."""

    mean: float
    low: float
    high: float
    seeds_S: Array  # mean over days, by seed


def verdict_forest(judged: Judged) -> str:
    """Of the retuned arms, each with its word."""
    rows = {
        f"{arm}<br>{short_word(verdict)}": Row(
            verdict.effect.mean, verdict.low, verdict.high, judged.pairs[arm].d_ST.mean(axis=1)
        )
        for arm, verdict in judged.verdicts.items()
    }
    label = "arm minus reference, with intervals that hold for all arms at once, and verdicts"
    return forest(rows, judged.equivalence, "95 % for all arms at once", label)


def forest(rows: Mapping[str, Row], equivalence: float, interval: str, label: str) -> str:
    """HTML of the figure.

    Args:
        rows: by arm, from the top.
        equivalence: X, half the width of the band.
        interval: what the bars are, for the legend.
        label: for readers who do not see it.
    """
    fig = go.Figure()
    for arm, row in rows.items():
        fig.add_scatter(
            x=row.seeds_S,
            y=[arm] * len(row.seeds_S),
            mode="markers",
            name="a seed",
            showlegend=arm == next(iter(rows)),
            marker={"color": SEED, "size": 8, "opacity": 0.6},
            hovertemplate="%{y}, one seed: %{x:+.4f}<extra></extra>",
        )
    fig.add_scatter(
        x=[row.mean for row in rows.values()],
        y=list(rows),
        mode="markers",
        name=f"mean, {interval}",
        marker={"symbol": "diamond", "size": 11, "color": MEAN},
        error_x={"type": "data", "array": [row.high - row.mean for row in rows.values()], "color": MEAN},
        hovertemplate="%{y} mean %{x:+.4f}<extra></extra>",
    )
    fig.add_vrect(x0=-equivalence, x1=equivalence, fillcolor=MEAN, opacity=0.15, line_width=0)
    fig.add_vline(x=0, line_width=1, line_color=MEAN)
    fig.update_xaxes(title="RankIC, arm minus reference", title_font_size=12)
    fig.update_yaxes(autorange="reversed")
    return figure(fig, 90 + 36 * len(rows), label)
