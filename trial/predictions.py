"""What a finished trial leaves: what it said of every stock and day, the weights that said it, and its scaler."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import safetensors
import safetensors.torch
from torch import Tensor

from data.scaler import RobustScaler
from data.store import MarketStore
from storage.files import write_whole
from trial.evaluate import Scores

SCALER, PREDICTIONS, WEIGHTS = "scaler.json", "predictions.parquet", "weights.safetensors"


def write_scaler(path: Path, scaler: RobustScaler) -> None:
    """The state that scales features as the trial saw them; `RobustScaler.from_dict` reads it; atomic."""
    write_whole(path, json.dumps(scaler.to_dict()))


def write_weights(path: Path, weights: Mapping[str, Tensor]) -> None:
    """The weights that were scored, whatever else a checkpoint holds; atomic.

    Raises:
        OSError: they cannot be written; nothing half-written stays.
    """
    scratch = path.with_suffix(f".{os.getpid()}.tmp")
    try:
        plain = {name: value.detach().cpu().contiguous().clone() for name, value in weights.items()}
        safetensors.torch.save_file(plain, scratch)
        os.replace(scratch, path)
    except (OSError, safetensors.SafetensorError) as error:
        scratch.unlink(missing_ok=True)
        raise error if isinstance(error, OSError) else OSError(str(error)) from error


def write_predictions(path: Path, scores: Scores, store: MarketStore) -> None:
    """Long table: date, code, score_<h>d, return_<h>d per horizon; rows with any known label; atomic."""
    day, stock = np.nonzero(scores.mask.any(axis=2))
    columns: dict[str, np.ndarray] = {"date": store.dates[scores.days][day], "code": store.codes[stock]}
    for k, horizon in enumerate(store.meta.horizons):
        columns[f"score_{horizon}d"] = scores.score[day, stock, k]
        known = scores.mask[day, stock, k]
        columns[f"return_{horizon}d"] = np.where(known, scores.label[day, stock, k], np.nan).astype(np.float32)
    scratch = path.with_suffix(f".{os.getpid()}.tmp")
    pq.write_table(pa.table(columns), scratch, compression="zstd")
    os.replace(scratch, path)
