"""Every confirm trial beside the reference's of the same seed and fold."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pandas as pd

from reports.evidence import Evidence
from reports.section import Section, paragraph, signed, table
from storage.record import TrialRecord

TITLE = "Confirm pairs"
LEAD = "RankIC, weighted over the horizons, of each arm and of the reference with the same seed on the same fold."
COLUMNS = ("arm", "seed", "fold", "value", "reference", "difference")


def build(evidence: Evidence) -> Section:
    if evidence.confirm is None:
        return Section("confirm", TITLE, LEAD, (paragraph("Nothing to show: the confirm stage was not run."),))
    if (reference := evidence.confirm.attributes.get("reference_arm")) is None:
        return Section("confirm", TITLE, LEAD, (paragraph("Nothing to show yet: no confirm trial has begun."),))
    pairs = paired_differences(evidence.confirm.compared, reference)
    known = int(pairs["difference"].notna().sum())
    if not known:
        why = "Nothing to show yet: no arm and the reference completed a common pair."
        return Section("confirm", TITLE, LEAD, (paragraph(why),))
    rows = [
        (row["arm"], row["seed"], row["fold"], *(signed(row[name]) for name in COLUMNS[3:]))
        for row in pairs.to_dict("records")
    ]
    body = table(("arm", "seed", "fold", "arm's RankIC", "reference's", "difference"), rows)
    told = f"{known} pairs, and {len(pairs) - known} of which a side is missing."
    return Section("confirm", TITLE, LEAD, (paragraph(told), f"<details><summary>Every pair</summary>{body}</details>"))


def paired_differences(records: Sequence[TrialRecord], reference: str) -> pd.DataFrame:
    """One row per (arm, seed, fold) of the non-reference arms, with the columns of `COLUMNS`; NaN where a side is not
    COMPLETE."""
    cells = {(r.arm, r.seed, r.fold): r.value if r.state == "COMPLETE" else None for r in records if r.arm}
    rows = []
    for (arm, seed, fold), value in cells.items():
        if arm == reference:
            continue
        own = math.nan if value is None else value
        base = cells.get((reference, seed, fold))
        base = math.nan if base is None else base
        rows.append({"arm": arm, "seed": seed, "fold": fold, "value": own, "reference": base, "difference": own - base})
    return pd.DataFrame(rows, columns=[*COLUMNS]).sort_values(["arm", "seed", "fold"], ignore_index=True)
