"""What each switch does to daily skill: the difference on identical days, with the error of days and of seeds."""

from __future__ import annotations

import numpy as np
import plotly.graph_objects as go

from reports.daily import DailyPairs, daily_pairs, primary_horizon
from reports.evidence import Evidence, StudyEvidence
from reports.inference.beside import bootstrap_interval, newey_west_interval
from reports.inference.effect import MIN_SEEDS, effect, needs_seeds
from reports.inference.power import minimum_detectable
from reports.inference.verdict import ALPHA, EQUIVALENCE, Verdict, Word, verdicts
from reports.section import Section, figure, paragraph, signed, table

TITLE = "Effect of each switch on daily skill"
LEAD = (
    "Daily RankIC at {horizon} trading days, arm minus reference, on the same days with the same seeds: left of zero "
    "where turning the switch costs skill. The bars are 95 % intervals that hold for all arms at once; they carry the "
    "error of days whose labels overlap and that of seeds. A word needs Holm's test over the arms as well. The arms "
    "have the reference's hyper-parameters, so that the most that can be said is 'needed by this tuning'."
)
WORDS = {
    Word.HURTS: "needed by this tuning",
    Word.HELPS: "undecided: without it this tuning does better, which its own tuning may not",
    Word.NO_DIFFERENCE: f"no difference larger than {EQUIVALENCE:g}",
    Word.UNDECIDED: "undecided",
}
RESAMPLING_SEED = 0  # the same report from the same store


def build(evidence: Evidence) -> Section:
    if evidence.confirm is None:
        return _nothing("the confirm stage was not run")
    horizon = _horizon(evidence.confirm)
    if horizon is None:
        return _nothing("no confirm trial has begun")
    pairs = daily_pairs(evidence.confirm.compared, evidence.confirm.attributes["reference_arm"], horizon)
    enough = {arm: each for arm, each in pairs.items() if len(each.d_ST) >= 2 and len(each.days) >= 2}
    if not enough:
        return _nothing("no arm and the reference completed two common seeds on every fold")
    found = verdicts(
        {arm: effect(each.d_ST, horizon) for arm, each in enough.items()},
        {arm: effect(each.filled_ST, horizon) for arm, each in enough.items()},
    )
    about = evidence.confirm.attributes["arm_summaries"]
    pieces = (
        figure(_forest(found, enough), 90 + 55 * len(found), "arm minus reference, with simultaneous intervals"),
        table(
            ("arm", "mean", "95 % low", "95 % high", "Holm's p", "in words", "what it turns"),
            [(arm, *_row(verdict), about.get(arm, "")) for arm, verdict in found.items()],
        ),
        *map(paragraph, _remarks(found)),
        _details(found, enough, horizon),
    )
    return Section("effects", TITLE, LEAD.format(horizon=horizon), pieces)


def word(verdict: Verdict) -> str:
    """What may be said of an arm whose hyper-parameters are the reference's."""
    if verdict.effect.num_seeds < MIN_SEEDS:
        return f"undecided: fewer than {MIN_SEEDS} seeds"
    return WORDS[verdict.word] + (f" ({verdict.why})" if verdict.why else "")


def _row(verdict: Verdict) -> tuple[str, ...]:
    p = verdict.adjusted_p
    numbers = map(signed, (verdict.effect.mean, verdict.low, verdict.high))
    return *numbers, f"{p:.3f}" if p >= 0.001 else "< 0.001", word(verdict)


def _nothing(why: str) -> Section:
    return Section("effects", TITLE, "Arm minus reference, day by day.", (paragraph(f"Nothing to show: {why}."),))


def _horizon(confirm: StudyEvidence) -> int | None:
    """The primary endpoint's."""
    for record in confirm.records:
        if horizons := (record.config or {}).get("data", {}).get("horizons"):
            return primary_horizon(horizons)
    return None


def _remarks(found: dict[str, Verdict]) -> list[str]:
    """What would make the intervals shorter."""
    least = max(minimum_detectable(verdict.effect, len(found)) for verdict in found.values())
    told = [f"Among {len(found)} arms a true difference of {least:.4f} would be found four times in five."]
    seeds = min(verdict.effect.num_seeds for verdict in found.values())
    if seeds < MIN_SEEDS:
        return [*told, f"A verdict needs {MIN_SEEDS} seeds, and there are {seeds}: give --seeds {MIN_SEEDS}."]
    wanting = [arm for arm, verdict in found.items() if needs_seeds(verdict.effect)]
    if wanting:
        return [*told, f"Seeds are much of the error of {', '.join(wanting)}: more --seeds would shorten its interval."]
    return [*told, "Nearly all of the error is that of the days: more seeds cannot help, a longer panel would."]


def _details(found: dict[str, Verdict], pairs: dict[str, DailyPairs], horizon: int) -> str:
    rows = []
    for arm, verdict in found.items():
        d_ST, own = pairs[arm].d_ST, verdict.effect
        beside = (
            newey_west_interval(d_ST, horizon),
            bootstrap_interval(d_ST, horizon, np.random.default_rng(RESAMPLING_SEED)),
        )
        shown = [f"{signed(low)} .. {signed(high)}" for low, high in (own.interval(1 - ALPHA), *beside)]
        counts = (own.num_seeds, pairs[arm].num_missing, own.num_days)
        rows.append((arm, *counts, f"{own.seeds_share:.0%}", f"{own.degrees:.1f}", *shown))
    headings = ("arm", "seeds", "missing", "days", "seeds' part", "degrees", "alone, 95 %", "Newey-West", "bootstrap")
    body = paragraph(
        "Newey-West and bootstrap stand beside the verdict and never decide: they are too short where labels overlap. "
        "'alone' is this arm's interval without the others; 'seeds' part' is their share of the squared error; "
        "'missing' seeds count as zero skill in a second look that must agree."
    )
    return f"<details><summary>Errors, and other intervals</summary>{body}{table(headings, rows)}</details>"


def _forest(found: dict[str, Verdict], pairs: dict[str, DailyPairs]) -> go.Figure:
    fig = go.Figure()
    for arm in found:
        seeds_S = pairs[arm].d_ST.mean(axis=1)
        fig.add_scatter(
            x=seeds_S,
            y=[arm] * len(seeds_S),
            mode="markers",
            name="a seed",
            showlegend=arm == next(iter(found)),
            marker={"color": "#2f6fde", "size": 8, "opacity": 0.6},
            hovertemplate="%{y}, one seed: %{x:+.4f}<extra></extra>",
        )
    fig.add_scatter(
        x=[verdict.effect.mean for verdict in found.values()],
        y=list(found),
        mode="markers",
        name="mean, 95 % for all arms at once",
        marker={"symbol": "diamond", "size": 11, "color": "#888888"},
        error_x={
            "type": "data",
            "array": [verdict.high - verdict.effect.mean for verdict in found.values()],
            "color": "#888888",
            "thickness": 2,
        },
        hovertemplate="%{y} mean %{x:+.4f}<extra></extra>",
    )
    fig.add_vrect(x0=-EQUIVALENCE, x1=EQUIVALENCE, fillcolor="#888888", opacity=0.15, line_width=0)
    fig.add_vline(x=0, line_width=1, line_color="#888888")
    fig.update_xaxes(title="daily RankIC, arm minus reference")
    fig.update_yaxes(autorange="reversed")
    return fig
