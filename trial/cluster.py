"""Ray, started on this machine or joined by address."""

from __future__ import annotations

import logging
import math
import os
from collections.abc import Iterator
from contextlib import contextmanager

import ray
from ray._private import ray_constants

from trial.ray_repairs import keep_ray_quiet, keep_signals_from_daemons
from trial.resources import ClusterError, Node, Resources, refuse_unplaceable
from trial.settings import ALLOCATOR_ENVIRONMENT, RAY_ENVIRONMENT, Settings

LOOPBACK = ("127.0.0.1:", "localhost:")


@contextmanager
def cluster(address: str | None, resources: Resources, settings: Settings) -> Iterator[None]:
    """Ray for the time of a sweep; one that was running before is left running.

    Raises:
        ClusterError: it cannot be joined, or can never place one trial.
    """
    os.environ.update(RAY_ENVIRONMENT)
    started_here = not ray.is_initialized()
    if started_here:
        _start(address, settings)
    try:
        refuse_unplaceable(resources, living_nodes())
        yield
    finally:
        if started_here:
            ray.shutdown()


def _start(address: str | None, settings: Settings) -> None:
    logging.getLogger("ray").setLevel(logging.ERROR)
    keep_ray_quiet()
    common: dict[str, object] = {
        "log_to_driver": False,
        "logging_level": logging.ERROR,
        "runtime_env": {"env_vars": ALLOCATOR_ENVIRONMENT | RAY_ENVIRONMENT | _threads(settings)},
    }
    if address is None or address.startswith(LOOPBACK):
        _keep_to_loopback()
    if address is not None:
        try:
            ray.init(address=address, **common)
        except (ConnectionError, RuntimeError, ValueError) as error:
            raise ClusterError(f"the cluster at {address} cannot be joined: {error}") from error
        return
    keep_signals_from_daemons()
    ray.init(
        address="local",  # never the cluster of somebody else on this machine
        num_cpus=os.cpu_count(),
        include_dashboard=False,
        object_store_memory=settings.object_store_mib * 2**20,
        **common,
    )


def _threads(settings: Settings) -> dict[str, str]:
    """The same in every worker, whatever the caller's shell says: the number of threads moves the last digits."""
    return {name: str(settings.threads_per_trial) for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS")}


def _keep_to_loopback() -> None:
    """All of Ray's ports on 127.0.0.1, as it does on a Mac: the variable for its processes, the constant for this one,
    which has read the variable already."""
    os.environ["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"
    ray_constants.ENABLE_RAY_CLUSTER = False


def room_for(resources: Resources) -> int:
    """Trials that the cluster can run at once, by CPUs and GPUs."""
    room = 0.0
    for node in living_nodes():
        by_gpus = node.gpus / resources.gpus if resources.gpus else math.inf
        room += math.floor(min(node.cpus / resources.cpus, by_gpus) + 1e-6)
    return max(1, int(room))


def most_memory_mib() -> int:
    """Of the largest machine, as Ray gives it out."""
    return int(max(node.memory_mib for node in living_nodes()))


def living_nodes() -> list[Node]:
    """Of the cluster that this process has joined."""
    found = []
    for node in ray.nodes():
        if not node["Alive"]:
            continue
        has = node["Resources"]
        amounts = (has.get("CPU", 0.0), has.get("GPU", 0.0), has.get("memory", 0.0) / 2**20)
        name = f"{node['NodeManagerHostname']} ({node['NodeManagerAddress']})"
        found.append(Node(name, *amounts, key=node["NodeID"]))
    return found
