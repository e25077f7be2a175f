"""What the confirm study says of its arms: verdicts on the retuned ones, and everything else as exploratory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from reports.daily import ENDED, DailyPairs, daily_pairs, primary_horizon
from reports.evidence import StudyEvidence
from reports.inference.effect import MIN_SEEDS, Effect, effect
from reports.inference.power import minimum_detectable
from reports.inference.verdict import ALPHA, EQUIVALENCE, Verdict, Word, benjamini_hochberg, verdicts
from reports.section import paragraph

RETUNED, FIXED = "retuned", "fixed"
FAMILY = "family"  # attribute of a confirm study: arms that were declared to get a verdict
RUN = "run"  # of a factorial design, whose runs are compared together (`reports.factorial`)
VERDICTS = {
    Word.HURTS: "hurts",
    Word.HELPS: "helps",
    Word.NO_DIFFERENCE: "no difference larger than {equivalence:g}",
    Word.UNDECIDED: "undecided",
}
LOSES = {  # exploratory: what a loss of daily skill would mean, by kind of arm
    "fixed": "needed by this tuning",
    "placebo": "less than the reference: what the placebo takes away counts",
    "winner": "less than the reference",
}


@dataclass(frozen=True)
class Exploratory:
    """One arm of which no verdict is given."""

    kind: str  # fixed, placebo or winner
    effect: Effect
    adjusted_p: float  # Benjamini and Hochberg's, among all exploratory arms

    @property
    def in_words(self) -> str:
        if self.effect.num_seeds < MIN_SEEDS:
            return f"fewer than {MIN_SEEDS} seeds"
        if self.adjusted_p > ALPHA:
            return "nothing found"
        if self.effect.mean < 0:
            return LOSES[self.kind]
        return "more than the reference, which its own tuning may not be" if self.kind == "fixed" else "more"


@dataclass(frozen=True)
class Judged:
    """Every arm against the reference, at the primary horizon."""

    horizon: int  # trading days
    pairs: Mapping[str, DailyPairs]
    verdicts: Mapping[str, Verdict]  # of the retuned arms, one family
    exploratory: Mapping[str, Exploratory]
    equivalence: float = EQUIVALENCE  # X, as it was declared before launch
    is_exploratory: bool = False  # on days that the search has read: too little history for others
    missing: Mapping[str, str] = field(default_factory=dict)  # arm of the family without an effect -> why
    num_open: int = 0  # trials that are still to end

    @property
    def words(self) -> dict[str, str]:
        """What may be said of every arm of the family."""
        told = {arm: word(verdict, self.equivalence) for arm, verdict in self.verdicts.items()}
        return told | {arm: f"undecided: {why}" for arm, why in self.missing.items()}

    @property
    def short_words(self) -> dict[str, str]:
        """The same in one or two words: helps, hurts, no difference, undecided."""
        told = {arm: short_word(verdict) for arm, verdict in self.verdicts.items()}
        return told | dict.fromkeys(self.missing, Word.UNDECIDED.value)

    @property
    def family_size(self) -> int:
        """Arms that Holm's test and the simultaneous intervals are about."""
        return len(self.verdicts) + len(self.missing)

    @property
    def all_effects(self) -> dict[str, Effect]:
        """Of every arm, verdict or not."""
        told = {arm: verdict.effect for arm, verdict in self.verdicts.items()}
        return told | {arm: found.effect for arm, found in self.exploratory.items()}

    @property
    def detectable(self) -> float | None:
        """The true difference that would be found four times in five in every retuned arm; None without one."""
        found = [verdict.effect for verdict in self.verdicts.values()]
        return max((minimum_detectable(each, self.family_size) for each in found), default=None)


def judge(confirm: StudyEvidence | None) -> Judged | str:
    """The findings, or in words why there are none."""
    if confirm is None:
        return "the confirm stage was not run"
    horizon = _horizon(confirm)
    if horizon is None or "reference_arm" not in confirm.attributes:
        return "no confirm trial has begun"
    pairs = daily_pairs(confirm.compared, confirm.attributes["reference_arm"], horizon)
    enough = {arm: each for arm, each in pairs.items() if len(each.d_ST) >= 2 and len(each.days) >= 2}
    if not enough:
        return "no arm and the reference completed two common seeds on every fold"
    kinds = confirm.attributes.get("arm_kinds", {})
    equivalence = equivalence_of(confirm)
    retuned = [arm for arm in enough if kinds.get(arm) == RETUNED]
    others = {arm: effect(each.d_ST, horizon) for arm, each in enough.items() if kinds.get(arm) not in (RETUNED, RUN)}
    adjusted = benjamini_hochberg([found.p_value for found in others.values()])
    missing = _missing(confirm, retuned)
    return Judged(
        horizon,
        enough,
        verdicts(
            {arm: effect(enough[arm].d_ST, horizon) for arm in retuned},
            {arm: effect(enough[arm].filled_ST, horizon) for arm in retuned},
            equivalence,
            len(retuned) + len(missing),
        ),
        {
            arm: Exploratory(kinds.get(arm, FIXED), found, p)
            for (arm, found), p in zip(others.items(), adjusted, strict=True)
        },
        equivalence,
        bool(confirm.attributes.get("exploratory", False)),
        missing,
        sum(record.state not in ENDED for record in confirm.compared),
    )


def provisional(judged: Judged) -> list[str]:
    """What a reader of a sweep that still runs must know."""
    if not judged.num_open:
        return []
    trials = "1 confirm trial is" if judged.num_open == 1 else f"{judged.num_open} confirm trials are"
    return [paragraph(f"Provisional: {trials} still to end, and a word counts once all have.")]


def equivalence_of(confirm: StudyEvidence) -> float:
    """X, as it was declared before launch."""
    return float(confirm.attributes.get("equivalence", EQUIVALENCE))


def word(verdict: Verdict, equivalence: float) -> str:
    """What may be said of a retuned arm against the reference, X being `equivalence`."""
    if verdict.effect.num_seeds < MIN_SEEDS:
        return f"undecided: fewer than {MIN_SEEDS} seeds"
    return VERDICTS[verdict.word].format(equivalence=equivalence) + (f" ({verdict.why})" if verdict.why else "")


def short_word(verdict: Verdict) -> str:
    """The same in one or two words: helps, hurts, no difference, undecided."""
    given = Word.UNDECIDED if verdict.effect.num_seeds < MIN_SEEDS else verdict.word
    return given.name.lower().replace("_", " ")


def _missing(confirm: StudyEvidence, judged: Sequence[str]) -> dict[str, str]:
    """Arms that were to get a verdict, and why they have no effect to give one of."""
    kinds = confirm.attributes.get("arm_kinds", {})
    declared = confirm.attributes.get(FAMILY) or [arm for arm, kind in kinds.items() if kind == RETUNED]
    return {
        arm: "fewer than two of its seeds completed" if kinds.get(arm) == RETUNED else "its tuning did not complete"
        for arm in declared
        if arm not in judged
    }


def _horizon(confirm: StudyEvidence) -> int | None:
    """The primary endpoint's."""
    for record in confirm.compared:
        if horizons := (record.config or {}).get("data", {}).get("horizons"):
            return primary_horizon(horizons)
    return None
