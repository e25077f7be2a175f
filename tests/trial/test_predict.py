"""Scores of a bundle on other panels of its market: what may differ does no harm, what may not is refused by name."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import pytest
import yaml

from tests.trial.training import SMALL, run

OWN = [f"f{number:02d}" for number in range(12)]
SCORES = ["score_1d", "score_5d", "score_10d", "score_20d"]
Change = Callable[[pd.DataFrame], pd.DataFrame]


class Exported(NamedTuple):
    """A network of own columns, and what it says of the panel that it comes from."""

    bundle: Path
    frame: pd.DataFrame
    scores: pd.DataFrame  # by date and code


def own_columns(panel: Path) -> pd.DataFrame:
    """Date, code, sector, close, and twelve features whose scales and days differ."""
    frame = pd.read_parquet(panel)[["date", "code", "sector", "close"]]
    rng = np.random.default_rng(8)
    returns = frame.groupby("code")["close"].pct_change().fillna(0)
    for number, name in enumerate(OWN):
        frame[name] = returns * (number % 3) + rng.normal(0, 0.01 * (1 + number % 4), len(frame))
    return frame


@pytest.fixture(scope="module")
def exported(sweep_panel: Path, tmp_path_factory: pytest.TempPathFactory) -> Exported:
    folder = tmp_path_factory.mktemp("own")
    frame = own_columns(sweep_panel)
    panel = folder / "panel.parquet"
    frame.to_parquet(panel)
    config, runs = folder / "small.yaml", folder / "runs"
    config.write_text(yaml.safe_dump(SMALL))
    done = run("trial.train", config, "--data", panel, "--runs", runs)
    assert done.returncode == 0, done.stderr
    done = run("trial.export", "small", "--trial", 0, "--out", folder / "bundle", "--runs", runs)
    assert done.returncode == 0, done.stderr
    return Exported(folder / "bundle", frame, predicted(folder / "bundle", panel, runs))


def predicted(bundle: Path, panel: Path, runs: Path, date: str = "all") -> pd.DataFrame:
    out = panel.with_name(f"{panel.stem}-scores.parquet")
    done = run("trial.predict", bundle, panel, "--runs", runs, "--date", date, "--out", out)
    assert done.returncode == 0, done.stderr
    return pd.read_parquet(out).set_index(["date", "code"])


def distance(one: pd.DataFrame, other: pd.DataFrame) -> float:
    """Over rows of both."""
    both = one.index.intersection(other.index)
    assert len(both) > 100
    return float(np.abs(one.loc[both, SCORES] - other.loc[both, SCORES]).to_numpy().max())


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda f: f[[*f.columns[:4], *reversed(OWN)]], id="columns in another order"),
        pytest.param(lambda f: f.assign(more=np.arange(len(f)) % 7.0, text="x"), id="columns that it does not know"),
        pytest.param(lambda f: f.sample(frac=1, random_state=1), id="rows in another order"),
    ],
)
def test_what_changes_nothing_changes_nothing(exported: Exported, tmp_path: Path, change: Change) -> None:
    panel = tmp_path / "other.parquet"
    change(exported.frame).to_parquet(panel)
    assert distance(predicted(exported.bundle, panel, tmp_path), exported.scores) <= 1e-6


def test_a_new_sector_does_not_shift_the_others(exported: Exported, tmp_path: Path) -> None:
    """Codes are places in a sorted list: a name before the others moves every one."""
    frame = exported.frame.copy()
    codes = sorted(frame["code"].unique())
    last = frame["date"].max()
    frame.loc[(frame["code"] == codes[0]) & (frame["date"] == last), "sector"] = "!first"
    panel = tmp_path / "other.parquet"
    frame.to_parquet(panel)
    scores = predicted(exported.bundle, panel, tmp_path)
    earlier = scores[scores.index.get_level_values("date") < last]
    assert distance(earlier, exported.scores) <= 1e-6


def test_a_new_listing_is_scored_and_a_missing_row_is_not(exported: Exported, tmp_path: Path) -> None:
    frame = exported.frame
    dates = sorted(frame["date"].unique())
    codes = sorted(frame["code"].unique())
    listed = frame[(frame["code"] == codes[1]) & (frame["date"] >= dates[-3])].assign(code="NEW")
    gone = (frame["code"] == codes[2]) & (frame["date"] == dates[-1])
    panel = tmp_path / "other.parquet"
    pd.concat([frame[~gone], listed]).to_parquet(panel)
    scores = predicted(exported.bundle, panel, tmp_path)
    last = scores.loc[dates[-1]]
    assert "NEW" in last.index
    assert codes[2] not in last.index
    assert np.isfinite(last.to_numpy()).all()
    earlier = scores[scores.index.get_level_values("date") < dates[-3]]
    assert distance(earlier, exported.scores) <= 1e-6, "what lists later moves nothing before"


def test_a_day_at_a_time_is_the_same_as_all_at_once(exported: Exported, tmp_path: Path) -> None:
    panel = tmp_path / "panel.parquet"
    exported.frame.to_parquet(panel)
    date = str(exported.scores.index.get_level_values("date")[-1])[:10]
    one = predicted(exported.bundle, panel, tmp_path, date)
    assert set(one.index.get_level_values("date").astype(str)) == {date}
    both = one.index
    assert np.abs(one[SCORES] - exported.scores.loc[both, SCORES]).to_numpy().max() <= 1e-6


def test_what_is_piped_is_csv_and_nothing_else(exported: Exported, tmp_path: Path) -> None:
    panel = tmp_path / "panel.parquet"
    exported.frame.to_parquet(panel)
    done = run("trial.predict", exported.bundle, panel, "--runs", tmp_path)
    lines = done.stdout.splitlines()
    assert lines[0] == "date,code,score_1d,score_5d,score_10d,score_20d"
    assert all(len(line.split(",")) == 6 for line in lines)
    assert "to score" in done.stderr


def swapped(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.assign(f00=frame["f04"], f04=frame["f00"])


def dead(frame: pd.DataFrame) -> pd.DataFrame:
    last = frame["date"] == frame["date"].max()
    return frame.assign(f05=frame["f05"].where(~last, 0.5))


def after(frame: pd.DataFrame, days: int) -> pd.DataFrame:
    return frame[frame["date"] > sorted(frame["date"].unique())[-days - 1]]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        pytest.param(lambda f: f.rename(columns={"f03": "f3"}), "lacks f03; it has f3", id="renamed"),
        pytest.param(lambda f: f.drop(columns="f07"), "lacks f07", id="dropped"),
        pytest.param(lambda f: f.drop(columns="sector"), "lacks sector", id="no sectors"),
        pytest.param(swapped, "f00 holds the values of f04; f04 holds the values of f00", id="swapped"),
        pytest.param(lambda f: f.assign(f02=f["f02"] * 100), "f02 agrees in 0%", id="another unit"),
        pytest.param(lambda f: f.assign(f02=0.25), "f02 agrees in 0%", id="constant"),
        pytest.param(dead, "f05 holds one value, or none", id="constant today"),
        pytest.param(lambda f: f.assign(f01=np.nan), "f01", id="all null"),
        pytest.param(lambda f: pd.concat([f, f.tail(3)]), "(date, code) must be unique", id="duplicate keys"),
        pytest.param(lambda f: after(f, 50), "Is the panel long enough", id="too short"),
        pytest.param(lambda f: after(f, 30), "a panel needs more days", id="shorter than a window"),
    ],
)
def test_what_may_not_differ_is_refused_by_name(exported: Exported, tmp_path: Path, change: Change, words: str) -> None:
    panel = tmp_path / "other.parquet"
    change(exported.frame).to_parquet(panel)
    out = tmp_path / "scores.parquet"
    done = run("trial.predict", exported.bundle, panel, "--runs", tmp_path / "runs", "--out", out)
    assert done.returncode == 2, done.stdout
    assert words in done.stderr
    assert not out.exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--date", "2020-02-30"), "a day must be written as"),
        (("--date", "1999-01-04"), "must be in the panel, which goes from"),
        (("--date", "..2018-02-01"), "a day needs 60 days of history to be scored"),
        (("--date", "1999-01-04..1999-02-04"), "none lies between"),
        (("--out", "scores.txt"), "a .parquet or a .csv file"),
        (("--weights", "through-x"), "must be one of trial-0"),
    ],
)
def test_wrong_options_are_refused(exported: Exported, tmp_path: Path, arguments: tuple[str, str], words: str) -> None:
    panel = tmp_path / "panel.parquet"
    exported.frame.to_parquet(panel)
    done = run("trial.predict", exported.bundle, panel, "--runs", tmp_path, *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert words in done.stderr


def test_a_panel_or_a_bundle_that_is_not_there_is_refused(exported: Exported, tmp_path: Path) -> None:
    assert "is not. Check the path" in run("trial.predict", exported.bundle, tmp_path / "no.parquet").stderr
    assert "must have a MANIFEST.json" in run("trial.predict", tmp_path, tmp_path / "no.parquet").stderr
