"""Markets: a panel that has grown, shrunk or been adjusted again is the same one; others are not."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from data.config import NoGraphConfig
from data.market import SKETCH, MarketSketch, merge, sketch
from data.prepare import prepare
from tests.data.test_prepare import CONFIG, changed, market_frame, save

DAYS = np.datetime64("2015-01-05") + np.arange(1000)
CODES = np.array([f"{1300 + number}" for number in range(60)])
RETURNS = np.random.default_rng(0).normal(0, 0.02, (1000, 60)).astype(np.float32)
WHOLE = sketch(DAYS, CODES, RETURNS)


def part(days: slice, stocks: slice) -> MarketSketch:
    return sketch(DAYS[days], CODES[stocks], RETURNS[days, stocks])


def assert_same(a: MarketSketch, b: MarketSketch) -> None:
    assert a.overlap(b).is_same_market
    assert b.overlap(a).is_same_market
    assert a.overlap(b) == b.overlap(a)


def assert_other(a: MarketSketch, b: MarketSketch) -> None:
    assert not a.overlap(b).is_same_market
    assert not b.overlap(a).is_same_market


PARTS: dict[str, tuple[slice, slice]] = {
    "a day less": (slice(0, 999), slice(None)),
    "half of the days": (slice(0, 500), slice(None)),
    "the last days": (slice(900, None), slice(None)),
    "a tenth of the days": (slice(100, 200), slice(None)),
    "half of the stocks": (slice(None), slice(0, 30)),
    "six stocks": (slice(None), slice(20, 26)),
    "one stock": (slice(None), slice(7, 8)),
    "some stocks on some days": (slice(300, 700), slice(10, 40)),
}


@pytest.mark.parametrize("name", PARTS)
def test_a_part_of_a_market_is_the_same_market(name: str) -> None:
    assert_same(WHOLE, part(*PARTS[name]))


def test_a_market_is_the_same_as_itself() -> None:
    overlap = WHOLE.overlap(WHOLE)
    assert (overlap.cells, overlap.returns) == (1.0, 1.0)


def test_panels_that_overlap_for_the_most_part_are_the_same_market() -> None:
    assert_same(part(slice(0, 700), slice(0, 50)), part(slice(200, 1000), slice(10, 60)))


def test_panels_that_share_less_than_a_third_of_their_cells_are_not_matched() -> None:
    one, other = part(slice(0, 550), slice(None)), part(slice(450, 1000), slice(None))
    assert one.overlap(other).cells == pytest.approx(100 / 550, abs=0.05)
    assert one.overlap(other).returns == 1.0
    assert_other(one, other)


@pytest.mark.parametrize("days", [slice(0, 400), slice(0, 10)])
def test_panels_without_a_common_cell_are_not_matched(days: slice) -> None:
    later = part(slice(400, 1000), slice(None))
    assert_other(part(days, slice(None)), later)
    assert part(days, slice(None)).overlap(later).cells == 0


def test_other_returns_on_the_same_codes_and_dates_are_another_market() -> None:
    other = sketch(DAYS, CODES, np.random.default_rng(1).normal(0, 0.02, RETURNS.shape).astype(np.float32))
    overlap = WHOLE.overlap(other)
    assert overlap.cells == 1.0
    assert overlap.returns < 0.1
    assert_other(WHOLE, other)


def test_other_codes_are_another_market() -> None:
    assert_other(WHOLE, sketch(DAYS, np.array([f"US{code}" for code in CODES]), RETURNS))


def test_dates_that_are_a_day_off_are_another_market() -> None:
    assert_other(WHOLE, sketch(DAYS + 1, CODES, RETURNS))


def test_an_empty_sketch_matches_nothing() -> None:
    empty = sketch(DAYS[:0], CODES, RETURNS[:0])
    assert_other(WHOLE, empty)
    assert_other(empty, empty)


def test_few_corrected_returns_keep_the_market() -> None:
    corrected = RETURNS.copy()
    corrected[np.random.default_rng(2).random(RETURNS.shape) < 0.1] += 0.01
    assert_same(WHOLE, sketch(DAYS, CODES, corrected))


def test_missing_returns_are_no_cells() -> None:
    holes = RETURNS.copy()
    holes[np.random.default_rng(3).random(RETURNS.shape) < 0.5] = np.nan
    halved = sketch(DAYS, CODES, holes)
    assert halved.num_cells == np.isfinite(holes).sum()
    assert np.isfinite(halved.returns).all()
    assert_same(WHOLE, halved)


# --- the sketch itself


@pytest.mark.parametrize("width", [1, 7, 333, 1000])
def test_chunks_of_days_make_the_sketch_of_the_whole(width: int) -> None:
    merged = part(slice(0, 0), slice(None))
    for start in range(0, 1000, width):
        merged = merge(merged, part(slice(start, start + width), slice(None)))
    for mine, others in zip(merged, WHOLE, strict=True):
        np.testing.assert_array_equal(mine, others)


def test_the_order_of_the_stocks_makes_no_difference() -> None:
    order = np.random.default_rng(4).permutation(60)
    for mine, others in zip(sketch(DAYS, CODES[order], RETURNS[:, order]), WHOLE, strict=True):
        np.testing.assert_array_equal(mine, others)


def test_a_sketch_is_small_and_survives_json() -> None:
    assert len(WHOLE.hashes) == SKETCH
    assert WHOLE.num_cells == RETURNS.size
    again = MarketSketch.from_dict(json.loads(json.dumps(WHOLE.to_dict())))
    np.testing.assert_array_equal(again.hashes, WHOLE.hashes)
    np.testing.assert_allclose(again.returns, WHOLE.returns, atol=1e-6)
    assert_same(again, WHOLE)


def test_hashes_of_cells_are_mixed_evenly() -> None:
    """The smallest hashes sample every stock and every stretch of days alike, and their bits are fair."""
    everything = sketch(DAYS[:17], CODES, RETURNS[:17]).hashes  # fewer cells than a sketch keeps: all of them
    assert len(np.unique(everything)) == 17 * 60
    bits = (everything[:, None] >> np.arange(64, dtype=np.uint64)) & np.uint64(1)
    assert np.abs(bits.mean(axis=0) - 0.5).max() < 0.08
    kept = {int(value) for value in WHOLE.hashes}
    by_day = [sum(int(v) in kept for v in part(slice(d, d + 10), slice(None)).hashes) for d in range(0, 1000, 10)]
    by_stock = [sum(int(v) in kept for v in part(slice(None), slice(n, n + 1)).hashes) for n in range(60)]
    assert max(by_day) < 30  # 10 expected
    assert max(by_stock) < 40  # 17 expected


def test_a_cells_hash_is_no_sum_of_its_day_and_its_code() -> None:
    hashes = [int(part(slice(day, day + 1), slice(n, n + 1)).hashes[0]) for day in (0, 1) for n in (0, 1)]
    assert len(set(hashes)) == 4
    assert hashes[0] ^ hashes[1] ^ hashes[2] ^ hashes[3] != 0
    assert hashes[0] - hashes[1] != hashes[2] - hashes[3]


# --- through prepared stores


@pytest.fixture
def frame() -> pd.DataFrame:
    return market_frame(num_days=60)


PRICED = ["open", "high", "low", "close", "volume"]


def market_of(frame: pd.DataFrame, folder: Path, holdout_days: int = 6) -> MarketSketch:
    config = changed(CONFIG, splits={"holdout_days": holdout_days})
    if "close" not in frame:
        config = config.model_copy(update={"graph": NoGraphConfig()})
    return prepare(save(frame, folder / "p.parquet"), folder / "s", config).sketch


def test_a_store_that_has_grown_or_been_adjusted_again_is_the_same_market(frame: pd.DataFrame, tmp_path: Path) -> None:
    days = sorted(frame["Date"].unique())
    first = market_of(frame[frame["Date"].isin(days[:45])], tmp_path / "first")
    prices = ["open", "high", "low", "close"]
    halved = frame.copy()
    halved.loc[halved["Code"].isin(["1310", "1340"]), prices] *= 0.5
    others = {
        "days": frame,
        "column": frame.assign(f9=np.random.default_rng(0).normal(size=len(frame))),
        "adjusted": halved,
        "stocks": frame[frame["Code"] > "1320"],
        "shorter hold-out": frame,
    }
    for name, other in others.items():
        holdout_days = 1 if name == "shorter hold-out" else 6
        assert_same(first, market_of(other, tmp_path / name, holdout_days))


def test_another_seed_is_another_market(frame: pd.DataFrame, tmp_path: Path) -> None:
    other = market_frame(num_days=60, seed=1)
    assert_other(market_of(frame, tmp_path / "a"), market_of(other, tmp_path / "b"))


def test_without_prices_a_market_is_known_by_its_nearest_target(frame: pd.DataFrame, tmp_path: Path) -> None:
    def bare(seed: int) -> pd.DataFrame:
        targets = np.random.default_rng(seed).normal(0, 0.02, (2, len(frame)))
        return frame.drop(columns=PRICED).assign(target_1d=targets[0], target_3d=targets[1])

    days = sorted(frame["Date"].unique())
    whole = bare(1)
    first = market_of(whole[whole["Date"].isin(days[:45])], tmp_path / "first")
    assert first.num_cells > 0
    assert_same(first, market_of(whole, tmp_path / "grown"))
    assert_other(first, market_of(bare(2), tmp_path / "other"))
