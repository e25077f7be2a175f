"""What a trial takes: an address that is none, and more than the machine has, are refused before anything starts."""

from __future__ import annotations

import os

import pytest

from trial.resources import ClusterError, Node, Resources, check_cluster, check_share, parse_memory, refuse_unplaceable


@pytest.mark.parametrize("address", ["somewhere", ":6379", "host:port"])
def test_an_address_that_is_none_is_refused(address: str) -> None:
    with pytest.raises(ClusterError, match="HOST:PORT"):
        check_cluster(address, Resources())


@pytest.mark.parametrize(
    ("resources", "words"),
    [
        (Resources(cpus=1 + (os.cpu_count() or 1)), "--cpus-per-trial"),
        (Resources(gpus=1000), "--gpus-per-trial 1000 fits none"),
    ],
)
def test_more_than_the_machine_has_is_refused(resources: Resources, words: str) -> None:
    with pytest.raises(ClusterError, match=words):
        check_cluster(None, resources)


@pytest.mark.parametrize("gpus", [0.0, 0.25, 0.3333, 0.5, 1.0, 2.0])
def test_whole_gpus_and_equal_shares_of_one_pass(gpus: float) -> None:
    check_share(gpus)


@pytest.mark.parametrize(("gpus", "words"), [(0.4, "Use 0.5 or 0.3333"), (0.7, "Use 1 or 0.5"), (1.5, "whole number")])
def test_a_share_that_leaves_a_rest_is_refused(gpus: float, words: str) -> None:
    with pytest.raises(ClusterError, match=words):
        check_share(gpus)


def test_a_trial_must_fit_one_machine_not_all_together() -> None:
    nodes = [Node("a", 4, 0, 8000), Node("b", 2, 1, 4000)]
    refuse_unplaceable(Resources(4), nodes)
    refuse_unplaceable(Resources(2, 1, 4000), nodes)
    for wanted in (Resources(6), Resources(4, 1), Resources(1, 0, 9000)):
        with pytest.raises(ClusterError, match=r"fits none \(a: 4 CPUs, 0 GPUs, 8000 MiB; b: 2 CPUs"):
            refuse_unplaceable(wanted, nodes)


@pytest.mark.parametrize("text", ["0", "-5", "1.5", "much"])
def test_memory_is_auto_or_mib(text: str) -> None:
    assert (parse_memory(None), parse_memory("auto"), parse_memory("2000")) == (None, "auto", 2000)
    with pytest.raises(ClusterError, match="'auto' or a positive number of MiB"):
        parse_memory(text)
