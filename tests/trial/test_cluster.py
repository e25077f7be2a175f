"""Ray as the sweep starts it: on loopback alone, quiet about its usage."""

from __future__ import annotations

import os

import ray


def test_a_cluster_started_here_listens_on_loopback_alone(ray_head: str) -> None:
    assert ray_head.startswith("127.0.0.1:")
    assert {node["NodeManagerAddress"] for node in ray.nodes()} == {"127.0.0.1"}
    assert os.environ["RAY_USAGE_STATS_ENABLED"] == "0"


def test_workers_get_the_allocators_settings(ray_head: str) -> None:
    @ray.remote
    def seen() -> str | None:
        return os.environ.get("MALLOC_MMAP_MAX_")

    assert ray.get(seen.remote()) == "0"
