"""Each arm's gains and costs beside what the documents promised of it: RankIC, divergence, memory, time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from reports.daily import daily_pairs
from reports.evidence import Evidence, StudyEvidence
from reports.inference.effect import Effect, effect
from reports.inference.verdict import ALPHA
from reports.judged import Judged, judge
from reports.page import render
from reports.section import Section, in_days, paragraph, table, with_interval
from storage.errors import StorageError
from storage.record import TrialRecord

RANK_IC_AIM = (0.01, 0.02)  # at one day, more than the baseline
DIVERGENCE_AIM, MEMORY_AIM, TIME_AIM = -0.50, -0.15, 0.10  # relative to the baseline; time at most
DIVERGED = "diverged"
REFERENCE = "reference"  # the arm that is the baseline
HEADINGS = ("arm", "RankIC at 1 day", "aim", "verdict", "diverged", "aim", "peak memory", "aim", "s an epoch", "aim")
LEAD = (
    "Arm minus baseline on the confirm folds, common seeds. The documents promised of all together a RankIC at one day "
    "higher by .01 to .02, half the divergences, 15 % less memory, at most 10 % more time."
)


@dataclass(frozen=True)
class Costs:
    """Of an arm's confirm trials."""

    num_trials: int
    num_diverged: int
    memory_mib: float | None  # median of their peaks
    epoch_seconds: float | None  # median

    @property
    def divergence(self) -> float:
        return self.num_diverged / self.num_trials if self.num_trials else 0.0


@dataclass(frozen=True)
class Row:
    """One arm against the baseline."""

    arm: str
    one_day: Effect | None  # daily RankIC at one day; None where fewer than two pairs are complete
    verdict: str  # at the primary horizon
    costs: Costs
    baseline: Costs

    @property
    def cells(self) -> tuple[str, ...]:
        """As HEADINGS."""
        own, base = self.costs, self.baseline
        divergence = None if base.num_diverged == 0 else own.divergence / base.divergence - 1
        memory, seconds = _change(own.memory_mib, base.memory_mib), _change(own.epoch_seconds, base.epoch_seconds)
        return (
            self.arm,
            "–" if self.one_day is None else with_interval(self.one_day),
            _reached(self.one_day),
            self.verdict,
            f"{own.num_diverged} of {own.num_trials}",
            "nothing to reduce" if divergence is None else _within(divergence, DIVERGENCE_AIM),
            _shown(own.memory_mib, memory, "MiB"),
            _within(memory, MEMORY_AIM),
            _shown(own.epoch_seconds, seconds, "s"),
            _within(seconds, TIME_AIM),
        )


def rollout_rows(evidence: Evidence) -> list[Row]:
    """Every arm, in the order in which arms come.

    Raises:
        StorageError: nothing was confirmed.
    """
    confirm = evidence.confirm
    judged = judge(confirm)
    if confirm is None or isinstance(judged, str):
        raise StorageError(f"the improvements are judged by the confirm stage, but {judged}. Run it to its end.")
    baseline = _costs(confirm, REFERENCE)
    pairs = daily_pairs(confirm.compared, REFERENCE, 1)
    arms = list(dict.fromkeys(str(record.arm) for record in confirm.compared if record.arm != REFERENCE))
    words = _words(judged)
    return [
        Row(
            arm,
            effect(pairs[arm].d_ST, 1) if arm in pairs and min(pairs[arm].d_ST.shape) > 1 else None,
            words.get(arm, "not judged"),
            _costs(confirm, arm),
            baseline,
        )
        for arm in arms
    ]


def rollout_page(name: str, rows: Sequence[Row], primary: int) -> str:
    """One HTML file."""
    base = rows[0].baseline if rows else Costs(0, 0, None, None)
    told = (
        f"The verdict is at {in_days(primary)}. Baseline: {base.num_diverged} of {base.num_trials} trials diverged, "
        f"{_shown(base.memory_mib, None, 'MiB')}, {_shown(base.epoch_seconds, None, 's')} an epoch. An aim of RankIC "
        f"is reached, or not, where the 95 % interval lies on one side of it; memory and time are medians of trials "
        f"that ran beside each other, and say what they took here."
    )
    pieces = (table(HEADINGS, [row.cells for row in rows]), paragraph(told))
    return render(f"Improvements: {name}", [Section("rollout", "Roll-out", LEAD, pieces)])


def _words(judged: Judged) -> dict[str, str]:
    return judged.words | {arm: f"exploratory: {found.in_words}" for arm, found in judged.exploratory.items()}


def _costs(study: StudyEvidence, arm: str) -> Costs:
    own = [record for record in study.compared if record.arm == arm and record.state in ("COMPLETE", "PRUNED", "FAIL")]
    return Costs(
        len(own),
        sum(record.reason == DIVERGED for record in own),
        _median([record.attributes.get("peak_memory_mib") for record in own]),
        _median([result["seconds"] for record in own for result in _steady(record)]),
    )


def _steady(record: TrialRecord) -> Sequence[Mapping[str, float]]:
    """Epochs after the first, which makes caches; the first where there is no other."""
    return record.curve[1:] or record.curve


def _median(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return median(known) if known else None


def _change(own: float | None, base: float | None) -> float | None:
    return None if own is None or not base else own / base - 1


def _shown(value: float | None, change: float | None, unit: str) -> str:
    if value is None:
        return "–"
    digits = 0 if value >= 100 else 2
    return f"{value:,.{digits}f} {unit}" + ("" if change is None else f" ({change:+.0%})")


def _within(change: float | None, aim: float) -> str:
    return "not known" if change is None else "yes" if change <= aim else "no"


def _reached(found: Effect | None) -> str:
    """Whether the gain is the least that was promised, by its interval."""
    if found is None:
        return "not known"
    low, high = found.interval(1 - ALPHA)
    return "yes" if low >= RANK_IC_AIM[0] else "no" if high < RANK_IC_AIM[0] else "not known"
