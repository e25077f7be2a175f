"""The winner's skill month by month: whether it comes from everywhere or from one spring."""

from __future__ import annotations

from collections import defaultdict

import numpy as np
import plotly.graph_objects as go

from reports.daily import by_seed
from reports.deployment import find_winner
from reports.evidence import Evidence
from reports.section import Section, figure, in_days, nothing, paragraph

TITLE = "Calendar of the winner's RankIC"
LEAD = (
    "Mean daily RankIC by month on the confirm folds, over the winner's seeds; hover tells how many days a month has."
)
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def build(evidence: Evidence) -> Section:
    winner = find_winner(evidence)
    if isinstance(winner, str) or evidence.confirm is None:
        return nothing("calendar", TITLE, LEAD, str(winner))
    daily: dict[str, list[float]] = defaultdict(list)
    for skill in by_seed(evidence.confirm.compared, winner.arm, winner.horizon).values():
        for day, value in skill.items():
            daily[day].append(value)
    months = monthly({day: float(np.mean(values)) for day, values in daily.items()})
    above = sum(mean > 0 for mean, _ in months.values())
    told = f"{above} of {len(months)} months are above zero, at {in_days(winner.horizon)}."
    return Section("calendar", TITLE, LEAD, (paragraph(told), _heatmap(months)))


def monthly(daily: dict[str, float]) -> dict[tuple[int, int], tuple[float, int]]:
    """(year, month) -> (mean, number of days), in calendar order."""
    by_month: dict[tuple[int, int], list[float]] = defaultdict(list)
    for day, value in daily.items():
        year, month, *_ = day.split("-")
        by_month[int(year), int(month)].append(value)
    return {month: (float(np.mean(values)), len(values)) for month, values in sorted(by_month.items())}


def _heatmap(months: dict[tuple[int, int], tuple[float, int]]) -> str:
    years = sorted({year for year, _ in months})
    cells = [[months.get((year, month + 1)) for month in range(12)] for year in years]
    largest = max(abs(mean) for mean, _ in months.values()) or 1.0
    fig = go.Figure(
        go.Heatmap(
            z=[[None if cell is None else cell[0] for cell in row] for row in cells],
            text=[["" if cell is None else f"{cell[0]:+.3f}" for cell in row] for row in cells],
            customdata=[[0 if cell is None else cell[1] for cell in row] for row in cells],
            x=MONTHS,
            y=[str(year) for year in years],
            texttemplate="%{text}",
            colorscale="RdBu",
            zmid=0,
            zmin=-largest,
            zmax=largest,
            xgap=2,
            ygap=2,
            showscale=False,
            hoverongaps=False,
            hovertemplate="%{x} %{y}: %{z:+.4f}, %{customdata} days<extra></extra>",
        )
    )
    fig.update_yaxes(autorange="reversed", type="category")
    return figure(fig, 90 + 44 * len(years), "mean daily RankIC by month")
