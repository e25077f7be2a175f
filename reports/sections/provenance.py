"""What it takes to get the same numbers again: days of each fold, code, packages, keys of the data."""

from __future__ import annotations

import html

from reports.evidence import Evidence
from reports.next_step import places
from reports.section import Section, table


def build(evidence: Evidence) -> Section:
    attributes = evidence.any_study.attributes
    folds = [(name, *days) for name, days in attributes.get("folds_by_date", {}).items()]
    known = {key: attributes[key] for key in ("panel", "store") if key in attributes} | attributes.get("definition", {})
    facts = [(key, known[key]) for key in ("panel", "store", "cells", "configuration", "epochs") if key in known]
    if attributes.get("mean_degree") is not None:
        facts.append(("mean degree of the graphs", f"{attributes['mean_degree']:.1f}"))
    doubts = [(sentence,) for sentence in attributes.get("doubts", [])]
    facts += sorted(attributes.get("provenance", {}).items())
    return Section(
        "provenance",
        "Days and provenance",
        "Labels of one fold never overlap those of another; the hold-out is not in the store.",
        (
            table(("fold", "train from", "train to", "scored from", "scored to"), folds),
            table(("fact", "value"), facts),
            *_again(evidence),
            *([table(("what the inspection of the panel doubts",), doubts)] if doubts else []),
        ),
    )


def _again(evidence: Evidence) -> list[str]:
    """The command that trains a trial again from the store alone."""
    best = evidence.search.best if evidence.search is not None else None
    if best is None:
        return []
    command = " ".join(["python -m trial.reproduce", evidence.name, str(best.number), *places(evidence)])
    told = "The best search trial again, from the store alone, compared number by number:"
    return [f"<p>{told} <code>{html.escape(command)}</code></p>"]
