"""Data settings from YAML, laid over others, and splits that suit a panel's length."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from data.axes import read_axes
from data.columns import Columns, settle_columns
from data.config import DataConfig, NoGraphConfig, SplitConfig
from data.errors import DataError
from data.settings import read_data_config, suited, suited_to
from data.source import Source
from data.synthetic import SyntheticConfig, generate


def yaml_file(folder: Path, text: str) -> Path:
    path = folder / "settings.yaml"
    path.write_text(text)
    return path


def refusal(path: Path) -> str:
    with pytest.raises(DataError) as caught:
        read_data_config(path)
    return str(caught.value)


def panel(folder: Path, num_days: int) -> Path:
    path = folder / "panel.parquet"
    pq.write_table(generate(SyntheticConfig(num_stocks=10, num_days=num_days, missing_share=0)), path)
    return path


# --- reading


def test_without_a_file_the_base_stands() -> None:
    base = DataConfig(window=7)
    assert read_data_config(None, base) is base
    assert read_data_config(None) is None


@pytest.mark.parametrize("text", ["horizons: [1, 3]\nwindow: 9", "data:\n  horizons: [1, 3]\n  window: 9\nmodel: {}"])
def test_the_section_may_stand_alone_or_in_a_whole_configuration(tmp_path: Path, text: str) -> None:
    assert read_data_config(yaml_file(tmp_path, text)) == DataConfig(horizons=(1, 3), window=9)


def test_a_full_file_is_read_as_it_is_meant(tmp_path: Path) -> None:
    text = """
columns: {date: Date, targets: {1: alpha}, groups: {stmt: {columns: ["stmt_*"], publication_lag: 45}}}
universe: {sections: ["0111"], min_turnover: 1.0e+8}
splits: {holdout_from: 2024-01-04}
graph: {kind: none}
"""
    config = read_data_config(yaml_file(tmp_path, text))
    assert config is not None
    assert config.columns.targets == {1: "alpha"}
    assert config.columns.groups["stmt"].publication_lag == 45
    assert config.universe.sections == ("0111",)
    assert config.splits.holdout_from == dt.date(2024, 1, 4)
    assert config.graph.kind == "none"


def test_what_the_file_does_not_say_stays_as_it_was_given(tmp_path: Path) -> None:
    base = DataConfig(window=7, clip=5.0)
    config = read_data_config(yaml_file(tmp_path, "window: 9"), base)
    assert config == DataConfig(window=9, clip=5.0)


def test_what_nobody_said_counts_as_not_given(tmp_path: Path) -> None:
    config = read_data_config(yaml_file(tmp_path, "window: 9"), DataConfig(clip=5.0))
    assert config is not None
    assert config.model_fields_set == {"window", "clip"}


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("horizonz: [1]", ["horizonz is no setting; is horizons meant?"]),
        ("splits: {search_day: 9}", ["splits.search_day is no setting; is search_days meant?"]),
        ("graph: {kind: sector, refresh: 3}", ["refresh is no setting; is refresh_days meant?"]),
        ("window: 1\nclip: -2", ["window is wrong: ", "equal to 2, got 1; clip is wrong: ", "than 0, got -2."]),
        ("splits: {holdout_from: soon}", ["splits.holdout_from is wrong: ", "got 'soon'"]),
        ("horizons: [5, 1]", ["data is wrong: horizons must be distinct, ascending and at least 1, got (5, 1)."]),
        ("graph: {kind: correlation, k: 2, min_degree: 3}", ["min_degree must not exceed k 2, got 3"]),
        ("columns: {groups: {stmt: {columns: [a]}}}", ["columns.groups.stmt.publication_lag must be given."]),
        (
            "graph: {kind: nearest}",
            ["graph must be one of {kind: none}", "{kind: correlation}, got kind 'nearest'"],
        ),
        ("graph: {k: 3}", ["graph must say its kind, as in {kind: name}"]),
        ("1: 2", ["1 is wrong: "]),
    ],
)
def test_a_broken_rule_is_refused_with_file_key_and_rule(tmp_path: Path, text: str, parts: list[str]) -> None:
    path = yaml_file(tmp_path, text)
    said = refusal(path)
    assert all(part in said for part in [f"the data settings in {path} break a rule", *parts]), said
    raw = ("Extra inputs", "Value error", "Input should", "Input tag", "discriminator", "Field required")
    assert [part for part in raw if part in said] == []


def test_a_name_that_is_near_no_setting_suggests_none(tmp_path: Path) -> None:
    assert refusal(yaml_file(tmp_path, "zzzz: 1")).endswith("break a rule: zzzz is no setting.")


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("universe: {sections: [0111]}", "universe.sections.0 must be text, in quotes where it looks like a number"),
        ("inspection: {allow_leaks: true}", "inspection.allow_leaks must be a list such as [a, b], got True"),
        ("columns: 3", "columns must be a mapping such as {name: value}, got 3"),
    ],
)
def test_a_wrong_type_is_refused_in_words_of_yaml(tmp_path: Path, text: str, wanted: str) -> None:
    assert wanted in refusal(yaml_file(tmp_path, text))


@pytest.mark.parametrize("text", ["seeds: 3", "graph: {kind: none, k: 3}", "min_correlation: 0.2"])
def test_only_another_setting_that_a_file_can_have_is_suggested(tmp_path: Path, text: str) -> None:
    """Not one of a synthetic market, and not the name itself, which belongs into another section."""
    said = refusal(yaml_file(tmp_path, text))
    assert "is no setting" in said
    assert not any(f"is {name} meant?" in said for name in ("seed", "k", "min_correlation")), said


@pytest.mark.parametrize(
    ("text", "key", "line"),
    [
        ("window: 5\nclip: 3\nwindow: 6", "window", 3),
        ("window: 5\n'window': 5", "window", 2),
        ("data:\n  window: 5\n  window: 6", "window", 3),
        ("clip: 3\nsplits: {holdout_days: 3, search_days: 9, holdout_days: 4}", "holdout_days", 2),
        ("columns:\n  groups:\n    a: {columns: [x], publication_lag: 1}\n    a: {columns: [y]}", "a", 4),
        ("model: {kind: 1, kind: 2}\ndata: {window: 5}", "kind", 1),
        ("splits:\n- {a: 1, a: 2}", "a", 2),
    ],
)
def test_a_key_that_stands_twice_is_refused_with_its_line(tmp_path: Path, text: str, key: str, line: int) -> None:
    path = yaml_file(tmp_path, text)
    said = refusal(path)
    assert said.endswith(
        f"must be a readable YAML file, but in {path}, line {line}: the key {key!r} stands there twice."
    )


@pytest.mark.parametrize(
    "text",
    [
        "splits: {<<: {search_days: 5, confirm_days: 7}, search_days: 9}",
        "base: &base {search_days: 5, confirm_days: 7}\ndata: {splits: {<<: *base, search_days: 9}}",
        "base: &base {search_days: 5}\ndata: {splits: {<<: [*base, {confirm_days: 7}], search_days: 9}}",
        "base: &base {confirm_days: 7}\nfold: {long: &long {<<: *base, search_days: 9}}\ndata: {splits: {<<: *long}}",
        "a: &a {search_days: 5}\nb: {c: &c {<<: *a, search_days: 9, confirm_days: 7}}\nd: {<<: *c}\ndata: {splits: *c}",
    ],
)
def test_a_merged_key_is_laid_over_and_no_repetition(tmp_path: Path, text: str) -> None:
    config = read_data_config(yaml_file(tmp_path, text))
    assert config is not None
    assert config.splits == SplitConfig(search_days=9, confirm_days=7)


@pytest.mark.parametrize("text", ["", "just text", "- horizons", "12"])
def test_what_is_no_mapping_is_refused_with_how_one_looks(tmp_path: Path, text: str) -> None:
    assert "must be a mapping such as 'horizons: [1, 5]'" in refusal(yaml_file(tmp_path, text))


@pytest.mark.parametrize("text", ["", "# window: 5\n", "---\n"])
def test_a_file_that_says_nothing_is_called_empty(tmp_path: Path, text: str) -> None:
    path = yaml_file(tmp_path, text)
    assert refusal(path).endswith(f"but {path} is empty.")


@pytest.mark.parametrize("content", [*(b"a: [1", b"a: b: c", b"\xff\xfe\x00", b"a:\n\t- b"), b"a: 2024-02-30"])
def test_what_is_no_yaml_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "settings.yaml"
    path.write_bytes(content)
    assert "must be a readable YAML file, but " in refusal(path)
    assert str(path) in refusal(path)


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    assert "none.yaml is not" in refusal(tmp_path / "none.yaml")
    assert "must be a readable YAML file" in refusal(tmp_path)


# --- splits that suit


def test_splits_that_nobody_gave_suit_the_panels_length(tmp_path: Path) -> None:
    config = suited(DataConfig(horizons=(1, 5), window=10), panel(tmp_path, 400))
    assert config.splits == SplitConfig.for_market(400)
    assert (config.horizons, config.window) == ((1, 5), 10)


def test_splits_that_were_given_stay(tmp_path: Path) -> None:
    given = DataConfig(horizons=(1,), splits=SplitConfig(search_days=9, confirm_days=7, holdout_days=5))
    assert suited(given, panel(tmp_path, 200)) == given


@pytest.mark.parametrize(
    "given",
    [
        {"search_days": 33},
        {"confirm_folds": 1},
        {"holdout_days": 0},
        {"holdout_from": dt.date(2019, 6, 3)},
        {"train_days": 50, "embargo_days": 3},
        {},
    ],
)
def test_of_splits_that_were_given_in_part_the_rest_suits_the_panel(tmp_path: Path, given: dict[str, Any]) -> None:
    config = DataConfig(horizons=(1, 5), window=10, splits=SplitConfig(**given))
    expected = SplitConfig.for_market(400).model_copy(update=given)
    if "holdout_from" in given:  # 370 days before it, which are 86 % of 430
        expected = SplitConfig.for_market(430).model_copy(update=given)
    assert suited(config, panel(tmp_path, 400)).splits == expected


def test_days_behind_a_pinned_hold_out_change_no_fold(tmp_path: Path) -> None:
    config = DataConfig(horizons=(1, 5), splits=SplitConfig(holdout_from=dt.date(2019, 6, 3)))
    short, long = (suited(config, panel(tmp_path, days)) for days in (400, 440))
    assert short == long


@pytest.mark.parametrize("num_days", [80, 120, 150])
@pytest.mark.parametrize("given", [{}, {"holdout_days": 10}, {"search_days": 30, "confirm_folds": 2}])
def test_so_many_days_more_are_enough_and_one_less_is_not(num_days: int, given: dict[str, Any]) -> None:
    config, dates = (
        DataConfig(splits=SplitConfig(**given)),
        np.arange("2018-01-01", "2022-01-01", dtype="datetime64[D]"),
    )
    columns = Columns({"close": "close"}, {}, True, (), {}, ())
    with pytest.raises(DataError) as caught:
        suited_to(config, columns, dates[:num_days])
    lacking = int(str(caught.value).split(" more trading day")[0].split()[-1])
    suited_to(config, columns, dates[: num_days + lacking])
    with pytest.raises(DataError, match="1 more trading day would be enough"):
        suited_to(config, columns, dates[: num_days + lacking - 1])


def test_what_suits_a_panel_suits_it_again(tmp_path: Path) -> None:
    path = panel(tmp_path, 400)
    once = suited(DataConfig(horizons=(1, 5), splits=SplitConfig(search_days=33)), path)
    assert suited(once, path) == once


def test_a_panel_that_has_been_looked_at_need_not_be_read_again(tmp_path: Path) -> None:
    path, config = panel(tmp_path, 400), DataConfig(horizons=(1, 5), splits=SplitConfig(holdout_days=9))
    source = Source.open(path)
    columns = settle_columns(source, config)
    dates = read_axes(source, columns, config).all_dates
    path.unlink()
    found = suited_to(config, columns, dates)
    assert found == suited(config, panel(tmp_path, 400))
    assert found.splits.search_days == SplitConfig.for_market(400).search_days


def test_a_history_too_short_for_the_folds_is_refused_with_what_is_missing(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"at least 40 days, but of 129 .* \d+ more trading days would be enough\."):
        suited(DataConfig(), panel(tmp_path, 150))


def test_a_history_without_days_for_confirm_folds_does_without_unless_they_were_asked_for(tmp_path: Path) -> None:
    path = panel(tmp_path, 280)
    found = suited(DataConfig(splits=SplitConfig(embargo_days=2)), path)
    whole = SplitConfig.for_market(280).model_dump() | {"confirm_folds": 0, "embargo_days": 2}
    assert found.splits.model_dump() == whole
    assert suited(found, path) == found
    with pytest.raises(DataError, match="2 confirm folds"):
        suited(DataConfig(splits=SplitConfig(confirm_folds=2)), path)


def test_the_hold_out_counts_as_history_that_is_missing(tmp_path: Path) -> None:
    path = panel(tmp_path, 200)
    splits = SplitConfig(search_days=20, confirm_days=10, confirm_folds=1, holdout_days=0)
    short = DataConfig(horizons=(1,), window=5, splits=splits)
    assert suited(short, path) == short
    pinned = splits.model_copy(update={"holdout_from": dt.date(2018, 3, 1)})
    with pytest.raises(DataError, match="before the hold-out"):
        suited(short.model_copy(update={"splits": pinned}), path)


def test_enough_days_are_enough(tmp_path: Path) -> None:
    splits = SplitConfig(search_days=6, confirm_days=4, confirm_folds=1, holdout_days=3)
    config = DataConfig(horizons=(1,), window=5, splits=splits, graph=NoGraphConfig())
    enough = 4 + 40 + 2 + 6 + 2 + 4 + 2 + 3
    assert suited(config, panel(tmp_path, enough)) == config
    with pytest.raises(DataError, match=r" 1 more trading day would be enough\."):
        suited(config, panel(tmp_path, enough - 1))


def test_a_panel_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="must exist"):
        suited(DataConfig(), tmp_path / "none.parquet")


# --- what a panel does not allow

LAST = "2019-07-12"  # of 400 business days from 2018-01-01


@pytest.mark.parametrize("pinned", ["2019-07-13", "2030-01-01"])
def test_a_hold_out_after_the_last_day_is_refused(tmp_path: Path, pinned: str) -> None:
    config = DataConfig.model_validate({"horizons": [1], "splits": {"holdout_from": pinned}})
    with pytest.raises(DataError) as caught:
        suited(config, panel(tmp_path, 400))
    assert f"must not lie after the panel's last day {LAST}, but it is {pinned}" in str(caught.value)
    assert "Choose an earlier day, or holdout_days: 0." in str(caught.value)


@pytest.mark.parametrize("update", [{"holdout_from": LAST}, {"holdout_from": "2019-07-06"}, {"holdout_days": 0}])
def test_a_hold_out_up_to_the_last_day_is_one_and_none_at_all_is_none(tmp_path: Path, update: dict[str, Any]) -> None:
    config = DataConfig.model_validate({"horizons": [1], "splits": update})
    found = suited(config, panel(tmp_path, 400)).splits
    assert {name: str(getattr(found, name)) for name in update} == {name: str(value) for name, value in update.items()}


def own_panel(folder: Path, *without: str) -> Path:
    """Features, sectors by two names, one-day returns and targets of a user's own; no price."""
    table = pq.read_table(panel(folder, 400)).drop(["open", "high", "low", "close", "volume", "industry"])
    table, rng = table.append_column("desk", table["sector"]), np.random.default_rng(0)
    for name in (*(f"f{number}" for number in range(10)), "returns_1d", "target_1d"):
        table = table.append_column(name, pa.array(rng.normal(0, 0.01, len(table))))
    pq.write_table(table.drop(list(without)), folder / "panel.parquet")
    return folder / "panel.parquet"


class Impossible(NamedTuple):
    """What a panel lacks, what is asked of it all the same, what is said, and the ways out."""

    without: tuple[str, ...]
    asked: dict[str, Any]
    said: tuple[str, ...]
    ways_out: tuple[dict[str, Any], ...]


FOUND_ELSEWHERE = {"columns": {"returns": "f3"}}
IMPOSSIBLE = {
    "correlation, with sectors": Impossible(
        ("returns_1d",),
        {},
        ("a correlation graph needs closes or one-day returns", "{kind: sector}, which needs none, or {kind: none}"),
        (FOUND_ELSEWHERE, {"graph": {"kind": "sector"}}, {"graph": {"kind": "none"}}),
    ),
    "correlation, without sectors": Impossible(
        ("returns_1d", "sector"),
        {"graph": {"kind": "correlation", "k": 3}},
        ("a correlation graph needs closes or one-day returns", "or set data.graph to {kind: none}."),
        (FOUND_ELSEWHERE, {"graph": {"kind": "none"}}),
    ),
    "sector": Impossible(
        ("sector",),
        {"graph": {"kind": "sector"}},
        ("a sector graph needs a sector column", "data.columns.sector", "{kind: correlation} or {kind: none}"),
        ({"columns": {"sector": "desk"}}, {"graph": {"kind": "correlation"}}, {"graph": {"kind": "none"}}),
    ),
    "volatility": Impossible(
        ("returns_1d",),
        {"labels": {"scale_by_volatility": True}, "graph": {"kind": "none"}},
        ("labels.scale_by_volatility needs closes or one-day returns", "data.columns.returns, or leave it out."),
        (FOUND_ELSEWHERE, {"labels": {}}),
    ),
    "centre": Impossible(
        ("sector",),
        {"labels": {"centre": "sector"}},
        ("labels.centre 'sector' needs a sector column", "data.columns.sector, or set labels.centre to day."),
        ({"columns": {"sector": "desk"}}, {"labels": {"centre": "day"}}),
    ),
}


@pytest.mark.parametrize("name", IMPOSSIBLE)
def test_what_the_columns_do_not_allow_is_refused_and_every_way_out_leads_out(tmp_path: Path, name: str) -> None:
    case, base = IMPOSSIBLE[name], {"horizons": [1]}
    path = own_panel(tmp_path, *case.without)
    with pytest.raises(DataError) as caught:
        suited(DataConfig.model_validate(base | case.asked), path)
    assert all(part in str(caught.value) for part in case.said), str(caught.value)
    for way_out in case.ways_out:
        suited(DataConfig.model_validate(base | case.asked | way_out), path)


def test_closes_are_as_good_as_returns(tmp_path: Path) -> None:
    asked = {"horizons": [1], "labels": {"scale_by_volatility": True, "centre": "sector"}}
    assert suited(DataConfig.model_validate(asked), panel(tmp_path, 400)).graph.kind == "correlation"
