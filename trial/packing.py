"""How much memory a trial will take, so that no machine and no GPU gets more trials than it can hold.

Predicted from two small probes of the network's step (`model/memory.py`). Rounded up to powers of two, because Ray
reuses a worker only for equal resources.
"""

from __future__ import annotations

import math

import torch

from data.store import MarketStore
from model.memory import forecast
from search_spaces.config import TrialConfig
from trial.memory import HEADROOM
from trial.resources import Resources
from trial.state import sizes_of

PROCESS_MIB = 700.0  # of a worker before its first step: Python, torch, Ray; measured 620-690
SMALLEST_MIB = 1024
PROBED_STOCKS = 64  # what a step takes grows with the stocks


class Packing:
    """What each trial of a study is placed by."""

    def __init__(
        self, resources: Resources, store: MarketStore, gpu_mib: float | None = None, most_mib: float = math.inf
    ) -> None:
        """
        Args:
            resources: that were asked for.
            store: the prepared market.
            gpu_mib: memory of one GPU; None where there is none to be asked.
            most_mib: memory of the largest machine. A trial for which more is predicted has that one to itself.
        """
        self._resources, self._store, self._gpu_mib, self._most_mib = resources, store, gpu_mib, most_mib
        self._predicted: dict[tuple[str, int], float] = {}

    def place(self, config: TrialConfig) -> dict[str, float]:
        """Ray's resources of one trial: CPU, GPU, and memory in bytes where it is looked at."""
        placed = self._resources.placement
        if self._resources.memory_mib is None:
            return placed
        if isinstance(self._resources.memory_mib, int):
            return placed | {"memory": self._resources.memory_mib * 2**20}
        mib = self._predict(config)
        if self._resources.gpus and self._gpu_mib:
            return placed | {"GPU": max(self._resources.gpus, gpu_share(mib, self._gpu_mib))}
        return placed | {"memory": min(class_of(mib), self._most_mib) * 2**20}

    def _predict(self, config: TrialConfig) -> float:
        key = (config.model.model_dump_json(), config.train.block_days)
        if key not in self._predicted:
            self._predicted[key] = predicted_mib(config, self._store)
        return self._predicted[key]


def predicted_mib(config: TrialConfig, store: MarketStore) -> float:
    """Of the whole worker, in the step that takes most."""
    stocks = len(store.meta.codes)
    probed = min(stocks, PROBED_STOCKS)
    line = forecast(config.model, sizes_of(config, store), probed, torch.device("cpu"))
    return PROCESS_MIB + HEADROOM * line.peak(config.train.block_days) * stocks / probed / 2**20


def class_of(mib: float) -> int:
    """The power of two above it, MiB."""
    return max(SMALLEST_MIB, 2 ** math.ceil(math.log2(mib)))


def gpu_memory_mib() -> float | None:
    """Of this machine's smallest GPU; None without one."""
    numbers = range(torch.cuda.device_count())
    found = [torch.cuda.get_device_properties(number).total_memory / 2**20 for number in numbers]
    return min(found, default=None)


def gpu_share(mib: float, gpu_mib: float) -> float:
    """1/k, where k such trials fit on one GPU; 1 where not even one would, which out-of-memory recovery then splits."""
    return 1.0 / max(1, math.floor(gpu_mib / mib))
