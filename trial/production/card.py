"""The model card: what a bundle is, what it scored, on what, and what to beware of; for people, in Markdown."""

from __future__ import annotations

from data.findings import counted
from data.store import MarketStore
from reports.deployment import Standing, Winner
from reports.luck import Luck, measure_luck
from reports.section import in_days, signed, with_interval
from search_spaces.config import TrialConfig
from trial.production.choice import Choice

HEAD = "# {name}\n\nStock-ranking network of {study}: {why}.\n"
LEARNED_LATER = """
## Learned through {date}

`{name}/` holds the same configuration, learned from every day whose label is known by {date}. **Nobody has scored it**:
"""
CARD_OF_LATER = LEARNED_LATER + (
    "every figure above is of `{parent}/`. `trial.predict` takes the later one unless told `--weights {parent}`.\n"
)
CARD_OF_RETRAINED = LEARNED_LATER + (
    "every figure above is of its parent, bundle {bundle}, weights {weights}, which is not in this one.\n"
)
BEWARE = """## Beware

* The scores rank the stocks of one day. Their size means nothing between days.
* Entry is {delay} after the features' close; horizons are trading days from the entry.
* Figures above are of the days named; no figure here promises the next one. Watch it.
"""


def model_card(choice: Choice, config: TrialConfig, market: MarketStore, name: str) -> str:
    """Markdown."""
    parts = [
        HEAD.format(name=name, study=choice.study, why=choice.why),
        _decision(choice),
        _figures(choice, config),
        _learned(choice, config, market),
        BEWARE.format(delay=counted(config.data.delay, "close")),
        _use(name),
    ]
    return "\n".join(part for part in parts if part)


def _decision(choice: Choice) -> str:
    if choice.judged is not None:
        return f"## Deploy?\n\nNot answered: the search chose the ensemble. On the confirm folds {choice.judged}.\n"
    if choice.found is None:
        return "## Deploy?\n\nNot answered: the trial was named by hand. What it scored was chosen among many.\n"
    return f"## Deploy?\n\n**{choice.found.decision}**, because {choice.found.why}.\n"


def _figures(choice: Choice, config: TrialConfig) -> str:
    winner = choice.found.winner if choice.found is not None else None
    if choice.expected is not None:
        mean, error = choice.expected.mean, choice.expected.standard_error
        return (
            f"## Figures\n\nMean daily RankIC {signed(mean)}, standard error {error:.4f}: {choice.expected.source}.\n"
        )
    if winner is None:
        record = choice.records[0]
        return (
            f"## Figures\n\nWeighted RankIC {signed(record.value)} on fold {record.fold or 'search'}, by which it may "
            f"have been chosen.\n"
        )
    rows = [
        "| days | what | mean daily RankIC | 95 % interval |",
        "|---|---|---|---|",
        f"| search | the trial that won, by which it was chosen | {signed(winner.search)} | |",
        *_standing_rows("confirm", winner.confirm),
        *(_standing_rows("hold-out", winner.holdout) if winner.holdout is not None else ()),
    ]
    return f"## Figures\n\nAt {in_days(winner.horizon)}.\n\n" + "\n".join(rows) + "\n\n" + _luck(choice, winner)


def _standing_rows(days: str, standing: Standing) -> list[str]:
    level = standing.level
    about = f"{days}: {counted(level.num_days, 'day')}, {counted(level.num_seeds, 'seed')}"
    rows = [_row(about, "the winner, mean of its seeds", with_interval(level))]
    return rows + [_row("", f"minus {name}", with_interval(less)) for name, less in standing.less.items()]


def _row(days: str, what: str, shown: str) -> str:
    mean, _, interval = shown.partition(" ")
    return f"| {days} | {what} | {mean} | {interval} |"


def _luck(choice: Choice, winner: Winner) -> str:
    luck = measure_luck(choice.evidence)
    tried = choice.evidence.tried
    told = [] if winner.luck is None else [f"Luck, search minus confirm: {signed(winner.luck)}."]
    if tried is not None:
        told.append(
            f"{counted(tried.configurations, 'configuration')} were ever scored on this market; its hold-out was read "
            f"{counted(tried.holdout_reads, 'time')}."
        )
    if isinstance(luck, Luck):
        told.append(
            f"Deflated Sharpe ratio of the search's score: {luck.raw.probability:.3f} with every configuration "
            f"counted, {luck.effective.probability:.3f} with correlated ones counted once."
        )
    else:
        told.append(f"Luck of the search: not computed, {luck}.")
    return "\n".join(told) + "\n"


def _learned(choice: Choice, config: TrialConfig, market: MarketStore) -> str:
    fold = market.splits(config.data)[config.fold]
    dates = market.meta.dates
    doubts = "\n".join(f"* {sentence}" for sentence in market.meta.doubts)
    return (
        f"## Data\n\n{len(market.codes)} stocks, {len(market.meta.features)} features; learned from "
        f"{dates[fold.train[0]]} .. {dates[fold.train[-1]]}, scored on {dates[fold.score[0]]} .. "
        f"{dates[fold.score[-1]]}.\n\n" + (f"Doubts of the inspection:\n\n{doubts}\n" if doubts else "")
    )


def _use(name: str) -> str:
    return (
        "## Use\n\n```\n"
        f"python -m trial.verify {name} PANEL.parquet\n"
        f"python -m trial.predict {name} PANEL.parquet --out scores.parquet\n```\n"
    )
