"""What the winner would have earned on the confirm folds, after costs, and what it was exposed to."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import plotly.graph_objects as go

from reports.evidence import Evidence
from reports.section import Section, figure, in_days, nothing, paragraph, table

TITLE = "Backtest of the winner"
LEAD = (
    "The mean rank that the winner's seeds gave each stock, traded on the confirm folds: the best tenth bought, the "
    "worst tenth sold short or left out, held for the horizon in overlapping tranches, filled one close after the "
    "score where the stock could be traded. One path of one market: it is told, and decides nothing."
)
NAMES = {"long_short": "long and short", "long_only": "long only"}
HEADINGS = (
    "portfolio",
    "net a year, compounded",
    "volatility",
    "Sharpe ratio, of daily means",
    "largest fall",
    "break-even cost",
    "traded a day",
    "over the universe a year",
    "not filled",
    "names",
)
YEAR = 252


def build(evidence: Evidence) -> Section:
    found = evidence.backtest
    if found is None:
        return nothing("backtest", TITLE, LEAD, "the confirm stage has not ended, or no winner was confirmed")
    if "why" in found:
        return nothing("backtest", TITLE, LEAD, str(found["why"]))
    told = f"{found['num_trials']} trials of {found['arm']}, horizon {in_days(found['horizon'])}. {_costs(found)}"
    pieces = (
        _curves(found["sides"]),
        table(HEADINGS, [row(NAMES[side], one) for side, one in found["sides"].items()]),
        paragraph(told),
        *_exposures(found),
    )
    return Section("backtest", TITLE, LEAD, pieces)


def _costs(found: Mapping[str, Any]) -> str:
    sections = "".join(f", {name} {bps:g}" for name, bps in found["section_bps"].items())
    lots = f"; lots at a capital of {found['capital']:,.0f}" if found["capital"] else ""
    short = (
        "what the panel calls shortable is sold short" if found["has_shortable"] else "every stock can be sold short"
    )
    return f"One-way cost {found['cost_bps']:g} basis points{sections}; {_borrowing(found)}; {short}{lots}."


def _borrowing(found: Mapping[str, Any]) -> str:
    fee = found["borrow_fee"]
    asked = f"{fee:.2%} a year" if fee else "nothing (trial.backtest --borrow-fee)"
    if not found["has_fees"]:
        return f"borrowing costs {asked}"
    rest = found["borrow_assumed"]
    return "borrowing costs the panel's fees" + (f", for {rest:.0%} of it not known: {asked}" if rest else "")


def _curves(sides: Mapping[str, Any]) -> str:
    fig = go.Figure()
    for side, one in sides.items():
        value = np.cumprod(1 + np.array([*one["net"].values()])) - 1
        fig.add_scatter(x=[*one["net"]], y=value, mode="lines", name=NAMES[side])
    fig.update_yaxes(title="net, compounded", tickformat=".1%")
    return figure(fig, 320, "net value of the winner's portfolios over the confirm folds")


def row(name: str, one: Mapping[str, Any]) -> tuple[str, ...]:
    """Of the table."""
    return (
        name,
        f"{one['annual_return']:+.1%}",
        _share(one["annual_volatility"]),
        "-" if one["sharpe"] is None else f"{one['sharpe']:+.2f}",
        f"{one['max_drawdown']:.1%}",
        break_even(one),
        f"{one['turnover']:.0%}",
        f"{one['excess_mean'] * YEAR:+.1%}",
        f"{one['unfilled_share']:.1%}",
        f"{one['num_long']:.0f} + {one['num_short']:.0f}" if one["num_short"] else f"{one['num_long']:.0f}",
    )


def break_even(one: Mapping[str, Any]) -> str:
    """The one-way cost at which nothing is left."""
    return "-" if one["break_even_bps"] is None else f"{one['break_even_bps']:+.1f} bps"


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.1%}"


def _exposures(found: Mapping[str, Any]) -> list[str]:
    """Of the long-short weights."""
    rows = [(name, f"{value:+.2f}") for name, value in found.get("exposures", {}).items()]
    pieces = []
    if rows:
        pieces += [table(("factor", "mean exposure, in deviations of the day"), rows)]
    sectors = sorted(found.get("sectors", {}).items(), key=lambda item: -abs(item[1]))
    if sectors:
        body = table(("sector", "mean net weight"), [(name, f"{weight:+.1%}") for name, weight in sectors])
        pieces += [f"<details><summary>Net weight by sector</summary>{body}</details>"]
    return pieces
