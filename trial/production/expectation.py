"""What an exported network's daily RankIC is expected to be: `expected.json` of a bundle."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import numpy as np

from data.findings import counted
from reports.daily import daily_skill, primary_horizon
from reports.inference.effect import effect_of_days
from reports.monitoring.band import Expected
from trial.production.choice import Choice

EXPECTED = "expected.json"


def expectation(choice: Choice) -> Expected | None:
    """Of the confirmed winner, the mean of its seeds on every confirm fold; of a trial that was named, its own fold.

    A day's variance is that of the networks that are exported, which is more than that of a mean of seeds. None where
    fewer than two days were scored.
    """
    if choice.expected is not None:
        return choice.expected
    winner = choice.found.winner if choice.found is not None else None
    config = choice.records[0].config or {}
    horizon = winner.horizon if winner is not None else primary_horizon(config["data"]["horizons"])
    each = [daily_skill(record, horizon) for record in choice.records]
    days = sorted(set.intersection(*map(set, each)))
    if len(days) < 2:
        return None
    own = effect_of_days(np.array([np.mean([skill[day] for skill in each]) for day in days]), horizon)
    level = own if winner is None else winner.confirm.level
    told = f"{counted(level.num_days, 'day')} of the confirm folds, {counted(level.num_seeds, 'seed')}"
    if winner is None:
        told = f"{counted(own.num_days, 'day')} of fold {choice.records[0].fold or 'search'}, by which it may be chosen"
    return Expected(horizon, level.mean, level.standard_error, own.days_part * own.num_days, told)


def write_expectation(path: Path, expected: Expected | None) -> None:
    """`null` where there is none."""
    path.write_text(json.dumps(None if expected is None else asdict(expected), indent=1) + "\n")


def read_expectation(path: Path) -> Expected | None:
    """As `write_expectation` wrote it."""
    content = json.loads(path.read_text())
    return None if content is None else Expected(**content)
