"""Every section on every kind of evidence: full, search only, confirm only, empty."""

from __future__ import annotations

import re

import pytest
from optuna.storages import RDBStorage
from optuna.trial import TrialState

from reports.evidence import read_evidence
from reports.page import render
from reports.section import Builder
from reports.sections import (
    SECTIONS,
    attention,
    calendar,
    cost,
    horizons,
    parallel,
    references,
    removed,
    targets,
    tuning,
)
from storage.errors import StorageError
from storage.study import StudyStore
from storage.tables import epochs
from tests.reports.conftest import add_trial, make_study


def text_of(builder: Builder, storage: RDBStorage) -> str:
    section = builder(read_evidence(storage, "demo"))
    assert section.anchor
    assert section.title
    assert section.pieces
    return render(section.title, [section]).split("<main>")[1]


@pytest.mark.parametrize("builder", SECTIONS, ids=lambda b: b.__module__.rsplit(".", 1)[-1])
def test_sections_stand_on_full_evidence(
    builder: Builder, storage: RDBStorage, search: StudyStore, tune: StudyStore, confirm: StudyStore
) -> None:
    assert "Nothing to show" not in text_of(builder, storage)


@pytest.mark.parametrize("builder", SECTIONS, ids=lambda b: b.__module__.rsplit(".", 1)[-1])
def test_sections_stand_on_an_empty_study(builder: Builder, storage: RDBStorage) -> None:
    make_study(storage, "demo")
    assert len(text_of(builder, storage)) > 100


@pytest.mark.parametrize("builder", SECTIONS, ids=lambda b: b.__module__.rsplit(".", 1)[-1])
def test_sections_stand_without_a_search(builder: Builder, storage: RDBStorage, confirm: StudyStore) -> None:
    assert len(text_of(builder, storage)) > 100


@pytest.mark.parametrize("builder", SECTIONS, ids=lambda b: b.__module__.rsplit(".", 1)[-1])
@pytest.mark.parametrize("killed", ["", ".tune", ".confirm", ".holdout"])
def test_sections_stand_on_a_stage_that_was_killed_before_it_said_anything(
    killed: str, builder: Builder, storage: RDBStorage, request: pytest.FixtureRequest
) -> None:
    for stage in ("search", "tune", "confirm"):
        if stage != (killed.lstrip(".") or "search"):
            request.getfixturevalue(stage)
    StudyStore(storage, f"demo{killed}")
    assert len(text_of(builder, storage)) > 100


def test_the_best_is_told_although_its_curve_is_gone(storage: RDBStorage, search: StudyStore) -> None:
    with storage.engine.begin() as connection:
        connection.execute(epochs.delete())
    assert "Best search trial: <strong>1</strong>" in whole(storage)


def whole(storage: RDBStorage) -> str:
    evidence = read_evidence(storage, "demo")
    return render("demo", [build(evidence) for build in SECTIONS])


def test_the_page_says_who_won_and_that_luck_is_in_it(
    storage: RDBStorage, search: StudyStore, confirm: StudyStore
) -> None:
    body = whole(storage).split("<main>")[1]
    assert "Best search trial: <strong>1</strong>, RankIC <strong>+0.0500</strong>" in body
    assert "best of 7 trials that competed on the search fold (4 COMPLETE)" in body
    assert "no_gat" in body
    assert "no_gat\\u003cbr\\u003eundecided" in body, "in the forest plot"


def test_a_cell_that_is_half_asked_for_changes_nothing_of_the_tuning(
    storage: RDBStorage, tune: StudyStore, confirm: StudyStore
) -> None:
    before = text_of(tuning.build, storage)
    trial = tune.ask()
    tune.set_attributes(trial._trial_id, {"arm": "reference"})
    trial.suggest_categorical("arm", ["reference", "no_gat"])
    assert text_of(tuning.build, storage) == before


def test_the_tuning_shows_what_each_draw_gave_and_which_is_confirmed(
    storage: RDBStorage, tune: StudyStore, confirm: StudyStore
) -> None:
    shown = text_of(tuning.build, storage)
    assert '<td class="number">+0.0400 *</td>' in shown
    assert '<td class="number">+0.0200 *</td>' in shown
    assert "0.0900" not in shown


def test_the_winner_stands_beside_simple_predictors_on_the_same_days(storage: RDBStorage, confirm: StudyStore) -> None:
    shown = text_of(references.build, storage)
    assert "56 days, 2 seeds." in shown
    assert "reference (the best of the search)" in shown
    level = "<td>ridge</td>" + '<td class="number">+0.0245</td>'
    assert level in shown
    assert shown.split(level)[1].split("</tr>")[0].count("<td") == 5
    assert "+0.0250" in shown.split(level)[1].split("</tr>")[0]


def test_failures_are_told_in_the_stores_words_and_escaped(storage: RDBStorage, search: StudyStore) -> None:
    body = whole(storage).split("<main>")[1]
    assert "3 steps had a &lt;non-finite&gt; loss" in body
    assert "RuntimeError: boom" in body
    assert "Stopped early by ASHA: 1." in body


def test_interruptions_are_counted_by_kind_with_an_example(storage: RDBStorage, search: StudyStore) -> None:
    assert "its worker was told to end" not in whole(storage)
    for number in (0, 0, 1):
        search.note("taken_away", "attempt 0: its worker was told to end", number)
    search.note("oom", "a step was taken again", 1)
    shown = whole(storage)
    assert "taken_away" in shown
    assert "trial 0: attempt 0: its worker was told to end" in shown


def test_warnings_are_counted_by_kind_with_an_example(storage: RDBStorage, search: StudyStore) -> None:
    body = whole(storage).split("<main>")[1]
    assert "No trial warned of a dead block" in body
    for value in (0.01, 0.02):
        told = ["uniform_attention: attention is <even>", "spread_gap: twice as wide"]
        add_trial(search, [value], TrialState.COMPLETE, "complete", warnings=told, oom_events=2)
    body = whole(storage).split("<main>")[1]
    assert "uniform_attention" in body
    assert "attention is &lt;even&gt;" in body
    assert "taken again in pieces: 4." in body


def test_the_page_needs_no_network(storage: RDBStorage, search: StudyStore, confirm: StudyStore) -> None:
    page = whole(storage)
    assert not re.search(r"<(script|link|img|iframe)[^>]+(src|href)=", page)
    assert len(page.encode()) < 8 * 2**20


def test_an_unknown_study_names_those_that_exist(storage: RDBStorage, search: StudyStore) -> None:
    with pytest.raises(StorageError, match="demo"):
        read_evidence(storage, "dmeo")


def test_the_confirm_name_finds_the_same_evidence(storage: RDBStorage, search: StudyStore, confirm: StudyStore) -> None:
    evidence = read_evidence(storage, "demo.confirm")
    assert evidence.name == "demo"
    assert evidence.search is not None
    assert evidence.confirm is not None
    assert set(evidence.importances) == {"learning_rate", "gat"} or set(evidence.importances) == {"learning_rate"}


def test_accepted_changes_are_told_and_what_they_made_incomparable_is_left_out(
    storage: RDBStorage, search: StudyStore, confirm: StudyStore
) -> None:
    assert "Changed and accepted" not in whole(storage)
    definition = {"space": "gat_ablation", "panel": "p", "store": "s", "configuration": "c"}
    StudyStore(storage, "demo").define(definition | {"cells": "other"}, 2, accept=True, names={"cells": "then, now"})
    shown = whole(storage).split("<main>")[1]
    assert "demo, from trial 7 on: cells: None -&gt; other (then, now)" in shown
    assert "7 earlier trials are about other data" in shown
    assert "No search trial is COMPLETE, so there is no best configuration" in shown
    assert "Search and confirm are about different data" in shown
    add_trial(search, [0.01], TrialState.COMPLETE, "complete")
    body = whole(storage).split("<main>")[1]
    assert "Best search trial: <strong>7</strong>, RankIC <strong>+0.0100</strong>" in body
    assert "best of 1 trials" in body


def test_the_cost_is_that_of_all_attempts(storage: RDBStorage, search: StudyStore) -> None:
    shown = text_of(cost.build, storage)
    assert "<td>demo</td>" in shown
    for cell in ("2", "1.00", "0.50"):
        assert f'<td class="number">{cell}</td>' in shown


def test_every_horizon_has_its_row_and_the_deciding_one_its_mark(storage: RDBStorage, confirm: StudyStore) -> None:
    shown = text_of(horizons.build, storage)
    assert "<td>1 day</td>" in shown
    assert "<td>5 days *</td>" in shown
    assert "minus ridge" in shown


def test_months_are_means_of_their_days() -> None:
    daily = {"2021-01-04": 0.1, "2021-01-05": 0.3, "2020-12-30": -0.2}
    assert calendar.monthly(daily) == {(2020, 12): (-0.2, 1), (2021, 1): (pytest.approx(0.2), 2)}


def test_parameters_that_only_some_trials_have_are_no_axis(storage: RDBStorage, search: StudyStore) -> None:
    shown = text_of(parallel.build, storage)
    assert "learning_rate" in shown
    add_trial(search, [0.01], TrialState.COMPLETE, "complete", cell={"seed": 0})
    assert "fewer than two COMPLETE trials have a parameter in common" in text_of(parallel.build, storage)


def test_places_on_an_axis() -> None:
    assert parallel.places([1.0, 2.0, 3.0]) == [0.0, 0.5, 1.0]
    assert parallel.places([1e-4, 1e-3, 1e-2]) == pytest.approx([0.0, 0.5, 1.0]), "decades"
    assert parallel.places(["b", True, "b"]) == [1.0, 0.0, 1.0]
    assert parallel.places([7, 7]) == [0.0, 0.0]


def test_the_aims_are_held_against_later_days(storage: RDBStorage, confirm: StudyStore) -> None:
    assert "The best of the search is the reference itself" in text_of(targets.build, storage)
    confirm.study.set_user_attr("winner", {"trial": 1, "arm": "no_gat"})
    shown = text_of(targets.build, storage)
    assert "Winner minus reference: -0.0105" in shown
    assert re.search(r"Sharpe ratio.*?\+17%.*?\+10%.*?yes", shown)
    assert re.search(r"mean daily RankIC.*?-2\d%.*?\+5%.*?no", shown)


def test_without_confirm_folds_everything_is_exploratory(storage: RDBStorage, confirm: StudyStore) -> None:
    confirm.study.set_user_attr("exploratory", True)
    shown = whole(storage)
    assert "Exploratory, no verdict: there are no confirm folds" in shown
    assert "Exploratory, on the search's own days" in shown.replace("&#x27;", "'")


def test_attention_is_told_beside_what_leaving_out_moves(storage: RDBStorage, confirm: StudyStore) -> None:
    shown = text_of(attention.build, storage)
    assert "41% comes from its neighbours" in shown
    assert "<td>7203</td>" in shown or '<td class="number">7203</td>' in shown
    assert "rank correlation of attention and of what leaving out moves +1.00" in shown
    assert "(reference, seed" in shown


def test_what_is_removed_is_drawn_for_each_normaliser(storage: RDBStorage, confirm: StudyStore) -> None:
    shown = text_of(removed.build, storage)
    assert "windows of about 4 days. Together they are 80% of a window's energy" in shown.replace("&#x27;", "'")
    assert "2 slices of the window" in shown
