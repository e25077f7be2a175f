"""Synthetic markets of any size with planted effects of a known size, streamed to Parquet, equal by seed.

Returns have a market factor, sector factors and an idiosyncratic part with heavy tails and volatility clusters; stocks
list late, delist early and miss days. Effects act on the idiosyncratic part, and each can be switched off with 0:

* *spill-over*: each stock has hidden leaders, anywhere or in its own industry, whose moves reach it over the following
  days. Only a model that looks at other stocks can use it; a stock's own moves tell a sixth of it.
* *momentum*: a stock's own moves continue slowly, over weeks.
* *reversal*: a move partly turns back within the following days.
* *regime*: a stock's noise changes its scale by factors for months; it rises after days that were wild for its regime,
  and falls after calm ones. What is wild can only be told by normalising each window by itself.

With all of them at 0 nothing can be predicted. The generator knows the expected return of every stock and day, so it
can say what the best possible predictor would score.
"""

from __future__ import annotations

import datetime as dt
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import xxhash
from pydantic import Field
from scipy.special import ndtr

from data.bars import day_rank
from data.cache import made_once
from data.config import Frozen
from data.errors import DataError

LEADERS_PER_STOCK = 4
LARGEST_EFFECT = 5.0  # beyond it moves feed on themselves until no price can hold them
FADE = 0.85  # share of a planted impulse that is left after one day
QUICK_FADE = 0.7  # the same of a reversal
MEAN_NOISE = 0.7351  # mean absolute value of the noise, a t with 5 degrees of freedom and unit deviation
DAILY_NOISE = 0.014  # deviation of the idiosyncratic return in the calm regime
REGIME_DAYS = 60  # mean length of a scale regime
FORMAT = 2  # raise when the same settings give other numbers
CHUNK_DAYS = 64
PAIRS = 800  # stocks up to which expected ranks are computed pair by pair


class SyntheticConfig(Frozen):
    """Size, seed and effects of a market; equal settings give equal bytes."""

    num_stocks: int = Field(80, ge=10, description="stocks that ever trade")
    num_days: int = Field(800, ge=60, description="trading days")
    num_sectors: int = Field(8, ge=1, description="sectors; each has three industries")
    seed: int = Field(7, ge=0, description="equal seeds give equal bytes")
    spillover: float = Field(1.0, ge=0, le=LARGEST_EFFECT, description="next-day reaction to the leaders' faded moves")
    leaders: Literal["market", "industry"] = Field("market", description="where a stock's leaders are drawn from")
    momentum: float = Field(0.2, ge=0, le=LARGEST_EFFECT, description="next-day reaction to its own faded moves")
    reversal: float = Field(0.0, ge=0, le=1, description="share of a move that turns back over the next days")
    regime: float = Field(
        0.0, ge=0, le=LARGEST_EFFECT, description="next-day reaction to wildness, in a changing scale"
    )
    regime_factor: float = Field(4.0, ge=1, le=20, description="largest factor of a regime's scale, up and down")
    missing_share: float = Field(0.005, ge=0, lt=0.5, description="share of stock days without a row")
    delisting_rate: float = Field(0.03, ge=0, lt=0.5, description="share of stocks that end per year; as many list")
    start: dt.date = Field(dt.date(2018, 1, 1), description="first business day")

    @property
    def key(self) -> str:
        """Hash of the settings and the generator's format."""
        return xxhash.xxh3_64_hexdigest(f"{FORMAT}{self.model_dump_json()}".encode())[:12]

    @classmethod
    def null(cls, **changes: object) -> SyntheticConfig:
        """A market in which nothing can be predicted."""
        return cls.model_validate({"spillover": 0, "momentum": 0, "reversal": 0, "regime": 0, **changes})


class Market(NamedTuple):
    """C days of a market, and what was expected of it."""

    first_day: int
    bars: dict[str, np.ndarray]  # open, high, low, close, volume: [C, N] float32
    present: np.ndarray  # [C, N] bool
    returns: np.ndarray  # [C, N] log returns
    expected: np.ndarray  # [C, N, H] sum of the expected log returns of the days t + 2 .. t + 1 + h, known at t
    deviation: np.ndarray  # [C, N] of the next days' idiosyncratic log return, known at t


def synthetic_panel(folder: Path, config: SyntheticConfig) -> Path:
    """The path of the market's Parquet file under `folder`, generated once."""
    return made_once(folder / f"market-{config.key}.parquet", lambda path: write_market(path, config))


def write_market(path: Path, config: SyntheticConfig, tell: object = None) -> None:
    """Streams the market into one Parquet file, a row group per stretch of days; atomic."""
    scratch = path.with_suffix(f".{os.getpid()}.tmp")
    writer = None
    try:
        for table in tables(config):
            writer = writer or pq.ParquetWriter(scratch, table.schema, compression="zstd")
            writer.write_table(table)
            if callable(tell):
                tell(table.num_rows)
        assert writer is not None, "a market has days"
        writer.close()
        scratch.rename(path)
    except OSError as error:
        raise DataError(
            f"a market must be written, but {path} cannot be: {error}. Make room, or name another."
        ) from error
    finally:
        scratch.unlink(missing_ok=True)


def generate(config: SyntheticConfig) -> pa.Table:
    """The whole market as one long table."""
    return pa.concat_tables(tables(config))


def tables(config: SyntheticConfig) -> Iterator[pa.Table]:
    """Long tables of a stretch of days each: date, code, open, high, low, close, volume, sector, industry."""
    sector = _sectors(config)
    codes, days = np.array(_codes(config.num_stocks)), _business_days(config)
    industries = _industries(config)
    sectors = np.array([f"sector-{s}" for s in sector])
    for market in simulate(config):
        day, stock = np.nonzero(market.present)
        columns = {name: values[day, stock] for name, values in market.bars.items()}
        labels = {"sector": sectors[stock], "industry": industries[stock]}
        yield pa.table({"date": days[market.first_day + day], "code": codes[stock], **columns, **labels})


def optimum(
    config: SyntheticConfig, horizons: tuple[int, ...] = (1, 5, 10, 20), days: slice = slice(None)
) -> np.ndarray:
    """[H] mean daily RankIC of the best possible predictor, entering one close later.

    It knows the generator's state at the close of each day: leaders, regimes and volatilities. Stocks are ordered by
    their expected rank, the mean over all others of the chance to come out above them (normal noise).
    """
    parts = list(simulate(config, horizons))
    returns, expected = (np.concatenate([getattr(part, name) for part in parts]) for name in ("returns", "expected"))
    present, deviation = (np.concatenate([getattr(part, name) for part in parts]) for name in ("present", "deviation"))
    level = np.concatenate([np.zeros((1, returns.shape[1])), np.cumsum(returns, axis=0)])
    scores = []
    for k, horizon in enumerate(horizons):
        last = len(returns) - 1 - horizon
        realised = level[2 + horizon : 2 + horizon + last] - level[2 : 2 + last]
        known = present[:last] & present[1 : 1 + last] & present[1 + horizon : 1 + horizon + last]
        guess = np.stack(
            [_expected_rank(expected[t, :, k], deviation[t] * np.sqrt(horizon), known[t]) for t in range(last)[days]]
        )
        scores.append(_mean_rank_correlation(guess, realised[days], known[days]))
    return np.array(scores)


def simulate(config: SyntheticConfig, horizons: tuple[int, ...] = ()) -> Iterator[Market]:
    """The market in stretches of days; the state that crosses them is small, so any length fits in memory."""
    rng = np.random.default_rng([config.seed, 0x5EED])
    stocks = config.num_stocks
    sector = _sectors(config)
    world = _World(rng, config)
    level = np.log(50.0) + rng.normal(0, 0.7, stocks)
    size = rng.normal(13, 1, stocks)
    listed, ended = _lifetimes(rng, config)
    for first in range(0, config.num_days, CHUNK_DAYS):
        count = min(CHUNK_DAYS, config.num_days - first)
        days = [world.step(rng, horizons) for _ in range(count)]
        own, expected, deviation = (np.stack([day[k] for day in days]) for k in range(3))
        market = rng.standard_t(4, count) * 0.007
        sectors = rng.standard_t(5, (count, config.num_sectors)) * 0.005
        returns = market[:, None] * world.market_beta + sectors[:, sector] + DAILY_NOISE * own
        closes = level + np.cumsum(returns, axis=0)
        level = closes[-1]
        here = np.arange(first, first + count)[:, None]
        present = (here >= listed) & (here < ended) & (rng.random((count, stocks)) >= config.missing_share)
        bars = _bars(rng, np.exp(closes), returns, size)
        yield Market(first, bars, present, returns, DAILY_NOISE * expected, DAILY_NOISE * deviation)


class _World:
    """Leaders, volatilities and regimes: the state of the idiosyncratic returns from day to day."""

    def __init__(self, rng: np.random.Generator, config: SyntheticConfig) -> None:
        self.config, stocks = config, config.num_stocks
        others = rng.integers(1, stocks, (stocks, LEADERS_PER_STOCK))  # distance to each leader: never oneself
        self.leaders = (np.arange(stocks)[:, None] + others) % stocks
        if config.leaders == "industry":
            self.leaders = _leaders_of_industry(config, self.leaders)
        self.market_beta = rng.normal(1, 0.25, stocks)
        self.faded, self.recent, self.relative = np.zeros(stocks), np.zeros(stocks), np.zeros(stocks)
        self.variance = np.ones(stocks)
        self.scale = self._draw_scale(rng, stocks)

    def _draw_scale(self, rng: np.random.Generator, count: int) -> np.ndarray:
        if self.config.regime == 0:
            return np.ones(count)
        return self.config.regime_factor ** rng.uniform(-1, 1, count)

    def step(self, rng: np.random.Generator, horizons: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """(own return [N], expected sums [N, H], deviation [N]) of one day, in units of the daily noise."""
        config = self.config
        pull = self._pull()
        noise = rng.standard_t(5, config.num_stocks) / np.sqrt(5 / 3)
        shock = np.sqrt(self.variance) * self.scale * noise
        own = pull + shock
        self.variance = 0.03 + 0.87 * self.variance + 0.10 * np.clip(np.sqrt(self.variance) * noise, -4, 4) ** 2
        self.faded = FADE * self.faded + shock / self.scale
        self.relative = FADE * self.relative + np.abs(noise) - MEAN_NOISE
        self.recent = QUICK_FADE * self.recent + shock
        expected = np.stack([self._expected(h) for h in horizons], axis=1) if horizons else np.empty((len(own), 0))
        deviation = np.sqrt(self.variance) * self.scale
        if config.regime:
            changing = rng.random(config.num_stocks) < 1 / REGIME_DAYS
            self.scale = np.where(changing, self._draw_scale(rng, config.num_stocks), self.scale)
        return own, expected, deviation

    def _pull(self) -> np.ndarray:
        """The expected return of the coming day."""
        slow, quick = self._impulses()
        return slow + quick

    def _expected(self, horizon: int) -> np.ndarray:
        """Sum of the expected returns of days t + 2 .. t + 1 + h: impulses fade, later shocks have mean zero."""
        slow, quick = self._impulses()
        days = np.arange(1, horizon + 1)
        return slow * (FADE**days).sum() + quick * (QUICK_FADE**days).sum()

    def _impulses(self) -> tuple[np.ndarray, np.ndarray]:
        """Expected return of tomorrow from what fades slowly and from what fades quickly."""
        config = self.config
        slow = config.spillover * self.faded[self.leaders].mean(axis=1) + config.momentum * self.faded
        slow += config.regime * self.relative
        quick = -config.reversal * self.recent
        return slow * (1 - FADE), quick * (1 - QUICK_FADE)


def _bars(rng: np.random.Generator, close: np.ndarray, returns: np.ndarray, size: np.ndarray) -> dict[str, np.ndarray]:
    shape = close.shape
    wiggle = np.abs(returns) * 0.4 + 0.003
    opened = close * np.exp(-returns + rng.normal(0, 0.3, shape) * wiggle)
    high = np.maximum(opened, close) * np.exp(rng.exponential(0.5, shape) * wiggle)
    low = np.minimum(opened, close) * np.exp(-rng.exponential(0.5, shape) * wiggle)
    volume = np.exp(size + 8 * np.minimum(np.abs(returns), 0.2) + rng.normal(0, 0.4, shape)).round()
    bars = {"open": opened, "high": high, "low": low, "close": close, "volume": volume}
    return {name: values.astype(np.float32) for name, values in bars.items()}


def _lifetimes(rng: np.random.Generator, config: SyntheticConfig) -> tuple[np.ndarray, np.ndarray]:
    """(first day, day after the last) per stock: some end, and as many list, at the yearly rate."""
    stocks, days = config.num_stocks, config.num_days
    listed, ended = np.zeros(stocks, np.int64), np.full(stocks, days, np.int64)
    changing = rng.permutation(stocks)[: round(2 * stocks * min(0.4, config.delisting_rate * days / 250))]
    when = rng.integers(days // 10, max(days // 10 + 1, days - days // 10), len(changing))
    listed[changing[::2]] = when[::2]
    ended[changing[1::2]] = when[1::2]
    return listed, ended


def _expected_rank(mean: np.ndarray, deviation: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Mean over the other stocks of the chance to come out above them; by the mean alone in very large markets."""
    out = np.full(len(mean), np.nan)
    who = np.flatnonzero(known)
    if len(who) > PAIRS:
        out[who] = mean[who]
        return out
    m, s = mean[who], deviation[who]
    out[who] = ndtr((m[:, None] - m) / np.sqrt(s[:, None] ** 2 + s**2)).mean(axis=1)
    return out


def _mean_rank_correlation(guess: np.ndarray, realised: np.ndarray, known: np.ndarray) -> float:
    """Mean over days of Spearman's correlation; 0 where every guess is the same."""
    a, b = (np.where(known, day_rank(x, known), 0.0) for x in (guess, realised))
    a, b = (x - np.where(known, x.sum(axis=1, keepdims=True) / known.sum(axis=1, keepdims=True), 0) for x in (a, b))
    a, b = np.where(known, a, 0), np.where(known, b, 0)
    scale = np.sqrt((a**2).sum(axis=1) * (b**2).sum(axis=1))
    return float(np.divide((a * b).sum(axis=1), scale, out=np.zeros(len(a)), where=scale > 1e-12).mean())


def _sectors(config: SyntheticConfig) -> np.ndarray:
    return np.random.default_rng([config.seed, 0x5EC7]).integers(0, config.num_sectors, config.num_stocks)


def _industries(config: SyntheticConfig) -> np.ndarray:
    return np.array([f"industry-{s}-{i % 3}" for i, s in enumerate(_sectors(config))])


def _leaders_of_industry(config: SyntheticConfig, anybody: np.ndarray) -> np.ndarray:
    """[N, leaders]: drawn again, from the stock's own industry; one that is alone in it keeps those from anywhere."""
    rng, industry = np.random.default_rng([config.seed, 0x1EAD]), _industries(config)
    found = anybody.copy()
    for stock in range(config.num_stocks):
        peers = np.flatnonzero((industry == industry[stock]) & (np.arange(config.num_stocks) != stock))
        if len(peers):
            found[stock] = rng.choice(peers, LEADERS_PER_STOCK)
    return found


def _business_days(config: SyntheticConfig) -> np.ndarray:
    first = np.datetime64(config.start)
    return np.busday_offset(first, np.arange(config.num_days), roll="forward").astype("datetime64[D]")


def _codes(num_stocks: int) -> list[str]:
    width = max(4, len(str(num_stocks - 1)))
    return [f"S{i:0{width}d}" for i in range(num_stocks)]


if __name__ == "__main__":
    from data.commands import synthetic_app

    synthetic_app()
