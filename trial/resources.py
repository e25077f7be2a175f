"""What one trial takes of a machine or a cluster, and whether that can ever be had; asked before Ray is there."""

from __future__ import annotations

import math
import os
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import psutil
import torch

CONNECT_SECONDS = 3.0


class ClusterError(ValueError):
    """Says the law, the offence and the way out; shown to the user as it stands."""


@dataclass(frozen=True)
class Resources:
    """What one trial takes."""

    cpus: float = 1.0
    gpus: float = 0.0
    memory_mib: int | Literal["auto"] | None = None  # of the node, or of the GPU's where trials share one

    @property
    def placement(self) -> dict[str, float]:
        """As Ray takes it, memory aside."""
        return {"CPU": self.cpus} | ({"GPU": self.gpus} if self.gpus else {})

    @property
    def device(self) -> str:
        return "cuda" if self.gpus > 0 else "cpu"


def parse_memory(text: str | None) -> int | Literal["auto"] | None:
    """Of --memory-per-trial.

    Raises:
        ClusterError: neither 'auto' nor a positive number of MiB.
    """
    if text is None or text == "auto":
        return None if text is None else "auto"
    if not text.isdigit() or int(text) < 1:
        raise ClusterError(f"--memory-per-trial must be 'auto' or a positive number of MiB, got {text!r}.")
    return int(text)


def check_cluster(address: str | None, resources: Resources) -> None:
    """Refuses, before anything starts, an address that does not answer and a trial this machine can never place.

    Raises:
        ClusterError: see above.
    """
    check_share(resources.gpus)
    if address is None:
        memory = psutil.virtual_memory().total // 2**20
        here = Node("this machine", os.cpu_count() or 1, torch.cuda.device_count(), memory)
        refuse_unplaceable(resources, [here])
        return
    if address == "auto":
        return
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if not host or not port.isdigit():
        raise ClusterError(f"a cluster's address must be HOST:PORT or 'auto', got {address!r}.")
    try:
        socket.create_connection((host, int(port)), CONNECT_SECONDS).close()
    except OSError as error:
        raise ClusterError(
            f"the cluster must be reachable, but nothing answers at {address} ({error}). Is the head node up?"
        ) from error


class Node(NamedTuple):
    """What one machine of a cluster has."""

    name: str
    cpus: float
    gpus: float
    memory_mib: float
    key: str = ""  # by which Ray knows it


def refuse_unplaceable(resources: Resources, nodes: Sequence[Node]) -> None:
    """A trial runs on one machine: refuses one that fits on none.

    Raises:
        ClusterError: names what is lacking where.
    """
    memory = resources.memory_mib if isinstance(resources.memory_mib, int) else 0
    wanted = {"cpus": resources.cpus, "gpus": resources.gpus, "memory": memory}
    for node in nodes:
        if node.cpus >= resources.cpus and node.gpus >= resources.gpus and node.memory_mib >= memory:
            return
    has = "; ".join(f"{node.name}: {node.cpus:g} CPUs, {node.gpus:g} GPUs, {node.memory_mib:.0f} MiB" for node in nodes)
    options = [f"--{name}-per-trial {amount:g}" for name, amount in wanted.items() if amount]
    raise ClusterError(
        f"a trial must fit one machine, but {', '.join(options)} fits none ({has or 'there is no machine'}). Lower it."
    )


def check_share(gpus: float) -> None:
    """Ray gives a part of one GPU, or whole ones.

    Raises:
        ClusterError: neither, or a part of which several leave a rest.
    """
    if gpus >= 1 and gpus != int(gpus):
        raise ClusterError(f"--gpus-per-trial must be a whole number or at most 1, got {gpus:g}.")
    if 0 < gpus < 1 and abs(1 / gpus - round(1 / gpus)) > 0.02:
        k = math.ceil(1 / gpus)
        raise ClusterError(
            f"--gpus-per-trial must be 1/k for k trials on one GPU, got {gpus:g}: with it {k - 1} fit and the rest is "
            f"idle. Use {1 / (k - 1):.4g} or {1 / k:.4g}."
        )
