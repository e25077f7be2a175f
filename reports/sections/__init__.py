"""The report's sections, in the order of reading. A new one is a file of its own and one line here."""

from __future__ import annotations

from reports.section import Builder
from reports.sections import confirm, curves, effects, failures, importances, provenance, summary, trials

SECTIONS: tuple[Builder, ...] = (
    summary.build,
    effects.build,
    confirm.build,
    curves.build,
    importances.build,
    failures.build,
    trials.build,
    provenance.build,
)
