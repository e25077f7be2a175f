"""Robust scaling: exact median and inter-quartile range per feature, fitted on a fold's training days alone."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

IQR_OF_NORMAL = 1.349  # divides the IQR so that a normal column gets unit deviation


@dataclass(frozen=True)
class RobustScaler:
    """One object for train, validation and prediction: (x - median) / scale, clipped, missing -> 0."""

    median: np.ndarray  # [F] float32
    scale: np.ndarray  # [F] float32, 1 where the column is constant or unseen
    clip: float

    @classmethod
    def fit(cls, features: np.ndarray, clip: float) -> RobustScaler:
        """Fits on [D, N, F] raw values, column by column so that one column at a time is copied."""
        num_features = features.shape[-1]
        median, scale = np.zeros(num_features, np.float32), np.ones(num_features, np.float32)
        for column in range(num_features):
            values = features[..., column]
            values = values[np.isfinite(values)]
            if len(values):
                low, median[column], high = np.quantile(values, [0.25, 0.5, 0.75])
                scale[column] = (high - low) / IQR_OF_NORMAL if high > low else 1.0
        return cls(median, scale, clip)

    def transform(self, raw: np.ndarray, out: np.ndarray) -> np.ndarray:
        """Writes the scaled, clipped, filled values of `raw` [..., F] into `out` and returns it."""
        np.subtract(raw, self.median, out=out)
        np.divide(out, self.scale, out=out)
        np.clip(out, -self.clip, self.clip, out=out)
        np.nan_to_num(out, copy=False, nan=0.0)
        return out

    def to_dict(self) -> dict[str, object]:
        """Plain JSON, for checkpoints and exports; `from_dict` returns an equal scaler."""
        return {"median": self.median.tolist(), "scale": self.scale.tolist(), "clip": self.clip}

    @classmethod
    def from_dict(cls, state: dict) -> RobustScaler:
        return cls(np.array(state["median"], np.float32), np.array(state["scale"], np.float32), state["clip"])
