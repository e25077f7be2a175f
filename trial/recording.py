"""From results to the study: every epoch, then the final attributes, the outcome last.

A told trial is immutable, so `tell` is the commit. A sweep's recorder and a single training write through here.
"""

from __future__ import annotations

from typing import Any

from optuna.trial import TrialState

from storage.study import StudyStore
from trial.order import Flight, Outcome
from trial.predictions import PREDICTIONS

OUT_OF_MEMORY = ("OutOfMemoryError", "can't allocate memory", "MemoryError")


def record_epoch(study: StudyStore, flight: Flight, epoch: dict[str, Any]) -> None:
    """One epoch, and the events that came with it; nothing where it is recorded already."""
    if study.record_epoch(flight.trial_id, flight.order.number, epoch):
        for event in epoch["events"]:
            study.note(event["kind"], event["sentence"], flight.order.number)
    flight.results.append(epoch)
    if epoch["is_last"]:
        flight.outcome = Outcome(TrialState.COMPLETE, "complete")
        flight.attributes["predictions"] = str(flight.order.folder / PREDICTIONS)


def finish(study: StudyStore, flight: Flight) -> None:
    """Final attributes, then the tell. One without an outcome was interrupted and waits for the next start."""
    if flight.outcome is None:
        study.put_back(flight.trial_id)
        return
    outcome = flight.outcome
    study.set_attributes(flight.trial_id, flight.attributes | _summary(flight) | _story(outcome))
    if outcome.reason not in ("complete", "asha"):
        study.note(outcome.reason, outcome.sentence, flight.order.number)
    value = flight.results[-1]["value"] if outcome.state == TrialState.COMPLETE else None
    study.tell(flight.order.number, outcome.state, value)


def failure(sentence: str) -> Outcome:
    """Out of memory is told apart from other crashes."""
    out_of_memory = any(words in sentence for words in OUT_OF_MEMORY)
    return Outcome(TrialState.FAIL, "oom" if out_of_memory else "crash", sentence)


def _story(outcome: Outcome) -> dict[str, str]:
    return {"reason": outcome.reason} | ({"sentence": outcome.sentence} if outcome.sentence else {})


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
        "gpu_seconds": seconds if flight.order.machine.device.startswith("cuda") else 0.0,
        "peak_memory_mib": max(result["peak_memory_mib"] for result in flight.results),
        "best_epoch": best["epoch"],
        "best_epoch_value": best["value"],
    }
