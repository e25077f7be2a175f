"""`trial.monitor` on panels of the bundle's own market: as it was, and after something has happened to it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.trial.conftest import MORE_DAYS
from tests.trial.training import run
from tests.trial.webhook import Server
from trial.production.bundle import read_bundle


def findings(bundle: Path, panel: Path, folder: Path, *options: object, status: int) -> dict[str, dict[str, str]]:
    """By check."""
    place = ("--out", folder / "page.html", "--json", folder / "found.json", "--runs", folder / "runs")
    done = run("trial.monitor", bundle, panel, *place, *options)
    assert done.returncode == status, done.stdout + done.stderr
    content = json.loads((folder / "found.json").read_text())
    assert ("Alarm: " in (folder / "page.html").read_text()) == (content["state"] == "alarm")
    return {each["name"]: each for each in content["checks"]}


def later(later_panel: Path, bundle: Path) -> tuple[pd.DataFrame, np.ndarray]:
    """The panel, and which of its rows the network's sweep neither had nor held out."""
    frame = pd.read_parquet(later_panel)
    known = np.datetime64(read_bundle(bundle).networks.judged_after)
    return frame, frame["date"].to_numpy().astype("datetime64[D]") > known


def test_the_market_as_it_was_raises_no_alarm(bundle: Path, later_panel: Path, tmp_path: Path) -> None:
    (tmp_path / "short.yaml").write_text("rank_ic_days: 20\n")
    found = findings(bundle, later_panel, tmp_path, "--thresholds", tmp_path / "short.yaml", status=0)
    assert {name for name, each in found.items() if each["state"] == "alarm"} == set()
    assert found["features"]["state"] != "unknown"
    assert "over the last 20 days" in found["RankIC"]["sentence"]
    assert "stocks are scored, usually 16" in found["coverage"]["sentence"]


def test_a_rolling_rank_ic_is_of_days_that_came_later(bundle: Path, later_panel: Path, tmp_path: Path) -> None:
    """Scores of later days against what came of them: by hand, from predictions and closes."""
    findings(bundle, later_panel, tmp_path, status=0)
    content = json.loads((tmp_path / "found.json").read_text())["rank_ic"]
    daily = {day: value for day, value in content["daily"].items() if value is not None}
    frame, is_later = later(later_panel, bundle)
    days = sorted(pd.Index(frame.loc[is_later, "date"].unique()).astype(str))
    assert len(days) == MORE_DAYS, "none of the hold-out"
    horizon = content["expected"]["horizon"]
    assert sorted(daily) == days[: len(days) - horizon - 1], "entry one day later, and the whole horizon"

    out = tmp_path / "scores.parquet"
    place = ("--runs", tmp_path / "runs", "--out", out, "--date", f"{days[0]}..")
    assert run("trial.predict", bundle, later_panel, *place).returncode == 0
    scores = pd.read_parquet(out).set_index(["date", "code"])[f"score_{horizon}d"]
    close = frame.pivot(index="date", columns="code", values="close")
    label = (close.shift(-1 - horizon) / close.shift(-1) - 1).stack()
    both = pd.concat([scores, label.rename("label")], axis=1, join="inner")
    by_hand = both.groupby(level=0).apply(lambda day: day.iloc[:, 0].corr(day["label"], method="spearman"))
    by_hand.index = by_hand.index.astype(str)
    shared = [day for day in daily if np.isfinite(by_hand[day])]
    assert len(shared) > 20
    own = np.array([daily[day] for day in shared])
    equal = np.isclose(own, by_hand[shared])
    assert equal.mean() > 0.7, "all but days on which a stock could not be bought, or had no row"
    assert np.corrcoef(own, by_hand[shared])[0, 1] > 0.95


def test_what_changed_later_is_an_alarm_and_is_told(
    bundle: Path, later_panel: Path, tmp_path: Path, webhook: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ATFT_NOTIFY_URL", webhook.address)
    frame, is_later = later(later_panel, bundle)
    rng = np.random.default_rng(5)
    frame["volume"] *= np.where(is_later, np.exp(rng.normal(0, 2, len(frame))), 1)
    (tmp_path / "few.yaml").write_text("p_value: 0.25\n")  # it learned from four periods
    panel = tmp_path / "other.parquet"
    frame.to_parquet(panel)
    found = findings(bundle, panel, tmp_path, "--thresholds", tmp_path / "few.yaml", status=1)
    assert found["features"]["state"] == "alarm"
    columns = json.loads((tmp_path / "found.json").read_text())["features"]
    shifted = [name for name, each in columns.items() if each["psi"] >= 0.25 and each["alike"] == 0]
    assert any("volume" in name or "turnover" in name for name in shifted), shifted
    (heard,) = webhook.heard
    assert "alarm" in heard["text"]
    assert "drifted as never before" in heard["text"]


def test_stocks_that_are_gone_are_an_alarm(bundle: Path, later_panel: Path, tmp_path: Path) -> None:
    frame, _ = later(later_panel, bundle)
    last = frame["date"] == frame["date"].max()
    gone = last & frame["code"].isin(sorted(frame["code"].unique())[:5])
    panel = tmp_path / "other.parquet"
    frame[~gone].to_parquet(panel)
    assert findings(bundle, panel, tmp_path, status=1)["coverage"]["state"] == "alarm"


def test_bad_input_is_refused(bundle: Path, later_panel: Path, tmp_path: Path) -> None:
    (tmp_path / "wrong.yaml").write_text("psl: 1\n")
    for options, word in {
        ("--thresholds", tmp_path / "wrong.yaml"): "psl",
        ("--date", "all"): "one day",
        ("--weights", "nowhere"): "nowhere",
        ("--out", tmp_path / "wrong.yaml" / "page.html"): "written",
    }.items():
        done = run("trial.monitor", bundle, later_panel, "--runs", tmp_path / "runs", *options)
        assert (done.returncode, word in done.stderr) == (2, True), done.stderr
