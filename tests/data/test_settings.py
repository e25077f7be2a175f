"""Data settings from YAML, laid over others, and splits that suit a panel's length."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from data.config import DataConfig, NoGraphConfig, SplitConfig
from data.errors import DataError
from data.settings import read_data_config, suited
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
        ("horizonz: [1]", ["horizonz", "Extra inputs"]),
        ("window: 1\nclip: -2", ["window: ", "greater than or equal to 2", "clip: ", "greater than 0"]),
        ("splits: {holdout_from: soon}", ["splits.holdout_from: "]),
        ("horizons: [5, 1]", ["horizons must be distinct, ascending and at least 1, got (5, 1)"]),
        ("columns: {groups: {stmt: {columns: [a]}}}", ["columns.groups.stmt.publication_lag: ", "required"]),
        ("graph: {kind: nearest}", ["graph: ", "nearest"]),
        ("1: 2", ["break a rule"]),
    ],
)
def test_a_broken_rule_is_refused_with_file_key_and_rule(tmp_path: Path, text: str, parts: list[str]) -> None:
    path = yaml_file(tmp_path, text)
    said = refusal(path)
    assert all(part in said for part in [f"the data settings in {path} break a rule", *parts]), said


@pytest.mark.parametrize("text", ["", "just text", "- horizons", "12"])
def test_what_is_no_mapping_is_refused_with_how_one_looks(tmp_path: Path, text: str) -> None:
    assert "must be a mapping such as 'horizons: [1, 5]'" in refusal(yaml_file(tmp_path, text))


@pytest.mark.parametrize("content", [b"a: [1", b"a: b: c", b"\xff\xfe\x00", b"a:\n\t- b"])
def test_what_is_no_yaml_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "settings.yaml"
    path.write_bytes(content)
    assert f"must be a readable YAML file, but {path} is not" in refusal(path)


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
    assert suited(given, panel(tmp_path, 200)) is given


def test_a_history_too_short_for_the_folds_is_refused_with_what_is_missing(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"at least 40 days before the folds.*Bring about \d+ more"):
        suited(DataConfig(), panel(tmp_path, 150))


def test_the_hold_out_counts_as_history_that_is_missing(tmp_path: Path) -> None:
    path = panel(tmp_path, 200)
    splits = SplitConfig(search_days=20, confirm_days=10, confirm_folds=1, holdout_days=0)
    short = DataConfig(horizons=(1,), window=5, splits=splits)
    assert suited(short, path) is short
    pinned = splits.model_copy(update={"holdout_from": dt.date(2018, 3, 1)})
    with pytest.raises(DataError, match="hold-out excluded"):
        suited(short.model_copy(update={"splits": pinned}), path)


def test_enough_days_are_enough(tmp_path: Path) -> None:
    splits = SplitConfig(search_days=6, confirm_days=4, confirm_folds=1, holdout_days=3)
    config = DataConfig(horizons=(1,), window=5, splits=splits, graph=NoGraphConfig())
    enough = 4 + 40 + 2 + 6 + 2 + 4 + 2 + 3
    assert suited(config, panel(tmp_path, enough)) is config
    with pytest.raises(DataError, match="Bring about 2 more"):
        suited(config, panel(tmp_path, enough - 1))


def test_a_panel_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="must exist"):
        suited(DataConfig(), tmp_path / "none.parquet")
