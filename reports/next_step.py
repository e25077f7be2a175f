"""What to do next, as a command that can be copied: what brings the answer nearer."""

from __future__ import annotations

import shlex
from typing import NamedTuple

from reports.deployment import Deployment
from reports.evidence import Evidence
from reports.inference.effect import MIN_SEEDS

COMMAND = "command"  # attribute of a study: the words after `python -m trial.sweep` by which it was run last
PLACES = ("--runs", "--storage")  # options that other commands take too


class NextStep(NamedTuple):
    """A command, and what it is for."""

    command: str
    purpose: str


def next_step(evidence: Evidence, found: Deployment) -> NextStep:
    """The one that brings the answer nearer; where no command does, the one that shows why."""
    words, name, where = _without(_words(evidence), "--stage"), evidence.name, places(evidence)
    winner = found.winner
    if winner is None:
        return NextStep(_shown("trial.sweep", words), "goes on to the end, and confirms")
    if found.decision == "yes":
        return NextStep(_shown("trial.export", [name, *where]), "writes the winner as one folder for production")
    if found.awaits_holdout:
        return NextStep(_shown("trial.holdout", [name, *where]), "reads the hold-out, once and for all")
    if found.decision == "undecided" and winner.confirm.level.num_seeds < MIN_SEEDS:
        seeds = str(_seeds_to_ask(words, winner.confirm.level.num_seeds))
        more = [*_without(words, "--seeds"), "--seeds", seeds]
        return NextStep(_shown("trial.sweep", more), f"adds seeds to {MIN_SEEDS}, from which on there are verdicts")
    if found.decision == "no":
        return NextStep(_shown("trial.sweep", ["--list"]), "shows other spaces; this winner stays here")
    return NextStep(
        _shown("trial.sweep", [*_without(words, "--data"), "--data", "LONGER_PANEL"]),
        "looks at more days: a longer panel is what narrows these intervals",
    )


def _seeds_to_ask(words: list[str], num_whole: int) -> int:
    """So many that MIN_SEEDS are whole if the next ones are: of those that were asked for some may have failed."""
    given = _option(words, "--seeds")
    asked = int(given[-1].rpartition("=")[2]) if given else 0
    return max(MIN_SEEDS, asked + MIN_SEEDS - num_whole if asked >= MIN_SEEDS else 0)


def places(evidence: Evidence) -> list[str]:
    """The options by which other commands find the store and the files."""
    return [part for option in PLACES for part in _option(_words(evidence), option)]


def _words(evidence: Evidence) -> list[str]:
    return list(evidence.any_study.attributes.get(COMMAND, [evidence.name]))


def _option(words: list[str], option: str) -> list[str]:
    """The option with its value, however it was written; nothing where it was not given."""
    for place, word in enumerate(words):
        if word == option:
            return words[place : place + 2]
        if word.startswith(f"{option}="):
            return [word]
    return []


def _without(words: list[str], option: str) -> list[str]:
    left_out = _option(words, option)
    if not left_out:
        return words
    place = words.index(left_out[0])
    return words[:place] + words[place + len(left_out) :]


def _shown(module: str, words: list[str]) -> str:
    return f"python -m {module} {shlex.join(words)}".rstrip()
