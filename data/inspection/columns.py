"""Columns that hold nothing, never vary, end before the panel does, or whose missing share jumps."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from data.dense import release
from data.findings import Finding, doubt, error
from data.inspection.panel import Panel

NUM_PERIODS = 20  # equal stretches of days whose missing shares are compared
JUMP = 0.5  # change of a column's known share within two periods that is doubted
EMPTY = 0.02  # known share below which a period counts as empty
BEGINNING = 0.25  # share of the panel that a trailing window may take to fill
DAYS_AT_ONCE = 8


class _Table(NamedTuple):
    """Columns of one kind that are looked at together."""

    kind: str  # what the message calls one of them
    names: list[str]
    values: np.ndarray  # [D, N, C]
    first_day: int  # values are due from this day on
    num_days: int  # and before this one
    way_out: str  # with {name}


class _Profile(NamedTuple):
    """What is known of each column, period by period."""

    dates: np.ndarray  # [P] first date of each period
    known: np.ndarray  # [P, C] values
    rows: np.ndarray  # [P] rows that are there
    only: np.ndarray  # [C] the one value of a column that never varies, NaN where it does


def empty_columns(panel: Panel) -> list[Finding]:
    """Own features, targets and prices, each with its own way out."""
    return [finding for table in _tables(panel) for finding in _look(panel, table)]


def _tables(panel: Panel) -> Iterator[_Table]:
    days = panel.present.shape[0]
    for group, place in zip(panel.columns.groups, panel.columns.slices(panel.num_built_in), strict=True):
        way = "Fill it in, or add it to columns.exclude: {name}."
        yield _Table("feature", list(group.columns), panel.features[..., place], min(group.lag, days - 1), days, way)
    if panel.columns.targets:
        way = "Fill it in, or name another column in columns.targets."
        names = list(panel.columns.targets.values())
        yield _Table("target", names, panel.labels, 0, max(1, days - panel.config.reach), way)
    for role, values in panel.bars.items():
        name = panel.columns.roles[role]
        if name not in panel.columns.own:
            way = f"Fill it in, or name another column in columns.{role}."
            yield _Table("price", [name], values[..., None], 0, days, way)


def _look(panel: Panel, table: _Table) -> list[Finding]:
    profile = _profile(panel, table)
    return [
        finding
        for number, name in enumerate(table.names)
        for finding in _findings(
            table.kind,
            name,
            profile.rows,
            profile.known[:, number],
            float(profile.only[number]),
            profile.dates,
            table.way_out.format(name=name),
        )
    ]


def _profile(panel: Panel, table: _Table) -> _Profile:
    num = len(table.names)
    num_periods = min(NUM_PERIODS, table.num_days - table.first_day)
    bounds = np.linspace(table.first_day, table.num_days, num_periods + 1).astype(int)
    known, rows = np.zeros((len(bounds) - 1, num)), np.zeros(len(bounds) - 1)
    only, varies = np.full(num, np.nan), np.zeros(num, bool)
    for period, (start, stop) in enumerate(itertools.pairwise(bounds)):
        for first in range(start, stop, DAYS_AT_ONCE):
            part = np.asarray(table.values[first : min(first + DAYS_AT_ONCE, stop)]).reshape(-1, num)
            known[period] += np.count_nonzero(np.isfinite(part), axis=0)
            _note_variation(part, only, varies)
        rows[period] = panel.present[start:stop].sum()
        release(table.values)
    return _Profile(panel.axes.dates[bounds[:-1]], known, rows, np.where(varies, np.nan, only))


def _note_variation(part: np.ndarray, only: np.ndarray, varies: np.ndarray) -> None:
    """Marks the columns of [rows, C] that differ from their first known value."""
    for number in np.flatnonzero(~varies):
        values = part[:, number]
        values = values[np.isfinite(values)]
        if len(values):
            if np.isnan(only[number]):
                only[number] = values[0]
            varies[number] = bool((values != only[number]).any())


def _findings(
    kind: str, name: str, rows: np.ndarray, known: np.ndarray, only: float, dates: np.ndarray, way: str
) -> list[Finding]:
    share = known / np.maximum(rows, 1)
    if known.sum() == 0:
        law, first = f"a {kind} must hold values", f"first: {dates[0]}"
        return [] if kind == "price" else [error("all null", name, int(rows.sum()), "null row", first, law, way)]
    found, null = [], rows - known
    if np.isfinite(only) and not (kind == "price" and only == 0):  # that one is refused as a price
        law = f"a {kind} should vary"
        found.append(doubt("constant", name, int(known.sum()), "value", f"each is {only:g}", law, way))
    full = np.flatnonzero(share >= EMPTY)
    lost = len(share) - 1 - int(full[-1]) if len(full) else 0
    jump = _first_jump(share, _start(share))
    if lost and np.median(share[: full[-1] + 1]) >= 0.5:
        law = f"a {kind} must not end before the panel does"
        end = int(full[-1]) + 1
        found.append(error("cut off", name, int(null[end:].sum()), "null row", f"first: {dates[end]}", law, way))
    elif jump is not None:
        before, after = jump
        example = f"known {share[before]:.0%} before {dates[after]}, {share[after]:.0%} after"
        law = f"the missing share of a {kind} should not jump"
        count = max(1, int((np.abs(np.diff(share)) > JUMP).sum()))
        way = "See whether a source was lost there."
        found.append(doubt("missing share jumps", name, count, "jump", example, law, way))
    elif share.mean() < EMPTY:
        law = f"a {kind} known in less than {EMPTY:.0%} of the rows helps little"
        example = f"{share.mean():.2%} are known"
        found.append(doubt("nearly empty", name, int(null.sum()), "null row", example, law, way))
    return found


def _start(share: np.ndarray) -> int:
    """The first period in which the column is as full as it usually is: trailing windows have a beginning."""
    filled = share[share >= EMPTY]
    start = int(np.argmax(share >= 0.5 * np.median(filled))) if len(filled) else 0
    return start if start <= BEGINNING * len(share) else 0


def _first_jump(share: np.ndarray, start: int) -> tuple[int, int] | None:
    """(period before, period after) of the first jump from `start` on, which may take a period to complete."""
    for apart in (1, 2):
        far = np.flatnonzero(np.abs(share[start + apart :] - share[start : len(share) - apart]) > JUMP)
        if len(far):
            return start + int(far[0]), start + int(far[0]) + apart
    return None
