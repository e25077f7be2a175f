"""One self-contained HTML page: styles, plotly.js and every figure inside, so that it opens with no network."""

from __future__ import annotations

import html
from collections.abc import Sequence
from dataclasses import replace

from plotly.offline import get_plotlyjs

from reports.section import Section, paragraph

LIMIT = 8_000_000  # bytes of a page, 4.8 million of which are plotly.js
LEFT_OUT = (
    "Left out: {megabytes:.1f} MB, with which the page would be larger than {limit:.1f} MB. The store has it all."
)
STYLE = r"""
:root { color-scheme: light dark; --ink: #1c2430; --soft: #5b6675; --line: #d9dee5; --paper: #ffffff;
  --accent: #2f6fde; --alarm: #c22f44; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e6e9ee; --soft: #9aa5b4; --line: #313a46; --paper: #14181f; --accent: #7aa7ff; --alarm: #ff8091; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 1.2rem; max-width: 72rem; color: var(--ink); background: var(--paper);
  font: 16px/1.5 system-ui, -apple-system, "Segoe UI", sans-serif; }
h1 { font-size: 1.6rem; margin: 0; overflow-wrap: anywhere; } h2 { font-size: 1.2rem; margin: 2.2rem 0 .2rem; }
nav { display: flex; gap: .1rem .9rem; padding: .4rem 0; border-bottom: 1px solid var(--line); font-size: .85rem;
  overflow-x: auto; white-space: nowrap; scrollbar-width: thin; }
section:first-child h2 { margin-top: 1rem; } p { margin: .5rem 0; }
a { color: var(--accent); } .lead { color: var(--soft); margin: .2rem 0 .8rem; max-width: 60rem; }
.headline { font-size: 1.25rem; margin: .6rem 0; }
.strip { font-size: .85rem; color: var(--soft); } .strip b { color: var(--ink); }
.scroll { overflow-x: auto; margin: .6rem 0; scrollbar-width: thin;
  background: linear-gradient(to right, var(--paper) 30%, transparent) 0 0 / 2.5rem 100% no-repeat local,
    linear-gradient(to left, var(--paper) 30%, transparent) 100% 0 / 2.5rem 100% no-repeat local,
    linear-gradient(to right, var(--line), transparent) 0 0 / .8rem 100% no-repeat scroll,
    linear-gradient(to left, var(--line), transparent) 100% 0 / .8rem 100% no-repeat scroll; }
figure { margin: .4rem 0; min-width: 0; }
table { border-collapse: collapse; font-size: .9rem; font-variant-numeric: tabular-nums; }
th, td { padding: .3rem .7rem; text-align: left; border-bottom: 1px solid var(--line); white-space: nowrap; }
th { white-space: normal; vertical-align: bottom; min-width: 4.5rem; max-width: 11rem; }
td.number { text-align: right; } td.prose { white-space: normal; min-width: 16rem; }
td.alarm, td.watch { font-weight: 600; } td.alarm { color: var(--alarm); }
th button { font: inherit; text-align: left; color: inherit; background: none; border: 0; padding: 0 1.3em 0 0;
  position: relative; cursor: pointer; }
th button::after { content: "\2195"; content: "\2195" / ""; position: absolute; right: 0; bottom: 0; width: 1.3em;
  text-align: right; color: var(--soft); }
th[aria-sort=ascending] button::after { content: "\25B2"; content: "\25B2" / ""; color: var(--accent); }
th[aria-sort=descending] button::after { content: "\25BC"; content: "\25BC" / ""; color: var(--accent); }
:focus-visible { outline: 2px solid var(--accent); outline-offset: 2px; } #content { outline: none; }
.skip:not(:focus) { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%);
  white-space: nowrap; }
dt { font-weight: 600; margin-top: .6rem; } dd { margin: 0 0 0 1rem; max-width: 60rem; }
pre { overflow-x: auto; font-size: .8rem; } summary { cursor: pointer; color: var(--accent); }
footer { margin-top: 2rem; color: var(--soft); font-size: .85rem; }
@media print { nav, .skip { display: none; } section { break-inside: avoid; } th button { cursor: auto; }
  th[aria-sort] button::after { content: none; } }
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

# A heading's first click sorts upwards, the second downwards, the third gives the report's own order back. Cells that
# begin with a number go by it ('-0.01 (-0.02 .. +0.01)', '1,234', '12 %', '< 0.001'; no date), before those of text;
# empty ones, and those of a dash alone, are last both ways.
SORT = r"""
const NEXT_ORDER = {none: 'ascending', ascending: 'descending', descending: 'none'};
const LEADING_NUMBER = new RegExp(
  /^(<?)\s*([+-]?(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?(?:e[+-]?\d+)?)/.source +
  /(?=$|[\s%(*;]|\.\.|(?:ms|s|min|h|d)\b)/.source, 'i');
const collator = new Intl.Collator(document.documentElement.lang, {numeric: true});
function sortKey(row, column) {
  const text = (row.cells[column]?.textContent ?? '').trim();
  const found = LEADING_NUMBER.exec(text);
  const number = found ? Number(found[2].replaceAll(',', '')) - (found[1] ? 1e-9 : 0) : null;
  return {row, text, number, isEmpty: ['', '-', '–'].includes(text)};
}
function compareKeys(one, other) {
  if (one.number !== null && other.number !== null) return one.number - other.number;
  if (one.number === null && other.number === null) return collator.compare(one.text, other.text);
  return one.number === null ? 1 : -1;
}
function inOrder(rows, column, order) {
  if (order === 'none') return rows;
  const turn = order === 'ascending' ? 1 : -1;
  const keys = rows.map(row => sortKey(row, column));
  const filled = keys.filter(key => !key.isEmpty).sort((one, other) => turn * compareKeys(one, other));
  return [...filled, ...keys.filter(key => key.isEmpty)].map(key => key.row);
}
function makeSortable(table) {
  const body = table.tBodies[0], rows = [...body.rows], headings = [...table.tHead.rows[0].cells];
  headings.forEach((heading, column) => heading.querySelector('button').addEventListener('click', () => {
    const order = NEXT_ORDER[heading.getAttribute('aria-sort')];
    headings.forEach(each => each.setAttribute('aria-sort', each === heading ? order : 'none'));
    body.append(...inOrder(rows, column, order));
  }));
}
new Set([...document.querySelectorAll('th button')].map(button => button.closest('table'))).forEach(makeSortable);
"""


def render(
    title: str,
    sections: Sequence[Section],
    reload_seconds: int | None = None,
    footer: str = "Made from the study's store alone.",
) -> str:
    """The whole page, of at most `LIMIT` bytes: where it would be more, the largest pieces make room, and say so.

    Args:
        title: of the page.
        sections: in order.
        reload_seconds: after which an open tab loads it again; None: never.
        footer: the page's last line.
    """
    reload = "" if reload_seconds is None else f'<meta http-equiv="refresh" content="{reload_seconds}">'
    empty = _page(title, [replace(section, pieces=()) for section in sections], reload, footer)
    return _page(title, _fitting(sections, LIMIT - len(empty.encode())), reload, footer)


def _fitting(sections: Sequence[Section], room: int) -> list[Section]:
    """The sections with their largest pieces left out, one by one, until the rest has no more than so many bytes."""
    pieces = {(s, p): piece for s, section in enumerate(sections) for p, piece in enumerate(section.pieces)}
    sizes = {place: len(piece.encode()) for place, piece in pieces.items()}
    excess = sum(sizes.values()) - room
    for place in sorted(sizes, key=lambda place: -sizes[place]):
        if excess <= 0:
            break
        pieces[place] = paragraph(LEFT_OUT.format(megabytes=sizes[place] / 1e6, limit=LIMIT / 1e6))
        excess -= sizes[place] - len(pieces[place].encode())
    return [
        replace(section, pieces=tuple(pieces[s, p] for p in range(len(section.pieces))))
        for s, section in enumerate(sections)
    ]


def _page(title: str, sections: Sequence[Section], reload: str, footer: str) -> str:
    links = "".join(f'<a href="#{s.anchor}">{html.escape(s.title)}</a>' for s in sections)
    body = "".join(_section(section) for section in sections)
    return (
        f'<!DOCTYPE html><html lang="en"><head><meta charset="utf-8">{reload}'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{html.escape(title)}</title><style>{STYLE}</style><script>{get_plotlyjs()}</script></head>"
        f'<body><a class="skip" href="#content">Skip to content</a><h1>{html.escape(title)}</h1>'
        f'<nav aria-label="Sections">{links}</nav><div id="content" tabindex="-1"><main>{body}</main></div>'
        f"<footer>{html.escape(footer)}</footer><script>{INK}{SORT}</script></body></html>"
    )


def _section(section: Section) -> str:
    return (
        f'<section id="{section.anchor}"><h2>{html.escape(section.title)}</h2>'
        f'<p class="lead">{html.escape(section.lead)}</p>{"".join(section.pieces)}</section>'
    )
