"""The monitor's page: what each check says, then the pictures behind it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
import plotly.graph_objects as go

from reports.monitoring.band import year_bound
from reports.monitoring.checks import Check, worst
from reports.monitoring.drift import Drift
from reports.monitoring.observed import LiveSkill, Observed
from reports.monitoring.thresholds import Thresholds
from reports.page import render
from reports.section import Section, figure, in_days, nothing, paragraph, signed, table

INK, SOFT, ALARM = "#2f6fde", "rgba(128,128,128,0.6)", "#d1495b"
SHOWN = 40  # columns of a picture; the table has all of them
QUIET = {"ok": "Nothing out of the ordinary.", "unknown": "Nothing is known yet."}
LOUD = {"alarm": "Alarm", "watch": "Worth a look"}


def monitor_page(observed: Observed, checks: Sequence[Check], limits: Thresholds) -> str:
    """One HTML file that works offline."""
    sections = [
        _summary(observed, checks),
        _skill(observed.skill, limits),
        _drift("scores", "Scores", observed.scores, limits),
        _drift("features", "Features", observed.features, limits),
        _method(),
    ]
    made = dt.datetime.now(dt.UTC).isoformat(" ", "minutes")
    footer = f"Folder and SHA-256 of the bundle: {observed.bundle}; weights {observed.weights}; made {made}."
    return render(f"Monitor of {observed.day}", sections, footer=footer)


def as_dict(observed: Observed, checks: Sequence[Check]) -> dict[str, Any]:
    """The same for programs: state, checks, and the numbers behind them."""
    plain: dict[str, Any] = {
        name: getattr(observed, name)
        for name in ("bundle", "weights", "learned", "day", "stretch", "num_stocks", "num_new", "memory_mib")
    }
    for name in ("features", "scores"):
        found = getattr(observed, name)
        plain[name] = found if isinstance(found, str) else found.columns.round(6).to_dict(orient="index")
    skill = observed.skill
    if not isinstance(skill, str):
        known = {
            day: None if np.isnan(v) else round(float(v), 6) for day, v in zip(skill.dates, skill.rank_ic, strict=True)
        }
        plain["rank_ic"] = {"expected": asdict(skill.expected), "daily": known}
    return {"state": worst(checks), "checks": [each._asdict() for each in checks], **plain}


def _summary(observed: Observed, checks: Sequence[Check]) -> Section:
    lead = (
        f"Days {observed.stretch[0]} .. {observed.stretch[1]} against those that the network learned from, "
        f"through {observed.learned}."
    )
    pieces = [f'<p class="headline"><b>{_headline(checks)}</b></p>']
    if observed.num_learned:
        pieces.append(paragraph(f"{observed.num_learned} of these days were learned from: they cannot tell much."))
    pieces.append(table(("check", "state", "finding"), [tuple(each) for each in checks]))
    return Section("summary", "Summary", lead, tuple(pieces))


def _headline(checks: Sequence[Check]) -> str:
    """'Alarm: features. Worth a look: scores.', or that nothing is."""
    named = {state: ", ".join(each.name for each in checks if each.state == state) for state in LOUD}
    return " ".join(f"{LOUD[state]}: {names}." for state, names in named.items() if names) or QUIET[worst(checks)]


def _skill(skill: LiveSkill | str, limits: Thresholds) -> Section:
    title, window = "Rolling RankIC", limits.rank_ic_days
    lead = (
        f"Mean daily RankIC of the last {window} days whose labels are known. The broken line is what was confirmed; a "
        f"network that is as good as that stays above the red one on all mornings of a year, 19 years in 20."
    )
    if isinstance(skill, str):
        return nothing("rank-ic", title, lead, skill)
    known = np.isfinite(skill.rank_ic)
    dates, daily = np.array(skill.dates)[known], skill.rank_ic[known]
    if len(daily) < window:
        told = f"{len(daily)} days are known, mean {signed(float(daily.mean()) if len(daily) else None)}"
        return nothing("rank-ic", title, lead, told)
    rolling = np.convolve(daily, np.full(window, 1 / window), mode="valid")
    expected = skill.expected
    limit = expected.lower_limit(window, year_bound(window, expected.horizon))
    fig = go.Figure(go.Scatter(x=dates[window - 1 :], y=rolling, name=f"last {window} days", line={"color": INK}))
    fig.add_hline(y=expected.mean, line={"dash": "dash", "color": SOFT})
    fig.add_hline(y=limit, line={"color": ALARM})
    fig.add_hline(y=0, line={"color": SOFT, "width": 1})
    fig.update_yaxes(title_text=f"RankIC at {in_days(expected.horizon)}")
    told = (
        f"Expected {signed(expected.mean)}, of {expected.source}; alarm below {signed(limit)}; now "
        f"{signed(float(rolling[-1]))}. All {len(daily)} days since: {signed(float(daily.mean()))}."
    )
    return Section("rank-ic", title, lead, (paragraph(told), figure(fig, 320, "rolling mean of daily RankIC")))


def _drift(anchor: str, title: str, found: Drift | str, limits: Thresholds) -> Section:
    lead = (
        "How far the distribution is from the one that was learned from (for scores: that they were scored by). A bar "
        f"is the PSI, the mark beside it what nine of ten earlier periods stayed below; from the broken line on, "
        f"at {limits.psi:g}, it matters."
    )
    if isinstance(found, str):
        return nothing(anchor, title, lead, found)
    columns = found.columns
    top = columns.head(SHOWN).iloc[::-1]
    fig = go.Figure(
        [
            go.Bar(x=top["psi"], y=list(top.index), orientation="h", marker={"color": INK}, name="PSI"),
            go.Scatter(
                x=top["usual_psi"],
                y=list(top.index),
                mode="markers",
                marker={"symbol": "line-ns", "size": 14, "line": {"color": ALARM, "width": 3}},
                name="usually up to",
            ),
        ]
    )
    fig.add_vline(x=limits.psi, line={"dash": "dash", "color": SOFT})
    fig.update_yaxes(type="category")
    headings = (
        *("column", "PSI", "PSI, usually up to", "KS", "KS, usually up to", "missing", "missing, usually up to"),
        "earlier periods with as large a PSI",
    )
    rows = [
        (
            name,
            f"{row.psi:.3f}",
            f"{row.usual_psi:.3f}",
            f"{row.ks:.3f}",
            f"{row.usual_ks:.3f}",
            f"{row.missing:.1%}",
            f"{row.usual_missing:.1%}",
            f"{row.alike:.0%}",
        )
        for name, row in columns.iterrows()
    ]
    told = paragraph(
        f"Held against {found.num_stretches} earlier periods of as many days; first what is most times its usual PSI."
    )
    pieces = (told, figure(fig, 90 + 22 * len(top), f"PSI of {title.lower()}"), table(headings, rows))
    return Section(anchor, title, lead, pieces)


def _method() -> Section:
    pieces = (
        "PSI: population stability index by deciles of what was learned from, missing values a bin of their own; KS: "
        "the largest difference of distribution functions, at percentiles.",
        "Stocks of one day move together, so bounds for independent rows are passed every month. Each period is "
        "held against all earlier ones instead: an alarm is a column that both matters and drifted as never before.",
        "The bound of the rolling RankIC is simulated for somebody who looks every morning, with labels that overlap.",
    )
    return Section("method", "Method", "How to read it.", tuple(paragraph(each) for each in pieces))
