"""Each slot is one worker's: its flights ask for resources that no other slot's flights ask for."""

from __future__ import annotations

import pytest

from tests.trial.flights import flight
from tests.trial.results import epoch_result
from trial.slots import Slots, in_slot


def test_slots_fill_evenly_and_queue_one_while_trials_are_short() -> None:
    slots, flights = Slots(2, may_queue=True), []
    for expected in (0, 1, 0, 1):
        slot = slots.free(flights)
        assert slot == expected
        flights.append(flight(slot=slot))
    assert slots.free(flights) is None
    assert slots.free(flights[1:]) == 0


def test_nothing_queues_where_it_could_run_or_once_trials_are_long() -> None:
    two = [flight(slot=0), flight(slot=1)]
    assert Slots(2, may_queue=False).free(two) is None
    slots, long = Slots(2, may_queue=True), flight()
    long.results.append(epoch_result(1).to_dict() | {"seconds": 100.0})
    slots.hear(long)
    assert slots.free(two) is None
    assert slots.free(two[:1]) == 1


@pytest.mark.parametrize("cpus", [1.0, 0.5, 4.0])
def test_slots_ask_for_different_resources_but_hardly_less(cpus: float) -> None:
    asked = [in_slot({"CPU": cpus, "GPU": 1.0}, slot) for slot in range(8)]
    assert len({each["CPU"] for each in asked}) == 8
    assert all(cpus - 0.001 < each["CPU"] <= cpus and each["GPU"] == 1.0 for each in asked)
