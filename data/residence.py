"""Where the features live while a trial trains: mapped from disk, on the device whole, or on their way through pinned
memory. Each hands out the scaled rows of a block; all give the same numbers.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal, Protocol

import numpy as np
import torch
from torch import Tensor

from data.scaler import RobustScaler

Where = Literal["auto", "mapped", "resident", "pinned"]
DEVICE_SHARE = 0.5  # of the device's free memory that the store may take


class Residence(Protocol):
    """Scaled rows of the store, on the device; valid until the next call."""

    def rows(self, rows: slice) -> Tensor:
        """[T, N, F]."""

    def stream(self, blocks: list[slice]) -> Iterator[Tensor]:
        """The rows of several blocks in turn, the next one under way while one is used."""


def choose_residence(
    features: np.ndarray, scaler: RobustScaler, device: torch.device, rows: int, where: Where = "auto"
) -> Residence:
    """A GPU that can hold the store holds it; one that cannot gets pinned, double-buffered blocks; a CPU maps it."""
    if where == "auto":
        where = "mapped" if device.type == "cpu" else "resident" if _fits(features, device) else "pinned"
    if where == "mapped":
        return Mapped(features, scaler, device, rows)
    if where == "resident":
        return Resident(features, scaler, device, rows)
    return Pinned(features, scaler, device, rows)


def _fits(features: np.ndarray, device: torch.device) -> bool:
    free, _ = torch.cuda.mem_get_info(device)
    return features.nbytes <= DEVICE_SHARE * free


class Mapped:
    """Scales from the memory map into one reused buffer: no private copy of the data.

    Days that the buffer holds already, as when days are scored in turn, are moved and not scaled again.
    """

    def __init__(self, features: np.ndarray, scaler: RobustScaler, device: torch.device, rows: int) -> None:
        self.features, self.scaler, self.device = features, scaler, device
        self.buffer = np.empty((rows, *features.shape[1:]), np.float32)
        self.held = slice(0, 0)  # days that the buffer holds

    def rows(self, rows: slice) -> Tensor:
        kept = self._move_to_front(rows)
        self.held = slice(0, 0)
        length = rows.stop - rows.start
        self.scaler.transform(self.features[rows.start + kept : rows.stop], self.buffer[kept:length])
        self.held = rows
        return torch.from_numpy(self.buffer[:length]).to(self.device)

    def _move_to_front(self, rows: slice) -> int:
        """Moves the first of `rows` to where they belong, as far as they are held; returns how many."""
        if not self.held.start <= rows.start < self.held.stop:
            return 0
        shift, kept = rows.start - self.held.start, min(self.held.stop, rows.stop) - rows.start
        for row in range(kept if shift else 0):
            self.buffer[row] = self.buffer[row + shift]
        return kept

    def stream(self, blocks: list[slice]) -> Iterator[Tensor]:
        for rows in blocks:
            yield self.rows(rows)


class Resident:
    """The whole store on the device; scaling happens there."""

    def __init__(self, features: np.ndarray, scaler: RobustScaler, device: torch.device, rows: int) -> None:
        self.scaler = scaler
        self.features = torch.empty(features.shape, dtype=torch.float32, device=device)
        for start in range(0, len(features), rows):
            self.features[start : start + rows] = torch.from_numpy(np.array(features[start : start + rows]))
        self.buffer = torch.empty((rows, *features.shape[1:]), dtype=torch.float32, device=device)

    def rows(self, rows: slice) -> Tensor:
        raw = self.features[rows]
        return self.scaler.transform_tensor(raw, self.buffer[: len(raw)])

    def stream(self, blocks: list[slice]) -> Iterator[Tensor]:
        for rows in blocks:
            yield self.rows(rows)


class Pinned:
    """Two pinned buffers: one is scaled on the host while the other travels on a stream of its own.

    A third one serves single blocks, so that asking for one does not spoil the next of a stream.
    """

    def __init__(self, features: np.ndarray, scaler: RobustScaler, device: torch.device, rows: int) -> None:
        self.features, self.scaler, self.device = features, scaler, device
        shape = (rows, *features.shape[1:])
        pinned = device.type == "cuda"
        self.host = [torch.empty(shape, dtype=torch.float32, pin_memory=pinned) for _ in range(3)]
        self.there = [torch.empty(shape, dtype=torch.float32, device=device) for _ in range(3)]
        self.copies = torch.cuda.Stream(device) if pinned else None
        self.arrived = [torch.cuda.Event() if pinned else None for _ in range(3)]

    def rows(self, rows: slice) -> Tensor:
        self._send(2, rows)
        return self._receive(2, rows)

    def stream(self, blocks: list[slice]) -> Iterator[Tensor]:
        for number, rows in enumerate(blocks[:1]):
            self._send(number, rows)
        for number, rows in enumerate(blocks):
            here = self._receive(number % 2, rows)
            if number + 1 < len(blocks):
                self._send((number + 1) % 2, blocks[number + 1])
            yield here

    def _send(self, side: int, rows: slice) -> None:
        """Scales on the host, then copies; the buffer's last copy and its last use must be over."""
        length = rows.stop - rows.start
        if (event := self.arrived[side]) is not None:
            event.synchronize()
        self.scaler.transform(self.features[rows], self.host[side][:length].numpy())
        if self.copies is None:
            self.there[side][:length].copy_(self.host[side][:length])
            return
        self.copies.wait_stream(torch.cuda.current_stream(self.device))
        with torch.cuda.stream(self.copies):
            self.there[side][:length].copy_(self.host[side][:length], non_blocking=True)
            event = torch.cuda.Event()
            event.record(self.copies)
            self.arrived[side] = event

    def _receive(self, side: int, rows: slice) -> Tensor:
        if (event := self.arrived[side]) is not None:
            torch.cuda.current_stream(self.device).wait_event(event)
        return self.there[side][: rows.stop - rows.start]
