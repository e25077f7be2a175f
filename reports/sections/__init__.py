"""The report's sections, in the order of reading. A new one is a file of its own and one line here."""

from __future__ import annotations

from reports.section import Builder
from reports.sections import (
    attention,
    backtest,
    best,
    calendar,
    confirm,
    cost,
    curves,
    effects,
    exploratory,
    failures,
    horizons,
    importances,
    interactions,
    luck,
    parallel,
    provenance,
    references,
    removed,
    summary,
    targets,
    trials,
    tuning,
)

SECTIONS: tuple[Builder, ...] = (
    summary.build,
    effects.build,
    exploratory.build,
    interactions.build,
    references.build,
    horizons.build,
    calendar.build,
    backtest.build,
    targets.build,
    luck.build,
    best.build,
    tuning.build,
    confirm.build,
    curves.build,
    attention.build,
    removed.build,
    importances.build,
    parallel.build,
    failures.build,
    trials.build,
    cost.build,
    provenance.build,
)
