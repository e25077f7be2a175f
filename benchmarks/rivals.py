"""The loaders that ours is measured against: files read in every pass, and all windows in memory."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import torch
from torch.utils.data import DataLoader, TensorDataset


def per_file_windows(files: list[Path], columns: list[str], window: int, clip: float = 8.0) -> Iterator[np.ndarray]:
    """(a) Per file: read_table, pandas, one column scaled after the other, windows. Yields [windows, L, F]."""
    for file in files:
        frame = pq.read_table(file, columns=columns).to_pandas()
        for column in columns:
            values = frame[column]
            middle, spread = values.median(), values.quantile(0.75) - values.quantile(0.25)
            frame[column] = ((values - middle) / (spread / 1.349)).clip(-clip, clip).fillna(0.0)
        rows = frame.to_numpy(np.float32)
        yield np.stack([rows[end - window : end] for end in range(window, len(rows) + 1)])


def materialised(scaled_DNF: np.ndarray, window: int) -> torch.Tensor:
    """(b) Every window of every stock, copied: [windows, L, F]."""
    view = np.lib.stride_tricks.sliding_window_view(scaled_DNF, window, axis=0)  # [days, N, F, L]
    return torch.from_numpy(np.ascontiguousarray(view.transpose(0, 1, 3, 2))).flatten(0, 1)


def materialised_batches(
    windows: torch.Tensor, labels: torch.Tensor, batch: int = 1024
) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """(b) One shuffled pass as torch serves a TensorDataset."""
    yield from DataLoader(TensorDataset(windows, labels), batch_size=batch, shuffle=True)


def gathered_batches(
    windows: torch.Tensor, labels: torch.Tensor, batch: int = 1024
) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """(b) at its best: one shuffled pass by whole-batch gathers, without a DataLoader."""
    for index in torch.randperm(len(windows)).split(batch):
        yield windows[index], labels[index]
