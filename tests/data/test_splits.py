"""Fold roles: in calendar order, with no label of a training day in sight of a scored one, or refused with numbers."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data.config import DataConfig, SplitConfig
from data.errors import DataError
from data.splits import MIN_TRAIN_DAYS, Fold, Splits, audit_splits, make_splits, prove_purged

REPEATABLE = settings(max_examples=80, deadline=None, derandomize=True, database=None)
FEWER = settings(REPEATABLE, max_examples=30)


@st.composite
def configs(draw: st.DrawFn) -> DataConfig:
    """Any horizons, delay, fold lengths, number of confirm folds, embargo, and an expanding or rolling window."""
    return DataConfig(
        horizons=tuple(sorted(draw(st.sets(st.integers(1, 25), min_size=1, max_size=4)))),
        delay=draw(st.integers(0, 3)),
        splits=SplitConfig(
            search_days=draw(st.integers(2, 60)),
            confirm_days=draw(st.integers(2, 40)),
            confirm_folds=draw(st.integers(1, 5)),
            embargo_days=draw(st.integers(0, 10)),
            train_days=draw(st.none() | st.integers(MIN_TRAIN_DAYS, 120)),
        ),
    )


def shortest_history(config: DataConfig, first_usable: int) -> int:
    """Days that a store needs so that the search fold has exactly the least training days."""
    folds = config.splits.search_days + config.splits.confirm_folds * (config.splits.confirm_days + config.purge)
    return first_usable + MIN_TRAIN_DAYS + config.purge + folds + config.horizons[-1] + config.delay


def label_windows_touch(learned: range, scored: range, config: DataConfig) -> bool:
    """Whether any pair of days has labels with a close in common, pair by pair."""
    a, b = np.array(learned)[:, None], np.array(scored)[None, :]
    reach = config.delay + config.horizons[-1]
    return bool(((a + config.delay <= b + reach) & (b + config.delay <= a + reach)).any())


@REPEATABLE
@given(config=configs(), first_usable=st.integers(0, 150), spare=st.integers(0, 300))
def test_no_training_label_shares_a_close_with_a_scored_one(config: DataConfig, first_usable: int, spare: int) -> None:
    splits = make_splits(shortest_history(config, first_usable) + spare, first_usable, config)
    for fold in splits.folds:
        assert not label_windows_touch(fold.train, fold.score, config), fold


@REPEATABLE
@given(config=configs(), first_usable=st.integers(0, 150), spare=st.integers(0, 300))
def test_no_two_folds_are_scored_on_the_same_closes(config: DataConfig, first_usable: int, spare: int) -> None:
    splits = make_splits(shortest_history(config, first_usable) + spare, first_usable, config)
    for before, after in zip(splits.folds, splits.folds[1:], strict=False):
        assert before.score.stop <= after.score.start
        assert not label_windows_touch(before.score, after.score, config)


@REPEATABLE
@given(config=configs(), first_usable=st.integers(0, 150), spare=st.integers(0, 300))
def test_every_day_of_every_fold_is_usable_and_labelled_before_the_store_ends(
    config: DataConfig, first_usable: int, spare: int
) -> None:
    num_days = shortest_history(config, first_usable) + spare
    splits = make_splits(num_days, first_usable, config)
    for fold in splits.folds:
        assert fold.train.start >= first_usable
        assert fold.score[-1] + config.delay + config.horizons[-1] < num_days
    assert splits.folds[-1].score[-1] + config.delay + config.horizons[-1] == num_days - 1


@REPEATABLE
@given(config=configs(), first_usable=st.integers(0, 150))
def test_one_day_less_than_the_shortest_history_is_refused(config: DataConfig, first_usable: int) -> None:
    enough = shortest_history(config, first_usable)
    assert len(make_splits(enough, first_usable, config).search.train) == MIN_TRAIN_DAYS
    with pytest.raises(DataError, match=f" {MIN_TRAIN_DAYS - 1} are left after {first_usable} to begin with"):
        make_splits(enough - 1, first_usable, config)


@pytest.fixture
def config() -> DataConfig:
    """Purge 6, folds of 30 and 2 x 20 days."""
    return DataConfig(horizons=(1, 5), splits=SplitConfig(search_days=30, confirm_days=20, confirm_folds=2))


@REPEATABLE
@given(config=configs(), first_usable=st.integers(0, 150), spare=st.integers(0, 300))
def test_roles_come_in_calendar_order_with_purge_and_embargo_between(
    config: DataConfig, first_usable: int, spare: int
) -> None:
    splits = make_splits(shortest_history(config, first_usable) + spare, first_usable, config)
    assert len(splits.confirm) == config.splits.confirm_folds
    for fold in splits.folds:
        assert fold.score.start - fold.train.stop == config.purge
    for before, after in zip(splits.folds, splits.folds[1:], strict=False):
        assert after.score.start - before.score.stop == config.purge


@REPEATABLE
@given(config=configs(), first_usable=st.integers(0, 150), spare=st.integers(0, 300))
def test_training_expands_or_rolls_over_the_days_before_the_purge(
    config: DataConfig, first_usable: int, spare: int
) -> None:
    splits = make_splits(shortest_history(config, first_usable) + spare, first_usable, config)
    for fold in splits.folds:
        available = fold.score.start - config.purge - first_usable
        longest = config.splits.train_days
        assert len(fold.train) == (available if longest is None else min(available, longest))


def test_folds_come_in_calendar_order_with_the_lengths_asked(config: DataConfig) -> None:
    splits = make_splits(300, 25, config)
    assert [fold.name for fold in splits.folds] == ["search", "confirm-1", "confirm-2"]
    assert [len(fold.score) for fold in splits.folds] == [30, 20, 20]
    assert splits.search == splits.folds[0]
    assert splits.confirm == splits.folds[1:]


def test_a_confirm_fold_trains_on_everything_before_its_purge(config: DataConfig) -> None:
    splits = make_splits(300, 25, config)
    for fold in splits.confirm:
        assert fold.train == range(25, fold.score.start - config.purge)
        assert set(splits.search.train) | set(splits.search.score) < set(fold.train)


def test_an_embargo_widens_every_gap(config: DataConfig) -> None:
    wider = config.model_copy(update={"splits": config.splits.model_copy(update={"embargo_days": 9})})
    for fold, wide in zip(make_splits(300, 25, config).folds, make_splits(300, 25, wider).folds, strict=True):
        assert wide.score.start - wide.train.stop == fold.score.start - fold.train.stop + 9


def test_a_fold_is_found_by_name(config: DataConfig) -> None:
    splits = make_splits(300, 25, config)
    assert splits["confirm-2"] is splits.folds[2]


def test_an_unknown_fold_is_refused_with_the_names_there_are(config: DataConfig) -> None:
    with pytest.raises(DataError, match=r"\['search', 'confirm-1', 'confirm-2'\], got 'confirm-3'"):
        make_splits(300, 25, config)["confirm-3"]


def test_a_short_history_is_refused_with_its_numbers(config: DataConfig) -> None:
    with pytest.raises(DataError) as caught:
        make_splits(130, 25, config)
    message = str(caught.value)
    for part in [
        "at least 40",
        "of 130 before the hold-out 11 are left",
        "after 25 to begin with",
        "a search fold of 30",
        "2 confirm folds of",
        "a purge of 6",
        "and 6 at the end",
    ]:
        assert part in message


def test_the_audit_passes_what_make_splits_lays(config: DataConfig) -> None:
    splits = make_splits(300, 25, config)
    audit_splits(splits, config)
    assert all(len(fold.train) >= MIN_TRAIN_DAYS for fold in splits.folds)


@pytest.mark.parametrize("gap", range(5))
def test_the_audit_refuses_training_labels_that_reach_the_scored_days(config: DataConfig, gap: int) -> None:
    splits = Splits((Fold("search", range(0, 100), range(100 + gap, 130)),))
    with pytest.raises(DataError, match=f"in fold search training day 99 is known at day 105, after {100 + gap}"):
        audit_splits(splits, config)


def test_the_audit_admits_a_training_label_that_is_known_when_the_scored_days_begin(config: DataConfig) -> None:
    assert not is_refused(audit_splits, Splits((Fold("search", range(0, 100), range(105, 130)),)), config)


def test_the_audit_refuses_training_days_behind_the_scored_ones(config: DataConfig) -> None:
    with pytest.raises(DataError, match="labels must end before the scored days begin"):
        audit_splits(Splits((Fold("search", range(200, 300), range(100, 130)),)), config)


def test_the_audit_refuses_an_overlap_in_any_fold(config: DataConfig) -> None:
    folds = make_splits(300, 25, config).folds
    for number, fold in enumerate(folds):
        late = Fold(fold.name, range(fold.train.start, fold.score.start - 4), fold.score)
        with pytest.raises(DataError, match=f"in fold {fold.name} training day"):
            audit_splits(Splits((*folds[:number], late, *folds[number + 1 :])), config)


def test_the_audit_refuses_folds_scored_on_the_same_closes(config: DataConfig) -> None:
    folds = (Fold("search", range(0, 80), range(90, 110)), Fold("confirm-1", range(0, 100), range(112, 130)))
    with pytest.raises(DataError, match="search reaches day 115 and confirm-1 begins at 112"):
        audit_splits(Splits(folds), config)


def test_the_audit_refuses_folds_out_of_calendar_order(config: DataConfig) -> None:
    folds = make_splits(300, 25, config).folds
    with pytest.raises(DataError, match="must not share labels"):
        audit_splits(Splits((folds[1], folds[0])), config)


# --- what purgedcv says


@st.composite
def layouts(draw: st.DrawFn) -> tuple[Splits, DataConfig]:
    """Hand-made folds in calendar order, with gaps on both sides of what the labels need."""
    config = DataConfig(horizons=(draw(st.integers(1, 8)),), delay=draw(st.integers(0, 3)))
    gaps = st.integers(max(0, config.reach - 4), config.reach + 4)
    end = draw(st.integers(20, 60))
    folds: list[Fold] = []
    for number in range(draw(st.integers(1, 4))):
        score = range(end, end + draw(st.integers(1, 20)))
        stop = max(1, score.start - draw(gaps))
        folds.append(Fold(f"fold-{number}", range(draw(st.integers(0, stop - 1)), stop), score))
        end = score.stop + draw(gaps)
    return Splits(tuple(folds)), config


def is_refused(check: Callable[[Splits, DataConfig], None], splits: Splits, config: DataConfig) -> bool:
    try:
        check(splits, config)
    except DataError:
        return True
    return False


@REPEATABLE
@given(layout=layouts())
def test_purgedcv_and_the_audit_refuse_the_same_layouts(layout: tuple[Splits, DataConfig]) -> None:
    assert is_refused(prove_purged, *layout) == is_refused(audit_splits, *layout)


@FEWER
@given(config=configs(), first_usable=st.integers(0, 150), spare=st.integers(0, 300))
def test_purgedcv_removes_nothing_from_what_make_splits_lays(config: DataConfig, first_usable: int, spare: int) -> None:
    laid = make_splits(shortest_history(config, first_usable) + spare, first_usable, config)
    assert not is_refused(prove_purged, laid, config)


def test_purgedcv_refuses_overlaps_by_fold_and_count(config: DataConfig) -> None:
    learned = Splits((Fold("search", range(0, 100), range(103, 130)),))
    with pytest.raises(DataError, match="fold search may overlap a scored one, but purgedcv removes 2 days"):
        prove_purged(learned, config)
    scored = Splits((Fold("search", range(0, 80), range(90, 110)), Fold("confirm-1", range(0, 100), range(112, 130))))
    with pytest.raises(DataError, match="fold confirm-1 and search may overlap a scored one, but purgedcv removes 3"):
        prove_purged(scored, config)


def test_without_confirm_folds_arms_are_compared_on_the_search_fold() -> None:
    config = DataConfig(horizons=(1, 5), splits=SplitConfig(search_days=30, confirm_folds=0))
    splits = make_splits(200, 20, config)
    assert splits.confirm == (splits.search,)
    assert not splits.are_separate
    assert make_splits(400, 20, DataConfig(horizons=(1, 5))).are_separate
