"""Ray as the sweep starts it: on loopback alone, quiet about its usage."""

from __future__ import annotations

import os

import pytest
import ray

from trial.cluster import ClusterError, Resources, check_cluster


def test_a_cluster_started_here_listens_on_loopback_alone(ray_head: str) -> None:
    assert ray_head.startswith("127.0.0.1:")
    assert {node["NodeManagerAddress"] for node in ray.nodes()} == {"127.0.0.1"}
    assert os.environ["RAY_USAGE_STATS_ENABLED"] == "0"


def test_workers_get_the_allocators_settings(ray_head: str) -> None:
    @ray.remote
    def seen() -> str | None:
        return os.environ.get("MALLOC_MMAP_MAX_")

    assert ray.get(seen.remote()) == "0"


@pytest.mark.parametrize("address", ["somewhere", ":6379", "host:port"])
def test_an_address_that_is_none_is_refused(address: str) -> None:
    with pytest.raises(ClusterError, match="HOST:PORT"):
        check_cluster(address, Resources())
