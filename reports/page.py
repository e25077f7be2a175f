"""One self-contained HTML page: styles, plotly.js and every figure inside, so that it opens with no network."""

from __future__ import annotations

import html
from collections.abc import Sequence

from plotly.offline import get_plotlyjs

from reports.section import Section

STYLE = """
:root { color-scheme: light dark; --ink: #1c2430; --soft: #5b6675; --line: #d9dee5; --paper: #ffffff;
  --accent: #2f6fde; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e6e9ee; --soft: #9aa5b4; --line: #313a46; --paper: #14181f; --accent: #7aa7ff; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 1.2rem; max-width: 72rem; color: var(--ink); background: var(--paper);
  font: 16px/1.5 system-ui, -apple-system, "Segoe UI", sans-serif; }
h1 { font-size: 1.6rem; margin: 0; overflow-wrap: anywhere; } h2 { font-size: 1.2rem; margin: 2.2rem 0 .2rem; }
nav { display: flex; flex-wrap: wrap; gap: .2rem 1rem; padding: .6rem 0; border-bottom: 1px solid var(--line); }
a { color: var(--accent); } .lead { color: var(--soft); margin: .2rem 0 .8rem; max-width: 60rem; }
.headline { font-size: 1.25rem; margin: .6rem 0; }
.scroll { overflow-x: auto; margin: .6rem 0; } figure { margin: .4rem 0; min-width: 0; }
table { border-collapse: collapse; font-size: .9rem; font-variant-numeric: tabular-nums; }
th, td { padding: .3rem .7rem; text-align: left; border-bottom: 1px solid var(--line); white-space: nowrap; }
td.number { text-align: right; }
pre { overflow-x: auto; font-size: .8rem; } summary { cursor: pointer; color: var(--accent); }
footer { margin-top: 2rem; color: var(--soft); font-size: .85rem; }
@media print { nav { display: none; } section { break-inside: avoid; } }
"""

# Plotly draws text in a fixed colour; this gives it the page's, also when the reader turns dark mode on or off.
INK = """
function ink() {
  const colour = getComputedStyle(document.body).color;
  document.querySelectorAll('.js-plotly-plot').forEach(plot => Plotly.relayout(plot, {'font.color': colour}));
}
addEventListener('load', ink);
matchMedia('(prefers-color-scheme: dark)').addEventListener('change', ink);
"""


def render(title: str, sections: Sequence[Section]) -> str:
    """The whole page."""
    links = "".join(f'<a href="#{s.anchor}">{html.escape(s.title)}</a>' for s in sections)
    body = "".join(_section(section) for section in sections)
    return (
        '<!DOCTYPE html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{html.escape(title)}</title><style>{STYLE}</style><script>{get_plotlyjs()}</script></head>"
        f"<body><h1>{html.escape(title)}</h1><nav>{links}</nav><main>{body}</main>"
        f"<footer>Made from the study's store alone.</footer><script>{INK}</script></body></html>"
    )


def _section(section: Section) -> str:
    return (
        f'<section id="{section.anchor}"><h2>{html.escape(section.title)}</h2>'
        f'<p class="lead">{html.escape(section.lead)}</p>{"".join(section.pieces)}</section>'
    )
