"""Mornings in a row: each publishes once, in time, of good data; and one that cannot leaves everything as it was."""

from __future__ import annotations

import datetime as dt
import json
import shutil
import threading
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import pytest

from data.errors import DataError
from storage.bundle import verify
from tests.trial.training import Done, Trained, run
from tests.trial.webhook import Server
from trial.production.sessions import deadline_of, last_closed

LATE = 3


class Desk(NamedTuple):
    """A panel that grows, and files of its next two days."""

    bundle: Path
    folder: Path
    days: tuple[str, str]

    @property
    def panel(self) -> Path:
        return self.folder / "panel"

    def new(self, day: str) -> Path:
        return self.folder / f"{day}.parquet"

    def morning(self, day: str, *options: object) -> Done:
        place = ("--out", self.folder / "published", "--runs", self.folder / "runs")
        return run("trial.daily", self.bundle, self.panel, "--date", day, *place, *options)

    def published(self, day: str) -> Path:
        return self.folder / "published" / day


@pytest.fixture
def desk(bundle: Path, trained: Trained, tmp_path: Path) -> Desk:
    frame = pd.read_parquet(trained.panel)
    days = sorted(frame["date"].unique())
    found = Desk(bundle, tmp_path, (str(days[-2])[:10], str(days[-1])[:10]))
    found.panel.mkdir()
    frame[frame["date"] < days[-2]].to_parquet(found.panel / "history.parquet")
    for day, name in zip(days[-2:], found.days, strict=True):
        frame[frame["date"] == day].to_parquet(found.new(name))
    return found


def test_two_mornings_in_a_row_one_of_them_late(desk: Desk, trained: Trained) -> None:
    first, second = desk.days
    done = desk.morning(first, "--append", desk.new(first))
    assert done.returncode == 0, done.stderr
    assert "appended" in done.stdout
    verify(desk.published(first))
    about = json.loads((desk.published(first) / "about.json").read_text())
    assert (about["day"], about["state"]) == (first, "watch")

    late = desk.morning(second)
    assert late.returncode == LATE
    assert f"{second} must be in the data" in late.stdout
    assert not desk.published(second).exists(), "yesterday's scores are not today's"
    assert sorted(path.name for path in (desk.folder / "published").iterdir() if path.name[0] != ".") == [first]

    done = desk.morning(second, "--append", desk.new(second))
    assert done.returncode == 0, done.stderr
    out = desk.folder / "all.parquet"
    place = ("--date", f"{first}..", "--runs", desk.folder / "runs", "--out", out)
    assert run("trial.predict", desk.bundle, trained.panel, *place).returncode == 0
    whole = pd.read_parquet(out).set_index(["date", "code"])
    for day in desk.days:
        own = pd.read_parquet(desk.published(day) / "scores.parquet").set_index(["date", "code"])
        assert len(own) >= 14
        assert np.abs(own - whole.loc[own.index]).to_numpy().max() <= 1e-6
        text = pd.read_csv(desk.published(day) / "scores.csv")
        assert np.allclose(text["score_5d"], own["score_5d"], atol=1e-6)


def test_the_same_morning_again_changes_nothing(desk: Desk) -> None:
    first, _ = desk.days
    assert desk.morning(first, "--append", desk.new(first)).returncode == 0
    before = {path: path.read_bytes() for path in desk.folder.rglob("*.parquet")}
    again = desk.morning(first, "--append", desk.new(first))
    assert again.returncode == 0
    assert "nothing was done" in again.stdout
    shutil.rmtree(desk.published(first))
    once_more = desk.morning(first, "--append", desk.new(first))
    assert once_more.returncode == 0, "a morning that was killed after it had appended"
    assert "appended" not in once_more.stdout
    after = {path: path.read_bytes() for path in desk.folder.rglob("*.parquet")}
    assert after == before


@pytest.mark.parametrize(
    ("spoil", "word"),
    [
        pytest.param(lambda f: f.assign(close=f["close"] * 40), "close", id="absurd returns"),
        pytest.param(lambda f: pd.concat([f, f.head(1)]), "unique", id="a row twice"),
        pytest.param(lambda f: f.drop(columns="volume"), "volume", id="a column missing"),
        pytest.param(lambda f: f.assign(volume=0.0), "volume", id="a dead column"),
        pytest.param(lambda f: f.assign(volume=1000.0), "volume", id="one value"),
        pytest.param(lambda f: f.assign(volume=f["volume"] * 1000), "volume is", id="another unit"),
        pytest.param(lambda f: f.assign(date=f["date"].min() - pd.Timedelta(days=1)), "later", id="an old day"),
    ],
)
def test_bad_data_never_gets_in(desk: Desk, spoil, word: str) -> None:  # type: ignore[no-untyped-def]
    first, _ = desk.days
    frame = pd.read_parquet(desk.new(first))
    frame["date"] = pd.to_datetime(frame["date"])
    spoil(frame).to_parquet(desk.new(first))
    day = first if word != "later" else str(pd.to_datetime(first) - pd.Timedelta(days=1))[:10]
    done = desk.morning(day, "--append", desk.new(first))
    assert done.returncode == 2, done.stdout
    assert word in done.stderr
    assert not desk.published(day).exists()
    assert [path.name for path in desk.panel.iterdir()] == ["history.parquet"]
    assert [path.name for path in desk.folder.iterdir() if path.name.startswith(".")] == []


def test_a_session_that_was_lost_is_brought_first(desk: Desk) -> None:
    first, second = desk.days
    lost = desk.morning(second, "--append", desk.new(second), "--calendar", "24/5")
    assert lost.returncode == 2
    assert f"it lacks {first}" in lost.stderr
    assert [path.name for path in desk.panel.iterdir()] == ["history.parquet"], "so that it can still be appended"
    assert desk.morning(first, "--append", desk.new(first), "--calendar", "24/5").returncode == 0
    assert desk.morning(second, "--append", desk.new(second), "--calendar", "24/5").returncode == 0


def test_without_a_calendar_a_lost_weekday_is_doubted(desk: Desk) -> None:
    first, second = desk.days
    done = desk.morning(second, "--append", desk.new(second))
    assert done.returncode == 0, done.stderr
    assert f"no rows of {first}" in done.stdout
    unknown = desk.morning(second, "--calendar", "NOPE")
    assert unknown.returncode == 2
    assert "got 'NOPE'" in unknown.stderr


def test_it_waits_for_a_file_until_the_deadline(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("trial.daily.POLL_SECONDS", 0.05)
    first, second = desk.days
    content = desk.new(first).read_bytes()
    desk.new(first).write_bytes(content[:100])  # still being written

    def arrive() -> None:
        time.sleep(0.5)
        desk.new(first).write_bytes(content)

    thread = threading.Thread(target=arrive)
    thread.start()
    done = desk.morning(first, "--append", desk.new(first), "--by", "23:59:59")
    thread.join()
    assert done.returncode == 0, done.stderr
    assert "waiting" in done.stdout
    over = desk.morning(second, "--append", desk.folder / "nothing.parquet", "--by", "00:00")
    assert over.returncode == LATE
    assert "by 00:00" in over.stdout


def test_what_is_ready_after_the_deadline_is_not_published(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    first, _ = desk.days
    soon = dt.datetime.now().astimezone() + dt.timedelta(seconds=0.3)
    monkeypatch.setattr("trial.daily.deadline_of", lambda *_: soon)
    done = desk.morning(first, "--append", desk.new(first))
    assert done.returncode == LATE
    assert "after the deadline" in done.stdout
    assert not desk.published(first).exists()


def test_an_alarm_is_published_unless_it_is_to_be_held(
    desk: Desk, webhook: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ATFT_NOTIFY_URL", webhook.address)
    first, second = desk.days
    (desk.folder / "strict.yaml").write_text("memory_mib: 1\n")
    strict = ("--thresholds", desk.folder / "strict.yaml")
    held = desk.morning(first, "--append", desk.new(first), *strict, "--hold")
    assert held.returncode == 1
    assert not desk.published(first).exists()
    done = desk.morning(first, *strict)
    assert done.returncode == 1
    assert desk.published(first).exists()
    assert desk.morning(first).returncode == 1, "again: the alarm that it was published with"
    assert sum("alarm" in heard["text"] for heard in webhook.heard) == 2
    assert desk.morning(second).returncode == LATE
    assert "late" in webhook.heard[-1]["text"]


def test_another_bundle_does_not_take_a_day_that_is_published(desk: Desk, trained: Trained) -> None:
    first, _ = desk.days
    assert desk.morning(first, "--append", desk.new(first)).returncode == 0
    other = desk.folder / "other"
    done = run("trial.export", "small", "--trial", 0, "--out", other, "--runs", trained.runs, "--thresholds", "nowhere")
    assert done.returncode == 2
    (desk.folder / "own.yaml").write_text("psi: 0.3\n")
    limits = ("--thresholds", desk.folder / "own.yaml")
    assert run("trial.export", "small", "--trial", 0, "--out", other, "--runs", trained.runs, *limits).returncode == 0
    theirs = desk._replace(bundle=other)
    refused = theirs.morning(first)
    assert refused.returncode == 2
    assert "published once" in refused.stderr
    assert theirs.morning(first, "--force").returncode == 0
    altered = desk.published(first) / "scores.csv"
    altered.write_text("date,code\n")
    refused = theirs.morning(first)
    assert refused.returncode == 2
    assert "scores.csv altered. Give --force" in refused.stderr
    assert theirs.morning(first, "--force").returncode == 0


def test_a_panel_that_grows_is_a_folder(desk: Desk) -> None:
    first, _ = desk.days
    own = desk.panel / "history.parquet"
    place = ("--out", desk.folder / "published", "--runs", desk.folder / "runs")
    done = run("trial.daily", desk.bundle, own, "--date", first, "--append", desk.new(first), *place)
    assert done.returncode == 2
    assert "folder of Parquet files" in done.stderr


def test_sessions() -> None:
    """Monday morning's day is Friday; an exchange's holidays are no sessions."""
    zone = dt.timezone(dt.timedelta(hours=-5))
    monday = dt.datetime(2024, 1, 15, 8, 0, tzinfo=zone)
    assert last_closed(monday, "panel") == dt.date(2024, 1, 12)
    tuesday = monday + dt.timedelta(days=1)
    assert last_closed(tuesday, "panel") == dt.date(2024, 1, 15)
    assert last_closed(tuesday, "XNYS") == dt.date(2024, 1, 12), "Martin Luther King day"
    assert last_closed(dt.datetime(2024, 1, 16, 17, 0, tzinfo=zone), "XNYS") == dt.date(2024, 1, 16)
    with pytest.raises(DataError, match="XNYZ"):
        last_closed(monday, "XNYZ")
    assert deadline_of("08:30", monday) == monday.replace(minute=30)
    assert deadline_of(None, monday) is None
    with pytest.raises(DataError, match="half nine"):
        deadline_of("half nine", monday)
