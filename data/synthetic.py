"""Synthetic markets with planted effects of a known size: heavy tails, volatility clusters, sectors, listings.

Two effects are planted on the idiosyncratic returns. *Spill-over*: each stock has hidden leaders, whose moves reach it
over the following days, so that only a model which looks at other stocks can use it. *Momentum*: a stock's own moves
continue slowly. With both at 0 nothing can be predicted.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from filelock import FileLock
from pydantic import Field

from data.config import Frozen

LEADERS_PER_STOCK = 4
FADE = 0.85  # share of a planted impulse that is left after one day
FORMAT = 1  # raise when the same settings give other numbers


class SyntheticConfig(Frozen):
    """Size, seed and effects of a market; equal settings give equal bytes."""

    num_stocks: int = Field(80, ge=10)
    num_days: int = Field(800, ge=60)
    num_sectors: int = Field(8, ge=1)
    seed: int = 7
    spillover: float = Field(1.0, ge=0, description="next-day reaction to the leaders' faded moves")
    momentum: float = Field(0.2, ge=0, description="next-day reaction to the stock's own faded moves")
    missing_share: float = Field(0.005, ge=0, lt=0.5, description="share of stock days without a row")
    start: str = "2018-01-01"

    @property
    def key(self) -> str:
        """Hash of the settings and the generator's format."""
        return hashlib.sha256(f"{FORMAT}{self.model_dump_json()}".encode()).hexdigest()[:12]


def synthetic_panel(folder: Path, config: SyntheticConfig) -> Path:
    """The path of the market's Parquet file under `folder`, generated once."""
    path = folder / f"market-{config.key}.parquet"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder / f".{path.name}.lock"):
            if not path.exists():
                scratch = path.with_suffix(f".{os.getpid()}.tmp")
                pq.write_table(generate(config), scratch, compression="zstd")
                scratch.rename(path)
    return path


def generate(config: SyntheticConfig) -> pa.Table:
    """The market as a long table: date, code, open, high, low, close, volume, sector, industry."""
    rng = np.random.default_rng([config.seed, 0x5EED])
    shape = (config.num_days, config.num_stocks)
    sector = rng.integers(0, config.num_sectors, config.num_stocks)
    returns = _returns(rng, config, sector)
    close = 50.0 * np.exp(rng.normal(0, 0.7, config.num_stocks) + np.cumsum(returns, axis=0))
    wiggle = np.abs(returns) * 0.4 + 0.003
    opened = close * np.exp(-returns + rng.normal(0, 0.3, shape) * wiggle)
    high = np.maximum(opened, close) * np.exp(rng.exponential(0.5, shape) * wiggle)
    low = np.minimum(opened, close) * np.exp(-rng.exponential(0.5, shape) * wiggle)
    size = rng.normal(13, 1, config.num_stocks)
    volume = np.exp(size + 8 * np.abs(returns) + rng.normal(0, 0.4, shape)).round()
    present = _presence(rng, config)
    day, stock = np.nonzero(present)
    columns = {name: v[day, stock].astype(np.float32) for name, v in _named(opened, high, low, close, volume)}
    labels = {
        "sector": np.array([f"sector-{s}" for s in sector])[stock],
        "industry": np.array([f"industry-{s}-{i % 3}" for i, s in enumerate(sector)])[stock],
    }
    keys = {"date": _business_days(config)[day], "code": np.array(_codes(config.num_stocks))[stock]}
    return pa.table({**keys, **columns, **labels})


def _returns(rng: np.random.Generator, config: SyntheticConfig, sector: np.ndarray) -> np.ndarray:
    """[D, N] log returns: market and sector factors, GARCH-like idiosyncratic noise, planted effects."""
    days, stocks = config.num_days, config.num_stocks
    leaders = np.stack([rng.permutation(np.delete(np.arange(stocks), i))[:LEADERS_PER_STOCK] for i in range(stocks)])
    market_beta = rng.normal(1, 0.25, stocks)
    market = rng.standard_t(4, days) * 0.007
    sectors = rng.standard_t(5, (days, config.num_sectors)) * 0.005
    noise = rng.standard_t(5, (days, stocks)) / np.sqrt(5 / 3)
    own, faded = np.zeros((days, stocks)), np.zeros(stocks)
    variance = np.full(stocks, 1.0)
    for t in range(days):
        pull = config.spillover * faded[leaders].mean(axis=1) + config.momentum * faded
        shock = np.sqrt(variance) * noise[t]
        variance = 0.05 + 0.90 * variance + 0.05 * np.clip(shock, -4, 4) ** 2
        own[t] = pull * (1 - FADE) + shock
        faded = FADE * faded + shock
    return market[:, None] * market_beta + sectors[:, sector] + 0.014 * own


def _presence(rng: np.random.Generator, config: SyntheticConfig) -> np.ndarray:
    """[D, N] bool: a tenth of the stocks list late or delist early, and single days are missing."""
    present = rng.random((config.num_days, config.num_stocks)) >= config.missing_share
    changing = rng.permutation(config.num_stocks)[: config.num_stocks // 10]
    for position, stock in enumerate(changing):
        day = int(rng.integers(config.num_days // 4, 3 * config.num_days // 4))
        if position % 2:
            present[:day, stock] = False
        else:
            present[day:, stock] = False
    return present


class _Column(NamedTuple):
    name: str
    values: np.ndarray


def _named(*values: np.ndarray) -> list[_Column]:
    names = ("open", "high", "low", "close", "volume")
    return [_Column(name, v) for name, v in zip(names, values, strict=True)]


def _business_days(config: SyntheticConfig) -> np.ndarray:
    return np.busday_offset(config.start, np.arange(config.num_days), roll="forward").astype("datetime64[D]")


def _codes(num_stocks: int) -> list[str]:
    return [f"S{i:04d}" for i in range(num_stocks)]
