"""The robust scaler: exact quantiles, harmless on odd columns, equal after JSON, blind to days it was not fitted on."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from data.config import DataConfig
from data.loader import fold_scaler
from data.scaler import IQR_OF_NORMAL, RobustScaler
from data.splits import Splits
from data.store import MarketStore
from tests.data.helpers import copied_store


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
    np.testing.assert_allclose(scaled(scaler, raw), expected, rtol=1e-6)


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


# --- the scaler of a fold


def spoil_days(store: MarketStore, days: slice) -> MarketStore:
    """Writes other features into some days of a private store and opens it again."""
    features = np.load(store.folder / "features.npy", mmap_mode="r+")
    features[days] = 1e3
    features.flush()
    return MarketStore.open(store.folder)


def test_days_after_the_training_days_do_not_reach_the_folds_scaler(
    small_store: MarketStore, small_splits: Splits, small_config: DataConfig, tmp_path: Path
) -> None:
    for fold in small_splits.folds:
        spoilt = spoil_days(copied_store(small_store, tmp_path / fold.name), slice(fold.train.stop, None))
        expected, actual = (fold_scaler(store, fold, small_config).to_dict() for store in (small_store, spoilt))
        assert actual == expected


def test_the_training_days_do_reach_it(
    small_store: MarketStore, small_splits: Splits, small_config: DataConfig, tmp_path: Path
) -> None:
    fold = small_splits.search
    spoilt = spoil_days(copied_store(small_store, tmp_path / "spoilt"), slice(fold.train.stop - 60, fold.train.stop))
    assert fold_scaler(spoilt, fold, small_config).to_dict() != fold_scaler(small_store, fold, small_config).to_dict()


def test_the_folds_scaler_is_the_fit_of_its_training_days(
    small_store: MarketStore, small_splits: Splits, small_config: DataConfig
) -> None:
    for fold in small_splits.folds:
        fitted = RobustScaler.fit(small_store.features[list(fold.train)], small_config.clip)
        assert fold_scaler(small_store, fold, small_config).to_dict() == fitted.to_dict()


def test_the_folds_scaler_is_fitted_once_and_then_read(
    small_store: MarketStore, small_splits: Splits, small_config: DataConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = fold_scaler(small_store, small_splits.search, small_config)
    monkeypatch.setattr(RobustScaler, "fit", None)
    assert fold_scaler(small_store, small_splits.search, small_config).to_dict() == first.to_dict()


def test_another_clip_is_another_scaler(
    small_store: MarketStore, small_splits: Splits, small_config: DataConfig
) -> None:
    tight = small_config.model_copy(update={"clip": 3.0})
    assert fold_scaler(small_store, small_splits.search, tight).clip == 3.0
    assert fold_scaler(small_store, small_splits.search, small_config).clip == 8.0
