"""What runs in fresh processes, so that memory and start-up are those of one trial: `python -m benchmarks.tasks`."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import torch

from benchmarks.measure import Peak, private_mib
from benchmarks.rivals import gathered_batches, materialised, per_file_windows
from data.config import DataConfig
from data.loader import FoldBlocks
from data.prepare import prepare
from data.store import MarketStore


def ours(store: str, config: dict[str, Any], **_: object) -> dict[str, float]:
    """Opens a prepared store and makes one pass over its training blocks: what one more trial costs."""
    data = DataConfig.model_validate(config)
    before = private_mib()
    started = time.perf_counter()
    market = MarketStore.open(Path(store))
    blocks = FoldBlocks(market, market.splits(data).search, data, block_days=4)
    days = blocks.steps(0, 0, 16, 10**6)
    blocks.block(days[0][0])
    first = time.perf_counter() - started
    with Peak() as peak:
        for step in days:
            for _block in blocks.stream(step):
                pass
    return {"first_batch": first, "peak_private": peak.private + private_mib() - before, "kept": private_mib() - before}


def per_file(folder: str, columns: list[str], window: int, num_files: int, **_: object) -> dict[str, float]:
    files = sorted(Path(folder).glob("*.parquet"))[:num_files]
    started = time.perf_counter()
    next(per_file_windows(files, columns, window))
    first = time.perf_counter() - started
    with Peak() as peak:
        for _windows in per_file_windows(files, columns, window):
            pass
    return {"first_batch": first, "peak_private": peak.private}


def all_windows(store: str, window: int, num_stocks: int, **_: object) -> dict[str, float]:
    market = MarketStore.open(Path(store))
    with Peak() as peak:
        started = time.perf_counter()
        windows = materialised(np.nan_to_num(np.array(market.features[:, :num_stocks])), window)
        next(gathered_batches(windows, torch.zeros(len(windows))))
        first = time.perf_counter() - started
    return {"first_batch": first, "peak_private": peak.private}


def preparing(panel: str, folder: str, config: dict[str, Any], memory_mib: int, **_: object) -> dict[str, float]:
    """Prepares a panel afresh and watches the memory."""
    with Peak() as peak:
        started = time.perf_counter()
        prepare(Path(panel), Path(folder), DataConfig.model_validate(config), memory_mib=memory_mib)
        took = time.perf_counter() - started
    return {"seconds": took, "peak_private": peak.private, "peak_resident": peak.resident}


def decoding(panel: str, **_: object) -> dict[str, float]:
    """Decodes every column of a panel and drops it."""
    started = time.perf_counter()
    for _batch in pq.ParquetFile(panel).iter_batches(1 << 16):
        pass
    return {"seconds": time.perf_counter() - started}


if __name__ == "__main__":
    torch.set_num_threads(1)
    tasks = {
        "ours": ours,
        "per_file": per_file,
        "all_windows": all_windows,
        "preparing": preparing,
        "decoding": decoding,
    }
    print(json.dumps(tasks[sys.argv[1]](**json.loads(sys.argv[2]))))
