"""Robust scaling: median and inter-quartile range per feature, fitted on a fold's training days alone.

`fit` is exact. `partial_fit` and `merge` keep a quantile sketch per feature (t-digest: Dunning & Ertl 2019, as Apache
DataSketches implements it), for data that arrive day by day or live on several machines. It draws no random number, so
that the same days give the same scaler.
"""

from __future__ import annotations

import base64
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from datasketches import tdigest_float
from torch import Tensor

IQR_OF_NORMAL = 1.349  # divides the IQR so that a normal column gets unit deviation
SKETCH_SIZE = 1000  # centroids: rank error about 0.3 % at the quartiles
FIT_BYTES = 256 << 20  # of columns that are sorted from one reading of the store
ROWS = 4096  # rows that are scaled at once, so that they stay in the cache


class RobustScaler:
    """One object for train, validation, test and production: (x - median) / scale, clipped, missing -> 0."""

    def __init__(self, median: np.ndarray, scale: np.ndarray, clip: float) -> None:
        self.median = np.asarray(median, np.float32)  # [F]
        self.scale = np.asarray(scale, np.float32)  # [F], 1 where the column is constant or unseen
        self.clip = float(clip)
        self.sketches: list[tdigest_float] | None = None
        self.left_out: tuple[int, ...] = ()  # columns that read as their median, which is 0
        self._prepare()

    def _prepare(self) -> None:
        """x / scale - median / scale is one fused operation; in double precision first, so that nothing is lost."""
        factor = 1.0 / self.scale.astype(np.float64)
        factor[list(self.left_out)] = 0.0
        self._factor = torch.from_numpy(factor.astype(np.float32))
        self._shift = torch.from_numpy((-self.median.astype(np.float64) * factor).astype(np.float32))

    def without(self, columns: Sequence[int]) -> RobustScaler:
        """The same scaler, to which these columns say nothing: they are 0 wherever they are read."""
        other = RobustScaler(self.median, self.scale, self.clip)
        other.sketches, other.left_out = self.sketches, tuple(columns)
        other._prepare()
        return other

    @classmethod
    def fit(cls, features: np.ndarray, clip: float) -> RobustScaler:
        """Fits on [D, N, F] raw values, a few columns at a time."""
        num_features = features.shape[-1]
        median, scale = np.zeros(num_features, np.float32), np.ones(num_features, np.float32)
        width = max(1, FIT_BYTES // max(1, 4 * features[..., 0].size))
        for first in range(0, num_features, width):
            some = features[..., first : first + width]
            table = np.ascontiguousarray(some.reshape(-1, some.shape[-1]).T)
            for column, values in enumerate(table, start=first):
                values = values[np.isfinite(values)]
                if len(values):
                    low, median[column], high = np.quantile(values, [0.25, 0.5, 0.75])
                    scale[column] = _spread(low, high)
        return cls(median, scale, clip)

    @classmethod
    def stream(cls, features: np.ndarray, clip: float) -> RobustScaler:
        """Reads [D, N, F] raw values once, a few days at a time; it can go on learning with `partial_fit`."""
        scaler = cls.empty(features.shape[-1], clip)
        width = max(1, FIT_BYTES // max(1, 4 * features[0].size))
        for first in range(0, len(features), width):
            scaler.partial_fit(features[first : first + width])
        return scaler

    @classmethod
    def empty(cls, num_features: int, clip: float) -> RobustScaler:
        """A scaler that has seen nothing, for `partial_fit`."""
        scaler = cls(np.zeros(num_features), np.ones(num_features), clip)
        scaler.sketches = [tdigest_float(SKETCH_SIZE) for _ in range(num_features)]
        return scaler

    def partial_fit(self, features: np.ndarray) -> RobustScaler:
        """Takes in more raw values [..., F]; missing ones are passed over.

        Raises:
            ValueError: an exactly fitted scaler, which holds no sketch to add to.
        """
        flat = features.reshape(-1, features.shape[-1])
        for sketch, column in zip(self._sketches(), flat.T, strict=True):
            values = column[np.isfinite(column)]
            if len(values):
                sketch.update(np.ascontiguousarray(values, np.float32))
        return self._refreshed()

    def merge(self, other: RobustScaler) -> RobustScaler:
        """Takes in what another scaler has seen; both must have been fitted with `partial_fit`."""
        for mine, theirs in zip(self._sketches(), other._sketches(), strict=True):
            mine.merge(theirs)
        return self._refreshed()

    def _sketches(self) -> list[tdigest_float]:
        if self.sketches is None:
            raise ValueError(
                "a scaler that goes on learning must begin with RobustScaler.empty, but this one was fitted exactly."
            )
        return self.sketches

    def _refreshed(self) -> RobustScaler:
        for column, sketch in enumerate(self._sketches()):
            if not sketch.is_empty():
                low, self.median[column], high = (sketch.get_quantile(share) for share in (0.25, 0.5, 0.75))
                self.scale[column] = _spread(low, high)
        self._prepare()
        return self

    def transform(self, raw: np.ndarray, out: np.ndarray) -> np.ndarray:
        """Writes the scaled, clipped, filled values of `raw` [..., F] into `out` and returns it."""
        self.transform_tensor(_read_only(raw), torch.from_numpy(out))
        return out

    def transform_tensor(self, raw: Tensor, out: Tensor) -> Tensor:
        """The same on tensors of any device; the two must not overlap."""
        factor, shift = self._factor.to(raw.device), self._shift.to(raw.device)
        num_features = raw.shape[-1]
        rows = ROWS if raw.device.type == "cpu" else max(1, raw.numel() // num_features)
        pieces = zip(raw.reshape(-1, num_features).split(rows), out.view(-1, num_features).split(rows), strict=True)
        for source, target in pieces:
            torch.addcmul(shift, source, factor, out=target)
            target.clamp_(-self.clip, self.clip).nan_to_num_(0.0)
        return out

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON, for checkpoints and exports; `from_dict` returns an equal scaler."""
        content: dict[str, Any] = {
            "median": self.median.tolist(),
            "scale": self.scale.tolist(),
            "clip": self.clip,
        }
        if self.left_out:
            content["left_out"] = list(self.left_out)
        if self.sketches is not None:
            content["sketches"] = [base64.b64encode(sketch.serialize()).decode() for sketch in self.sketches]
        return content

    @classmethod
    def from_dict(cls, state: dict[str, Any]) -> RobustScaler:
        scaler = cls(np.array(state["median"]), np.array(state["scale"]), state["clip"])
        if "sketches" in state:
            scaler.sketches = [tdigest_float.deserialize(base64.b64decode(text)) for text in state["sketches"]]
        return scaler.without(state["left_out"]) if "left_out" in state else scaler


def _spread(low: float, high: float) -> float:
    """The IQR in units of a normal's deviation; 1 where the middle half is constant."""
    spread = (float(high) - float(low)) / IQR_OF_NORMAL
    return spread if spread > np.finfo(np.float32).tiny else 1.0


def _read_only(raw: np.ndarray) -> Tensor:
    """A tensor on memory that is mapped for reading; torch warns that it could be written, which nobody does."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return torch.from_numpy(raw)
