"""What a section is: a title, a sentence on how to read it, and its pieces of HTML."""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import plotly.graph_objects as go

from reports.evidence import Evidence
from reports.inference.effect import Effect
from reports.inference.verdict import ALPHA

NUMBER = re.compile(r"[+-]?[\d,]*\.?\d+ ?(%|bps|MiB|GiB|h|min|s|ms)?( \*)?")
MARKED = ("alarm", "watch")  # words that stand out
PROSE = 60  # characters of a cell from which on it is a sentence, whose lines break


@dataclass(frozen=True)
class Section:
    """One block of the page; `pieces` are safe HTML."""

    anchor: str
    title: str
    lead: str
    pieces: tuple[str, ...]


Builder = Callable[[Evidence], Section]


def figure(fig: go.Figure, height: int, label: str) -> str:
    """A responsive Plotly figure, described for readers who do not see it."""
    fig.update_layout(
        height=height,
        margin={"l": 10, "r": 10, "t": 10, "b": 10},
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        template="none",
        font={"family": "system-ui, sans-serif", "size": 13},
        legend={"orientation": "h", "yanchor": "bottom", "y": 1.0, "x": 0},
    )
    fig.update_xaxes(automargin=True, gridcolor="rgba(128,128,128,0.25)", zerolinecolor="rgba(128,128,128,0.7)")
    fig.update_yaxes(automargin=True, gridcolor="rgba(128,128,128,0.25)", zerolinecolor="rgba(128,128,128,0.7)")
    body = fig.to_html(
        full_html=False,
        include_plotlyjs=False,
        config={"responsive": True, "displaylogo": False, "displayModeBar": False},
        default_width="100%",
    )
    return f'<figure role="img" aria-label="{html.escape(label)}">{body}</figure>'


def table(headings: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """A table that scrolls sideways on a phone; numbers stand right. The headings of one with several rows sort it."""
    heading_of = _sorting_heading if len(rows) > 1 else _heading
    head = "".join(heading_of(heading) for heading in headings)
    body = "".join("<tr>" + "".join(_cell(value) for value in row) + "</tr>" for row in rows)
    return f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


def paragraph(text: str) -> str:
    return f"<p>{html.escape(text)}</p>"


def signed(value: float | None, digits: int = 4) -> str:
    """A number with its sign, or a dash where there is none."""
    return "–" if value is None or value != value else f"{value:+.{digits}f}"


def in_days(number: int) -> str:
    """A horizon: '1 day', '5 days'."""
    return f"{number} day{'s' * (number != 1)}"


def with_interval(found: Effect) -> str:
    """The mean, and its own 95 % interval."""
    low, high = found.interval(1 - ALPHA)
    return f"{signed(found.mean)} ({signed(low)} .. {signed(high)})"


def short(value: object) -> object:
    """A parameter's value, three digits of it."""
    return f"{value:.3g}" if isinstance(value, float) else value


def probability(p: float) -> str:
    return f"{p:.3f}" if p >= 0.001 else "< 0.001"


def _heading(text: str) -> str:
    return f'<th scope="col">{html.escape(text)}</th>'


def _sorting_heading(text: str) -> str:
    """A button, so that it is reached by Tab and pressed by Enter and Space; the page's script listens to it."""
    return f'<th scope="col" aria-sort="none"><button type="button">{html.escape(text)}</button></th>'


def _cell(value: object) -> str:
    text = html.escape("–" if value is None else str(value))
    if NUMBER.fullmatch(text):
        return f'<td class="number">{text}</td>'
    if text in MARKED:
        return f'<td class="{text}">{text}</td>'
    return f'<td class="prose">{text}</td>' if len(text) > PROSE else f"<td>{text}</td>"


def nothing(anchor: str, title: str, lead: str, why: str) -> Section:
    """A section that has nothing to show, and says why."""
    return Section(anchor, title, lead, (paragraph(f"Nothing to show: {why}."),))
