"""Dense files: rows in any order land in their cells, whatever the stretch of days that is mapped at once."""

from __future__ import annotations

import decimal
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data.dense import TILE, DenseFile, batch_rows, matrix, release

LARGE = 1 << 20


def filled(path: Path, shape: tuple[int, ...], budget: int = LARGE, value: float = -1.0) -> DenseFile:
    """A new float32 file, the same number everywhere."""
    file = DenseFile(path, shape, np.float32, budget)
    file.days(0, shape[0])[:] = value
    return file


def scattered(shape: tuple[int, int, int], rows: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(day, stock, values) of distinct cells in random order, two days beyond each end included."""
    rng = np.random.default_rng(seed)
    cells = rng.choice((shape[0] + 4) * shape[1], rows, replace=False)
    return cells // shape[1] - 2, cells % shape[1], rng.normal(size=(rows, shape[2])).astype(np.float32)


def expected(shape: tuple[int, int, int], day: np.ndarray, stock: np.ndarray, values: np.ndarray) -> np.ndarray:
    out = np.full(shape, -1, np.float32)
    for row in range(len(day)):
        if 0 <= day[row] < shape[0]:
            out[day[row], stock[row]] = values[row]
    return out


@given(days=st.integers(1, 12), stocks=st.integers(1, 6), seed=st.integers(0, 9), stretch=st.integers(1, 13))
@settings(max_examples=50, deadline=None, derandomize=True, database=None)
def test_rows_in_any_order_land_in_their_cells_whatever_the_budget(
    tmp_path_factory: pytest.TempPathFactory, days: int, stocks: int, seed: int, stretch: int
) -> None:
    shape = (days, stocks, 2)
    rows = scattered(shape, (days + 4) * stocks // 2, seed)
    file = filled(tmp_path_factory.mktemp("dense") / "x.npy", shape, budget=stretch * stocks * 8)
    assert file.stretch == stretch
    file.write(*rows)
    np.testing.assert_array_equal(np.load(file.path), expected(shape, *rows))


@pytest.mark.parametrize("budget", [1, 100, LARGE])
def test_a_budget_smaller_than_a_day_still_writes(tmp_path: Path, budget: int) -> None:
    shape = (6, 5, 3)
    rows = scattered(shape, 20)
    file = filled(tmp_path / "x.npy", shape, budget)
    file.write(*rows)
    np.testing.assert_array_equal(np.load(file.path), expected(shape, *rows))


def test_two_dimensional_files_take_one_value_a_row(tmp_path: Path) -> None:
    file = DenseFile(tmp_path / "x.npy", (3, 2), np.bool_, LARGE)
    file.write(np.array([2, 0, 5]), np.array([1, 0, 1]), np.ones(3, np.bool_))
    np.testing.assert_array_equal(np.load(file.path), [[True, False], [False, False], [False, True]])


@pytest.mark.parametrize("columns", [slice(1, 3), np.array([3, 0])])
def test_only_the_named_columns_are_written(tmp_path: Path, columns: slice | np.ndarray) -> None:
    file = filled(tmp_path / "x.npy", (4, 2, 4), budget=1)
    file.write(np.array([3, 1]), np.array([0, 1]), np.array([[1, 2], [3, 4]], np.float32), columns)
    wanted = np.full((4, 2, 4), -1, np.float32)
    wanted[3, 0, columns], wanted[1, 1, columns] = [1, 2], [3, 4]
    np.testing.assert_array_equal(np.load(file.path), wanted)


def test_rows_that_all_lie_outside_write_nothing(tmp_path: Path) -> None:
    file = filled(tmp_path / "x.npy", (2, 2, 1))
    file.write(np.array([-1, 2, 99]), np.array([0, 1, 0]), np.ones((3, 1), np.float32))
    assert (np.load(file.path) == -1).all()


def test_the_file_is_a_plain_npy_whose_blocks_are_taken_at_once(tmp_path: Path) -> None:
    file = DenseFile(tmp_path / "x.npy", (100, 100, 10), np.float32, LARGE)
    assert np.load(file.path).shape == (100, 100, 10)
    assert file.path.stat().st_blocks * 512 >= 100 * 100 * 10 * 4


def test_opening_an_existing_file_keeps_its_values(tmp_path: Path) -> None:
    filled(tmp_path / "x.npy", (3, 2, 1), value=7)
    again = DenseFile(tmp_path / "x.npy", (3, 2, 1), np.float32, LARGE)
    assert (again.days(0, 3, "r") == 7).all()
    assert not again.days(0, 3, "r").flags.writeable


def test_mapped_days_are_those_of_the_array(tmp_path: Path) -> None:
    file = DenseFile(tmp_path / "x.npy", (5, 2, 3), np.float64, LARGE)
    values = np.arange(30.0).reshape(5, 2, 3)
    file.days(0, 5)[:] = values
    np.testing.assert_array_equal(file.days(2, 4), values[2:4])


def test_stretches_cover_every_day_once(tmp_path: Path) -> None:
    file = DenseFile(tmp_path / "x.npy", (10, 4), np.float32, budget=3 * 16)
    assert list(file.stretches()) == [(0, 3), (3, 6), (6, 9), (9, 10)]
    assert list(file.stretches(start=7)) == [(7, 10)]


@pytest.mark.parametrize("budget", [1, LARGE])
@pytest.mark.parametrize("start", [0, 3])
def test_blank_cells_are_nan_from_a_day_on_and_in_the_named_columns_alone(
    tmp_path: Path, budget: int, start: int
) -> None:
    mask = np.random.default_rng(0).random((6, 4)) < 0.4
    file = filled(tmp_path / "x.npy", (6, 4, 3), budget)
    file.blank(mask, slice(1, 3), start)
    wanted = np.full((6, 4, 3), -1, np.float32)
    wanted[start:, :, 1:][mask[start:]] = np.nan
    np.testing.assert_array_equal(np.load(file.path), wanted)


def test_a_matrix_has_nan_for_null_and_the_numbers_of_any_type() -> None:
    columns = [
        pa.array([1.5, None, 3.0]),
        pa.array([1, 2, None], pa.int64()),
        pa.array([True, None, False]),
        pa.array([decimal.Decimal("0.25"), decimal.Decimal("-1.50"), None]),
        pa.array([7.0, None, 7.0]).dictionary_encode(),
        pa.nulls(3, pa.float32()),
    ]
    nan = np.nan
    wanted = [[1.5, 1, 1, 0.25, 7, nan], [nan, 2, nan, -1.5, nan, nan], [3, nan, 0, nan, 7, nan]]
    for dtype in (np.float32, np.float64):
        result = matrix(columns, dtype)
        assert result.dtype == dtype
        np.testing.assert_array_equal(result, np.array(wanted, dtype))


def test_a_matrix_of_more_rows_than_a_tile_keeps_every_row() -> None:
    values = np.arange(2 * TILE + 5, dtype=np.float64)
    np.testing.assert_array_equal(
        matrix([pa.array(values), pa.array(-values)], np.float64), np.stack([values, -values], 1)
    )


def test_no_columns_make_an_empty_matrix() -> None:
    assert matrix([], np.float32).shape == (0, 0)


def test_text_is_no_number() -> None:
    with pytest.raises(pa.ArrowInvalid):
        matrix([pa.array(["high"])], np.float32)


def test_batches_shrink_with_the_budget_and_grow_to_a_bound() -> None:
    sizes = [batch_rows(400, 8, budget) for budget in (1, 1 << 26, 1 << 28, 1 << 40)]
    assert sizes == sorted(sizes)
    assert sizes[0] == 1024
    assert sizes[-1] == 1 << 17
    assert sizes[2] * 400 * 8 * 3 <= (1 << 28) / 3


def test_released_pages_are_read_again(tmp_path: Path) -> None:
    file = filled(tmp_path / "x.npy", (3, 2, 1), value=5)
    mapped = np.load(file.path, mmap_mode="r")
    assert (mapped[1:] == 5).all()
    release(mapped[1:])
    release(np.ones(3))
    assert (mapped == 5).all()
