"""The robust scaler: exact or sketched quantiles, harmless on odd columns, equal after JSON, blind to other days."""

from __future__ import annotations

import json
import shutil
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from data.config import DataConfig
from data.loader import fold_scaler
from data.scaler import IQR_OF_NORMAL, ROWS, RobustScaler
from data.splits import Splits
from data.store import MarketStore

REPEATABLE = settings(max_examples=25, deadline=None, derandomize=True, database=None)
RANK_ERROR = 0.01  # of the sketch's quantiles, thrice what was measured at 1,000 centroids


@pytest.fixture
def raw() -> np.ndarray:
    """[50, 8, 5]: heavy tails and gaps; column 3 is constant, column 4 was never seen."""
    rng = np.random.default_rng(0)
    values = (rng.standard_t(2, (50, 8, 5)) * [1, 100, 1e-4, 1, 1] + [0, 3, 0, 0, 0]).astype(np.float32)
    values[rng.random(values.shape) < 0.1] = np.nan
    values[..., 3], values[..., 4] = 2.5, np.nan
    return values


def scaled(scaler: RobustScaler, raw: np.ndarray) -> np.ndarray:
    return scaler.transform(raw, out=np.empty(raw.shape, np.float32))


def test_median_and_scale_equal_the_quantiles_of_the_known_values(raw: np.ndarray) -> None:
    scaler = RobustScaler.fit(raw, clip=8.0)
    low, median, high = np.nanquantile(raw[..., :3].astype(np.float64), [0.25, 0.5, 0.75], axis=(0, 1))
    np.testing.assert_allclose(scaler.median[:3], median, rtol=1e-5)
    np.testing.assert_allclose(scaler.scale[:3], (high - low) / IQR_OF_NORMAL, rtol=1e-5)


def test_a_normal_column_gets_unit_deviation() -> None:
    raw = np.random.default_rng(0).normal(7, 3, (400, 100, 1)).astype(np.float32)
    assert abs(scaled(RobustScaler.fit(raw, clip=8.0), raw).std() - 1) < 0.01


def test_transform_equals_the_formula(raw: np.ndarray) -> None:
    scaler = RobustScaler.fit(raw, clip=1.5)
    expected = np.nan_to_num(np.clip((raw - scaler.median) / scaler.scale, -1.5, 1.5), nan=0.0)
    np.testing.assert_allclose(scaled(scaler, raw), expected, rtol=1e-6, atol=1e-6)


def test_the_fit_is_the_same_however_many_columns_are_sorted_at_once(
    raw: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = RobustScaler.fit(raw, clip=8.0)
    monkeypatch.setattr("data.scaler.FIT_BYTES", 2 * 4 * raw[..., 0].size)
    assert RobustScaler.fit(raw, clip=8.0).to_dict() == whole.to_dict()


def test_infinite_values_count_as_missing_for_the_fit_and_are_clipped_afterwards() -> None:
    raw = np.array([1, 2, 3, 4, 5, np.inf, -np.inf], np.float32).reshape(-1, 1)
    scaler = RobustScaler.fit(raw, clip=4.0)
    assert scaler.median[0] == 3
    assert scaled(scaler, raw)[5:, 0].tolist() == [4.0, -4.0]


def test_tensors_are_transformed_like_arrays_whatever_the_number_of_rows() -> None:
    raw = np.random.default_rng(0).standard_t(2, (3, ROWS // 2 + 7, 5)).astype(np.float32)
    raw[0, :5] = np.nan
    scaler = RobustScaler.fit(raw, clip=8.0)
    whole = scaled(scaler, raw)
    tensor = scaler.transform_tensor(torch.from_numpy(raw), torch.empty(raw.shape))
    np.testing.assert_array_equal(tensor.numpy(), whole)
    for day in range(3):
        np.testing.assert_array_equal(scaled(scaler, raw[day]), whole[day])


def test_a_map_for_reading_alone_is_scaled_in_silence_and_left_alone(raw: np.ndarray, tmp_path: Path) -> None:
    np.save(tmp_path / "raw.npy", raw)
    mapped = np.load(tmp_path / "raw.npy", mmap_mode="r")
    scaler = RobustScaler.fit(mapped, clip=8.0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        values = scaled(scaler, mapped[10:20])
    np.testing.assert_array_equal(values, scaled(scaler, raw[10:20]))
    np.testing.assert_array_equal(mapped, raw)


def test_a_column_far_from_zero_keeps_its_resolution() -> None:
    raw = (np.random.default_rng(0).normal(5e4, 5, (4000, 1))).astype(np.float32)
    scaler = RobustScaler.fit(raw, clip=8.0)
    expected = np.clip((raw.astype(np.float64) - scaler.median) / scaler.scale, -8, 8)
    np.testing.assert_allclose(scaled(scaler, raw), expected, atol=3e-3)


def test_transform_fills_the_buffer_it_was_given_and_leaves_the_raw_values_alone(raw: np.ndarray) -> None:
    before, buffer = raw.copy(), np.empty(raw.shape, np.float32)
    assert RobustScaler.fit(raw, clip=8.0).transform(raw, out=buffer) is buffer
    np.testing.assert_array_equal(raw, before)


def test_scaled_values_are_clipped_and_finite(raw: np.ndarray) -> None:
    values = scaled(RobustScaler.fit(raw, clip=2.0), raw)
    assert np.isfinite(values).all()
    assert np.abs(values).max() == 2.0


def test_a_missing_value_becomes_the_columns_middle(raw: np.ndarray) -> None:
    values = scaled(RobustScaler.fit(raw, clip=8.0), raw)
    assert (values[np.isnan(raw)] == 0).all()


def test_a_constant_column_becomes_zero_and_its_scale_is_one(raw: np.ndarray) -> None:
    scaler = RobustScaler.fit(raw, clip=8.0)
    assert scaler.scale[3] == 1
    assert (scaled(scaler, raw)[..., 3] == 0).all()


def test_a_column_never_seen_keeps_its_later_values_finite(raw: np.ndarray) -> None:
    scaler = RobustScaler.fit(raw, clip=8.0)
    later = np.full((2, 8, 5), 3.0, np.float32)
    assert (scaler.median[4], scaler.scale[4]) == (0, 1)
    assert (scaled(scaler, later)[..., 4] == 3.0).all()


def test_a_scaler_survives_json(raw: np.ndarray) -> None:
    scaler = RobustScaler.fit(raw, clip=6.0)
    again = RobustScaler.from_dict(json.loads(json.dumps(scaler.to_dict())))
    np.testing.assert_array_equal(again.median, scaler.median)
    np.testing.assert_array_equal(again.scale, scaler.scale)
    np.testing.assert_array_equal(scaled(again, raw), scaled(scaler, raw))


# --- learning in pieces


def heavy(seed: int, rows: int = 6000) -> np.ndarray:
    """[rows, 3] of heavy tails on different scales, with gaps."""
    rng = np.random.default_rng(seed)
    values = (rng.standard_t(3, (rows, 3)) * [1, 50, 1e-3] + [0, 7, 0]).astype(np.float32)
    values[rng.random(values.shape) < 0.1] = np.nan
    return values


def learned(*pieces: np.ndarray) -> RobustScaler:
    scaler = RobustScaler.empty(3, clip=8.0)
    for piece in pieces:
        scaler.partial_fit(piece)
    return scaler


def assert_close_to_the_exact_fit(scaler: RobustScaler, seen: np.ndarray) -> None:
    """Median and spread lie between the exact quantiles whose ranks are off by the sketch's error."""
    ranks = [[q - RANK_ERROR, q + RANK_ERROR] for q in (0.25, 0.5, 0.75)]
    low, middle, high = np.nanquantile(seen.astype(np.float64), ranks, axis=0)
    assert ((middle[0] <= scaler.median) & (scaler.median <= middle[1])).all()
    spread = scaler.scale.astype(np.float64) * IQR_OF_NORMAL
    assert (((high[0] - low[1]) * 0.9999 <= spread) & (spread <= (high[1] - low[0]) * 1.0001)).all()


@REPEATABLE
@given(seed=st.integers(0, 50), cuts=st.lists(st.integers(0, 6000), max_size=6))
def test_partial_fits_come_close_to_the_exact_fit_however_the_data_are_cut(seed: int, cuts: list[int]) -> None:
    values = heavy(seed)
    assert_close_to_the_exact_fit(learned(*np.split(values, sorted(cuts))), values)


@REPEATABLE
@given(seed=st.integers(0, 50), cut=st.integers(0, 6000))
def test_a_merge_comes_close_to_the_exact_fit_of_both_and_leaves_the_other_alone(seed: int, cut: int) -> None:
    values = heavy(seed) * np.float32(2) + np.linspace(0, 3, 6000, dtype=np.float32)[:, None]
    left, right = learned(values[:cut]), learned(values[cut:])
    before = right.to_dict()
    assert_close_to_the_exact_fit(left.merge(right), values)
    assert right.to_dict() == before


def test_few_values_are_learned_exactly_up_to_the_choice_between_neighbours() -> None:
    values = np.arange(101, dtype=np.float32)[:, None].repeat(3, axis=1)
    scaler = learned(values[:40], values[40:])
    np.testing.assert_allclose(scaler.median, 50, atol=1)
    np.testing.assert_allclose(scaler.scale * IQR_OF_NORMAL, 50, atol=1)


def test_a_sketch_treats_constant_and_unseen_columns_as_the_exact_fit_does(raw: np.ndarray) -> None:
    scaler = RobustScaler.empty(5, clip=8.0).partial_fit(raw)
    assert (scaler.median[3], scaler.scale[3]) == (2.5, 1)
    assert (scaler.median[4], scaler.scale[4]) == (0, 1)
    np.testing.assert_array_equal(scaled(scaler, raw)[..., 3:], 0)


def test_a_scaler_that_has_seen_nothing_scales_by_one_and_fills_the_missing() -> None:
    raw = np.array([[3.0, np.nan, -2.0]], np.float32)
    assert scaled(RobustScaler.empty(3, clip=8.0), raw).tolist() == [[3.0, 0.0, -2.0]]


def test_transform_follows_what_was_learned_last() -> None:
    scaler = learned(heavy(0))
    scaler.partial_fit(heavy(1) * 100)
    values = heavy(2)[:50]
    expected = np.nan_to_num(np.clip((values - scaler.median) / scaler.scale, -8, 8))
    np.testing.assert_allclose(scaled(scaler, values), expected, rtol=1e-5, atol=1e-6)


def test_sketches_survive_json_and_go_on_learning() -> None:
    first, later = heavy(3), heavy(4) + np.float32(1)
    scaler = learned(first)
    again = RobustScaler.from_dict(json.loads(json.dumps(scaler.to_dict())))
    assert again.to_dict() == scaler.to_dict()
    assert_close_to_the_exact_fit(again.partial_fit(later), np.concatenate([first, later]))
    assert_close_to_the_exact_fit(learned(later).merge(scaler), np.concatenate([first, later]))


def test_an_exactly_fitted_scaler_refuses_to_go_on_learning(raw: np.ndarray) -> None:
    exact = RobustScaler.fit(raw, clip=8.0)
    for learn in (lambda: exact.partial_fit(raw), lambda: exact.merge(exact)):
        with pytest.raises(ValueError, match=r"must begin with RobustScaler\.empty, but this one was fitted exactly"):
            learn()
    with pytest.raises(ValueError, match=r"must begin with RobustScaler\.empty"):
        RobustScaler.empty(5, clip=8.0).merge(exact)


def test_other_columns_are_refused(raw: np.ndarray) -> None:
    with pytest.raises(ValueError, match=r"shorter|longer"):
        RobustScaler.empty(4, clip=8.0).partial_fit(raw)
    with pytest.raises(ValueError, match=r"shorter|longer"):
        RobustScaler.empty(4, clip=8.0).merge(RobustScaler.empty(5, clip=8.0))


# --- the scaler of a fold


@pytest.fixture(scope="module")
def folds(small_store: MarketStore, small_config: DataConfig) -> Splits:
    return small_store.splits(small_config)


def with_other_days(store: MarketStore, folder: Path, days: slice) -> MarketStore:
    """A private copy of the store without fitted scalers, with other features on some days."""
    shutil.copytree(store.folder, folder, ignore=shutil.ignore_patterns("scaler-*"))
    features = np.load(folder / "features.npy", mmap_mode="r+")
    features[days] = 1e3
    features.flush()
    return MarketStore.open(folder)


def test_days_after_the_training_days_do_not_reach_the_folds_scaler(
    small_store: MarketStore, folds: Splits, small_config: DataConfig, tmp_path: Path
) -> None:
    for fold in folds.folds:
        spoilt = with_other_days(small_store, tmp_path / fold.name, slice(fold.train.stop, None))
        expected, actual = (fold_scaler(store, fold, small_config).to_dict() for store in (small_store, spoilt))
        assert actual == expected


def test_days_before_a_rolling_window_do_not_reach_the_folds_scaler(
    small_store: MarketStore, small_config: DataConfig, tmp_path: Path
) -> None:
    rolling = small_config.splits.model_copy(update={"train_days": 45})
    fold = small_store.splits(small_config.model_copy(update={"splits": rolling})).folds[-1]
    assert len(fold.train) == 45
    spoilt = with_other_days(small_store, tmp_path / "spoilt", slice(0, fold.train.start))
    assert fold_scaler(spoilt, fold, small_config).to_dict() == fold_scaler(small_store, fold, small_config).to_dict()


def test_the_training_days_do_reach_it(
    small_store: MarketStore, folds: Splits, small_config: DataConfig, tmp_path: Path
) -> None:
    fold = folds.search
    spoilt = with_other_days(small_store, tmp_path / "spoilt", slice(fold.train.stop - 60, fold.train.stop))
    assert fold_scaler(spoilt, fold, small_config).to_dict() != fold_scaler(small_store, fold, small_config).to_dict()


def test_the_folds_scaler_is_the_fit_of_its_training_days(
    small_store: MarketStore, folds: Splits, small_config: DataConfig
) -> None:
    for fold in folds.folds:
        fitted = RobustScaler.fit(small_store.features[list(fold.train)], small_config.clip)
        assert fold_scaler(small_store, fold, small_config).to_dict() == fitted.to_dict()


def test_the_folds_scaler_is_fitted_once_and_then_read(
    small_store: MarketStore, folds: Splits, small_config: DataConfig, tmp_path: Path
) -> None:
    store = with_other_days(small_store, tmp_path / "copy", slice(0, 0))
    first = fold_scaler(store, folds.search, small_config)
    (store.folder / "features.npy").unlink()
    assert fold_scaler(store, folds.search, small_config).to_dict() == first.to_dict()


def test_another_clip_is_another_scaler(small_store: MarketStore, folds: Splits, small_config: DataConfig) -> None:
    tight = small_config.model_copy(update={"clip": 3.0})
    assert fold_scaler(small_store, folds.search, tight).clip == 3.0
    assert fold_scaler(small_store, folds.search, small_config).clip == 8.0


def test_a_streaming_scaler_is_near_the_exact_one_and_the_same_every_time(
    small_store: MarketStore, folds: Splits, small_config: DataConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    streaming = small_config.model_copy(update={"scaler": "streaming"})
    exact, first = (fold_scaler(small_store, folds.search, config) for config in (small_config, streaming))
    apart = np.abs(first.median - exact.median) / exact.scale
    assert 0 < apart.max() < 0.05
    np.testing.assert_allclose(first.scale, exact.scale, rtol=0.05)
    raw = small_store.features[list(folds.search.train)]
    assert RobustScaler.stream(raw, small_config.clip).to_dict() == first.to_dict()
    monkeypatch.setattr("data.scaler.FIT_BYTES", raw[0].nbytes * 3)  # three days at a time
    np.testing.assert_allclose(RobustScaler.stream(raw, small_config.clip).median, exact.median, atol=0.05)


def test_a_streaming_scaler_goes_on_learning(small_store: MarketStore, folds: Splits, small_config: DataConfig) -> None:
    streaming = small_config.model_copy(update={"scaler": "streaming"})
    scaler = fold_scaler(small_store, folds.search, streaming)
    before = scaler.median.copy()
    scaler.partial_fit(small_store.features[folds.search.train.stop :] + 5)
    assert (scaler.median > before).mean() > 0.8


def test_columns_that_are_left_out_are_zero_wherever_they_are_read_and_after_reading_back() -> None:
    raw = np.random.default_rng(0).normal(3.0, 2.0, (50, 4, 3)).astype(np.float32)
    raw[0, 0, 1] = np.nan
    whole = RobustScaler.fit(raw, clip=8.0)
    part = RobustScaler.from_dict(json.loads(json.dumps(whole.without([1]).to_dict())))
    out, expected = np.empty_like(raw), np.empty_like(raw)
    part.transform(raw, out)
    whole.transform(raw, expected)
    expected[..., 1] = 0.0
    np.testing.assert_array_equal(out, expected)
