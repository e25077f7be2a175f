"""Where the features live: mapped, resident and pinned give the same numbers, from buffers that are used again."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from data.residence import Mapped, Pinned, Residence, Resident, choose_residence
from data.scaler import RobustScaler

CPU = torch.device("cpu")
ROWS, CLIP = 9, 5.0
KINDS: dict[str, type[Mapped] | type[Resident] | type[Pinned]] = {
    "mapped": Mapped,
    "resident": Resident,
    "pinned": Pinned,
}
BLOCKS = [slice(0, 9), slice(40, 49), slice(20, 25), slice(20, 25), slice(91, 100), slice(3, 4), slice(10, 19)]


@pytest.fixture(scope="module")
def features(tmp_path_factory: pytest.TempPathFactory) -> np.ndarray:
    """[100, 7, 13] mapped read-only: missing and infinite values, a constant column, a distant one, an unseen one."""
    rng = np.random.default_rng(0)
    values = rng.standard_t(3, (100, 7, 13)).astype(np.float32)
    values[rng.random(values.shape) < 0.1] = np.nan
    values[5, 2, 3], values[6, 2, 3] = np.inf, -np.inf
    values[..., 0], values[..., 1], values[..., 2] = 4.0, 100 + 3 * values[..., 1], np.nan
    path = tmp_path_factory.mktemp("features") / "features.npy"
    np.save(path, values)
    return np.load(path, mmap_mode="r")


@pytest.fixture(scope="module")
def scaler(features: np.ndarray) -> RobustScaler:
    return RobustScaler.fit(features[:60], CLIP)


@pytest.fixture(params=KINDS)
def residence(request: pytest.FixtureRequest, features: np.ndarray, scaler: RobustScaler) -> Residence:
    """Each kind in turn."""
    return KINDS[request.param](features, scaler, CPU, ROWS)


@pytest.fixture(scope="module")
def naive(features: np.ndarray, scaler: RobustScaler) -> Callable[[slice], torch.Tensor]:
    """Scaling as it reads in a book, in double precision."""

    def scaled(rows: slice) -> torch.Tensor:
        x = (np.array(features[rows], np.float64) - scaler.median) / scaler.scale
        return torch.from_numpy(np.where(np.isnan(x), 0, np.clip(x, -CLIP, CLIP)).astype(np.float32))

    return scaled


def test_rows_are_scaled_clipped_and_filled(residence: Residence, naive: Callable[[slice], torch.Tensor]) -> None:
    for rows in BLOCKS:
        torch.testing.assert_close(residence.rows(rows), naive(rows), rtol=1e-5, atol=1e-5)


def test_a_stream_yields_each_block_intact_in_the_order_given(
    residence: Residence, naive: Callable[[slice], torch.Tensor]
) -> None:
    seen = 0
    for rows, block in zip(BLOCKS, residence.stream(BLOCKS), strict=True):
        torch.testing.assert_close(block, naive(rows), rtol=1e-5, atol=1e-5)
        seen += 1
    assert seen == len(BLOCKS)


def test_all_kinds_give_the_same_bits(features: np.ndarray, scaler: RobustScaler) -> None:
    streams = [kind(features, scaler, CPU, ROWS).stream(BLOCKS) for kind in KINDS.values()]
    for mapped, resident, pinned in zip(*streams, strict=True):
        assert torch.equal(mapped, resident)
        assert torch.equal(mapped, pinned)


def test_missing_is_zero_and_infinite_is_the_bound(residence: Residence) -> None:
    block = residence.rows(slice(0, 9))
    assert torch.isfinite(block).all()
    assert (block[..., 2] == 0).all()
    assert (block[5, 2, 3], block[6, 2, 3]) == (CLIP, -CLIP)


@pytest.mark.parametrize(("kind", "count"), [("mapped", 1), ("resident", 1), ("pinned", 2)])
def test_buffers_are_used_again(features: np.ndarray, scaler: RobustScaler, kind: str, count: int) -> None:
    residence = KINDS[kind](features, scaler, CPU, ROWS)
    addresses = [block.data_ptr() for _ in range(3) for block in residence.stream(BLOCKS)]
    assert len(set(addresses)) == count


def test_pinned_blocks_alternate_so_that_the_next_one_never_overwrites_the_one_in_use(
    features: np.ndarray, scaler: RobustScaler
) -> None:
    addresses = [block.data_ptr() for block in Pinned(features, scaler, CPU, ROWS).stream(BLOCKS)]
    assert all(a != b for a, b in pairwise(addresses))


def test_a_block_stays_intact_while_it_is_in_use(residence: Residence, naive: Callable[[slice], torch.Tensor]) -> None:
    stream = residence.stream(BLOCKS)
    block = next(stream)
    before = block.clone()
    assert torch.equal(block, before)
    torch.testing.assert_close(block, naive(BLOCKS[0]), rtol=1e-5, atol=1e-5)
    next(stream)


def test_a_stream_may_be_left_and_another_begun(residence: Residence, naive: Callable[[slice], torch.Tensor]) -> None:
    for taken in (1, 2, 3):
        stream = residence.stream(BLOCKS)
        for _ in range(taken):
            next(stream)
        stream.close()  # type: ignore[attr-defined]
        for rows, block in zip(BLOCKS, residence.stream(BLOCKS), strict=True):
            torch.testing.assert_close(block, naive(rows), rtol=1e-5, atol=1e-5)


def test_a_single_block_asked_for_between_two_of_a_stream_does_not_spoil_the_next(
    residence: Residence, naive: Callable[[slice], torch.Tensor]
) -> None:
    for rows, block in zip(BLOCKS, residence.stream(BLOCKS), strict=True):
        torch.testing.assert_close(block, naive(rows), rtol=1e-5, atol=1e-5)
        residence.rows(slice(60, 69))


@given(starts=st.lists(st.tuples(st.integers(0, 95), st.integers(1, ROWS)), min_size=2, max_size=12))
def test_days_that_are_held_already_are_what_scaling_them_gives(
    features: np.ndarray, scaler: RobustScaler, starts: list[tuple[int, int]]
) -> None:
    mapped, fresh = Mapped(features, scaler, CPU, ROWS), Resident(features, scaler, CPU, ROWS)
    for start, length in starts:
        rows = slice(start, min(start + length, len(features)))
        torch.testing.assert_close(mapped.rows(rows), fresh.rows(rows), rtol=0, atol=0)


def test_days_in_turn_are_scaled_once(features: np.ndarray, scaler: RobustScaler) -> None:
    class Counting(RobustScaler):
        days = 0

        def transform(self, raw: np.ndarray, out: np.ndarray) -> np.ndarray:
            self.days += len(raw)
            return super().transform(raw, out)

    counting = Counting(scaler.median, scaler.scale, scaler.clip)
    in_turn = [slice(start, start + ROWS) for start in range(0, 40, 4)]
    assert len(list(Mapped(features, counting, CPU, ROWS).stream(in_turn))) == 10
    assert counting.days == in_turn[-1].stop


def test_a_stream_of_nothing_is_empty(residence: Residence) -> None:
    assert list(residence.stream([])) == []


def test_the_features_are_left_as_they_were(residence: Residence, features: np.ndarray) -> None:
    before = np.array(features)
    for block in residence.stream(BLOCKS):
        block.fill_(7.0)
    np.testing.assert_array_equal(features, before)


def test_a_resident_store_needs_the_file_no_more(scaler: RobustScaler, tmp_path: Path) -> None:
    values = np.ones((20, 7, 13), np.float32)
    residence = Resident(values, scaler, CPU, ROWS)
    expected = residence.rows(slice(11, 20)).clone()
    values[:] = 50
    assert torch.equal(residence.rows(slice(11, 20)), expected)


def test_a_cpu_maps_unless_told_otherwise(features: np.ndarray, scaler: RobustScaler) -> None:
    assert type(choose_residence(features, scaler, CPU, ROWS)) is Mapped
    for where, kind in KINDS.items():
        assert type(choose_residence(features, scaler, CPU, ROWS, where)) is kind  # type: ignore[arg-type]


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("kind", KINDS)
def test_a_gpu_gets_the_numbers_of_the_cpu(
    features: np.ndarray, scaler: RobustScaler, naive: Callable[[slice], torch.Tensor], kind: str
) -> None:
    residence = KINDS[kind](features, scaler, torch.device("cuda"), ROWS)
    for rows, block in zip(BLOCKS * 20, residence.stream(BLOCKS * 20), strict=True):
        torch.testing.assert_close(block.cpu(), naive(rows), rtol=1e-5, atol=1e-4)
