"""The report's sections, in the order of reading. A new one is a file of its own and one line here."""

from __future__ import annotations

from reports.section import Builder
from reports.sections import (
    backtest,
    confirm,
    curves,
    effects,
    exploratory,
    failures,
    importances,
    luck,
    provenance,
    references,
    summary,
    trials,
    tuning,
)

SECTIONS: tuple[Builder, ...] = (
    summary.build,
    effects.build,
    exploratory.build,
    references.build,
    backtest.build,
    luck.build,
    tuning.build,
    confirm.build,
    curves.build,
    importances.build,
    failures.build,
    trials.build,
    provenance.build,
)
