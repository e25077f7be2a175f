"""From results to the study: every epoch, then what the attempt leaves, the outcome last.

A told trial is immutable, so `tell` is the commit. A sweep's recorder and a single training write through here.
"""

from __future__ import annotations

import math
import time
from pathlib import Path
from typing import Any, Protocol

from optuna.trial import TrialState

from storage.attempt import Ending, EpochReport
from storage.record import CONSTRAINTS
from trial.order import Flight, Outcome
from trial.predictions import PREDICTIONS

OUT_OF_MEMORY = ("OutOfMemoryError", "can't allocate memory", "MemoryError", "memory pressure")
EXPECTED = ("complete", "asha")


class Writer(Protocol):
    """A study that takes what arrives, at once or when its store is back."""

    def record_epoch(self, report: EpochReport) -> object: ...

    def end(self, ending: Ending) -> None: ...


def record_epoch(study: Writer, flight: Flight, epoch: dict[str, Any]) -> None:
    """One epoch, and the events that came with it; nothing where it is recorded already."""
    order = flight.order
    config = order.config
    report = EpochReport(flight.trial_id, order.number, epoch, config.fold, config.data.horizons, order.attempt)
    study.record_epoch(report)
    flight.results.append(epoch)
    if epoch["is_last"]:
        _judge(flight, order.folder / PREDICTIONS)


def judge_known(flight: Flight) -> bool:
    """Whether the store has the last epoch already, because its driver died before it told; judges it then."""
    if not flight.results or not flight.results[-1]["is_last"]:
        return False
    written = flight.order.folder.parent.glob(f"*/{PREDICTIONS}")
    _judge(flight, max(written, key=lambda path: int(path.parent.name), default=None))
    return True


def _judge(flight: Flight, predictions: Path | None) -> None:
    flight.outcome = _of_the_last(flight)
    if predictions is not None:
        flight.attributes["predictions"] = str(predictions)


def _of_the_last(flight: Flight) -> Outcome:
    """COMPLETE, with what it keeps of its constraints; a number that is not there makes no value."""
    goal = flight.goal
    violations = {str(constraint): constraint.violation(flight.results) for constraint in goal.constraints}
    if not all(math.isfinite(number) for number in (*flight.values, *violations.values())):
        named = dict(zip([objective.name for objective in goal.objectives], flight.values, strict=True))
        return Outcome(TrialState.PRUNED, "undefined_objective", f"an objective or constraint has no number: {named}")
    if violations:
        flight.attributes[CONSTRAINTS] = violations
    return Outcome(TrialState.COMPLETE, "complete")


def finish(study: Writer, flight: Flight) -> None:
    """Final attributes, events, cost, then the tell. A flight without an outcome waits for another attempt."""
    study.end(ending_of(flight))


def ending_of(flight: Flight) -> Ending:
    """What is written of an attempt that is over."""
    outcome, order = flight.outcome, flight.order
    attributes, events = dict(flight.attributes), list(flight.events)
    if flight.retries:
        attributes |= {"retries": flight.retries, "stalls": flight.stalls, "stalled_at": flight.stalled_at}
    if outcome is not None:
        attributes |= _summary(flight) | _story(outcome)
        if outcome.reason not in EXPECTED:
            events.append((outcome.reason, outcome.sentence))
    return Ending(
        number=order.number,
        trial_id=flight.trial_id,
        attempt=order.attempt,
        ending=outcome.reason if outcome is not None else flight.interruption,
        state=None if outcome is None else outcome.state.name,
        values=flight.values if outcome is not None and outcome.state is TrialState.COMPLETE else None,
        attributes=attributes,
        events=tuple(events),
        cost=_cost(flight),
        ledger=_ledger(flight),
        held=flight.is_held,
    )


def failure(sentence: str) -> Outcome:
    """Of an exception in this process; out of memory is told apart from an error of the code."""
    out_of_memory = any(words in sentence for words in OUT_OF_MEMORY)
    return Outcome(TrialState.FAIL, "oom" if out_of_memory else "error", sentence)


def _story(outcome: Outcome) -> dict[str, str]:
    return {"reason": outcome.reason} | ({"sentence": outcome.sentence} if outcome.sentence else {})


def _cost(flight: Flight) -> dict[str, Any]:
    """Of this attempt alone."""
    own = flight.own_results
    return {
        "node": flight.attributes.get("node"),
        "device": flight.attributes.get("device"),
        "epochs": len(own),
        "wall_seconds": time.monotonic() - flight.started,
        "train_seconds": flight.own_seconds,
        "gpu_seconds": flight.own_seconds * flight.gpus,
        "peak_memory_mib": max((result["peak_memory_mib"] for result in own), default=None),
    }


def _ledger(flight: Flight) -> dict[str, Any] | None:
    """A trial whose scores were seen counts, however it ended."""
    if not flight.results or flight.market is None:
        return None
    config = flight.order.config
    own = {"fold": config.fold, "config_hash": config.hash, "value": flight.results[-1]["value"]}
    return {"market": flight.market} | own


def _summary(flight: Flight) -> dict[str, Any]:
    """Cost, best epoch and warnings, from the results of every attempt."""
    events = [event for result in flight.results for event in result.get("events", [])]
    ended_by_memory = flight.outcome is not None and flight.outcome.reason == "oom"
    told: dict[str, Any] = {"oom_events": sum(e["kind"] == "oom" for e in events) + ended_by_memory}
    if warnings := [f"{e['kind']}: {e['sentence']}" for e in events if e["kind"] not in ("oom", "small_memory")]:
        told["warnings"] = warnings
    if not flight.results:
        return told
    best = max(flight.results, key=lambda result: result["value"])
    seconds = sum(result["seconds"] for result in flight.results)
    return told | {
        "wall_seconds": seconds,
        "gpu_seconds": seconds * flight.gpus,
        "peak_memory_mib": max(result["peak_memory_mib"] for result in flight.results),
        "best_epoch": best["epoch"],
        "best_epoch_value": best["value"],
    }
