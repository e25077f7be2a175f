"""The ablation: every arm minus the reference, on the same seed and the same days."""

from __future__ import annotations

import pandas as pd
import plotly.graph_objects as go

from reports.evidence import Evidence
from reports.section import Section, figure, paragraph, signed, table
from reports.statistics import MIN_PAIRS, ArmDifference, paired_differences, summarise

LEAD = (
    "Difference of RankIC, arm minus reference, per seed and fold at full budget: left of zero, turning the switch "
    "costs skill. Bars are 95 % t intervals, simultaneous over the arms; pairs share days and seeds, so they are "
    "descriptive and exploratory."
)
COLOURS = ("#2f6fde", "#d9822b", "#2a9d6f", "#a64ac9", "#c43d5a", "#7a7a2e", "#3aa6b9", "#8a5a44")


def build(evidence: Evidence) -> Section:
    title = "Paired differences of the confirm arms"
    if evidence.confirm is None:
        return Section("confirm", title, LEAD, (paragraph("Nothing to show: the confirm stage was not run."),))
    reference = evidence.confirm.attributes["reference_arm"]
    differences = paired_differences(evidence.confirm.compared, reference)
    if not differences["difference"].notna().any():
        return Section(
            "confirm",
            title,
            LEAD,
            (paragraph("Nothing to show yet: no arm and the reference completed a common pair."),),
        )
    summaries = summarise(differences)
    about = evidence.confirm.attributes["arm_summaries"]
    pieces: tuple[str, ...] = (
        figure(_forest(differences, summaries), 90 + 55 * len(summaries), "arm minus reference, one dot per pair"),
        table(
            ("arm", "mean", "95 % low", "95 % high", "pairs", "missing", "what it turns"),
            [
                (d.arm, *map(signed, (d.mean, d.low, d.high)), d.num_pairs, d.num_missing, about.get(d.arm, ""))
                for d in summaries
            ],
        ),
        "<details><summary>Every pair</summary>"
        + table(
            ("arm", "seed", "fold", "arm's RankIC", "reference's", "difference"),
            [
                (row["arm"], row["seed"], row["fold"], *(signed(row[c]) for c in ("value", "reference", "difference")))
                for row in differences.to_dict("records")
            ],
        )
        + "</details>",
    )
    if any(0 < d.num_pairs < MIN_PAIRS for d in summaries):
        pieces = (*pieces, paragraph(f"Fewer than {MIN_PAIRS} pairs have no interval: give more --seeds."))
    return Section("confirm", title, LEAD, pieces)


def _forest(differences: pd.DataFrame, summaries: list[ArmDifference]) -> go.Figure:
    fig = go.Figure()
    for position, (fold, group) in enumerate(differences.dropna().groupby("fold")):
        fig.add_scatter(
            x=group["difference"],
            y=group["arm"],
            mode="markers",
            name=str(fold),
            marker={"color": COLOURS[position % len(COLOURS)], "size": 9, "opacity": 0.75},
            customdata=group[["seed", "value", "reference"]].to_numpy(),
            hovertemplate="%{y} seed %{customdata[0]}: %{x:+.4f}<br>%{customdata[1]:+.4f} against "
            "%{customdata[2]:+.4f}<extra></extra>",
        )
    shown = [d for d in summaries if d.num_pairs]
    reach = [d.high - d.mean if d.high == d.high else 0 for d in shown]
    fig.add_scatter(
        x=[d.mean for d in shown],
        y=[d.arm for d in shown],
        mode="markers",
        name="mean, 95 %",
        marker={"symbol": "diamond", "size": 11, "color": "#888888"},
        error_x={"type": "data", "array": reach, "color": "#888888", "thickness": 2},
        hovertemplate="%{y} mean %{x:+.4f}<extra></extra>",
    )
    fig.add_vline(x=0, line_width=1, line_color="#888888")
    fig.update_xaxes(title="RankIC, arm minus reference")
    fig.update_yaxes(autorange="reversed")
    return fig
