"""Which draw the reference and each retuned arm came out best with, on the search fold."""

from __future__ import annotations

import statistics
from collections import defaultdict

from reports.evidence import Evidence, StudyEvidence
from reports.section import Section, nothing, paragraph, short, signed, table

TITLE = "Equal tuning"
LEAD = (
    "Reference and arms tried the same quasi-random points on the search fold at full budget, two seeds each; each is "
    "confirmed at the point of its highest mean. Parameters of a block that an arm does not have do nothing there."
)


def build(evidence: Evidence) -> Section:
    if evidence.tune is None or not evidence.tune.records:
        return Section("tuning", TITLE, LEAD, (paragraph("Nothing to show: no arm was retuned."),))
    means = mean_values(evidence.tune)
    if not means:
        return nothing("tuning", TITLE, LEAD, "no trial of the tuning has begun")
    points = evidence.tune.attributes["points"]
    confirmed = evidence.confirm.attributes.get("draws", {}) if evidence.confirm is not None else {}
    names = list(points[0]) if points else []
    rows = [
        (
            draw,
            *(_mean(own.get(draw), confirmed.get(arm) == draw) for arm, own in means.items()),
            *(short(point[name]) for name in names),
        )
        for draw, point in enumerate(points)
    ]
    pieces = (
        paragraph("Mean RankIC on the search fold; * marks what was confirmed, a dash a draw that lacks a seed."),
        table(("draw", *means, *names), rows),
    )
    return Section("tuning", TITLE, LEAD, pieces)


def mean_values(tune: StudyEvidence) -> dict[str, dict[int, float]]:
    """Arm -> draw -> mean over its seeds, where all of them are COMPLETE; of a draw's newest configuration alone."""
    cells: dict[str, dict[int, list[float | None]]] = defaultdict(lambda: defaultdict(list))
    current: dict[tuple[str, int], str | None] = {}
    for record in reversed(tune.compared):
        if record.arm is None or "draw" not in record.params:  # one that is being asked may have half of its cell
            continue
        draw, config_hash = int(record.params["draw"]), record.attributes.get("config_hash")
        if current.setdefault((record.arm, draw), config_hash) == config_hash:
            cells[record.arm][draw].append(record.value if record.state == "COMPLETE" else None)
    seeds = max((len(values) for own in cells.values() for values in own.values()), default=0)
    return {
        arm: {
            draw: statistics.fmean(known)
            for draw, values in own.items()
            if len(known := [value for value in values if value is not None]) == seeds
        }
        for arm, own in cells.items()
    }


def _mean(value: float | None, is_best: bool) -> str:
    return signed(value) + (" *" if is_best else "")
