"""What one trial takes of a machine or a cluster, and whether that can ever be had; asked before Ray is there."""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass

import torch

CONNECT_SECONDS = 3.0


class ClusterError(ValueError):
    """Says the law, the offence and the way out; shown to the user as it stands."""


@dataclass(frozen=True)
class Resources:
    """What one trial takes."""

    cpus: float = 1.0
    gpus: float = 0.0

    @property
    def device(self) -> str:
        return "cuda" if self.gpus > 0 else "cpu"


def check_cluster(address: str | None, resources: Resources) -> None:
    """Refuses, before anything starts, an address that does not answer and a trial this machine can never place.

    Raises:
        ClusterError: see above.
    """
    if address is None:
        cpus = os.cpu_count() or 1
        if resources.cpus > cpus:
            raise ClusterError(
                f"a trial must fit the machine, but --cpus-per-trial {resources.cpus:g} exceeds its {cpus} CPUs."
            )
        gpus = torch.cuda.device_count()
        if resources.gpus > gpus:
            raise ClusterError(
                f"a trial must fit the machine, but --gpus-per-trial {resources.gpus:g} exceeds its {gpus} GPUs."
            )
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
