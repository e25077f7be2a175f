"""What a trial takes: an address that is none, and more than the machine has, are refused before anything starts."""

from __future__ import annotations

import os

import pytest

from trial.resources import ClusterError, Resources, check_cluster


@pytest.mark.parametrize("address", ["somewhere", ":6379", "host:port"])
def test_an_address_that_is_none_is_refused(address: str) -> None:
    with pytest.raises(ClusterError, match="HOST:PORT"):
        check_cluster(address, Resources())


@pytest.mark.parametrize(
    ("resources", "words"),
    [
        (Resources(cpus=1 + (os.cpu_count() or 1)), "--cpus-per-trial"),
        (Resources(gpus=1000), "--gpus-per-trial 1000 exceeds"),
    ],
)
def test_more_than_the_machine_has_is_refused(resources: Resources, words: str) -> None:
    with pytest.raises(ClusterError, match=words):
        check_cluster(None, resources)
