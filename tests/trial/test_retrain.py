"""A champion's configuration learned anew: a challenger, held against it on days that neither could know; and back."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import pytest

from storage.database import open_existing
from storage.registry import read_registry
from tests.trial.conftest import MORE_DAYS
from tests.trial.training import Done, Trained, run
from trial.production.bundle import read_bundle

SWEEP = "small"


class Office(NamedTuple):
    """A folder of runs with a registry of its own."""

    runs: Path
    panel: Path
    days: list[str]

    def say(self, command: str, *words: object, status: int = 0) -> Done:
        done = run("trial.registry", command, SWEEP, *words, "--runs", self.runs)
        assert done.returncode == status, done.stdout + done.stderr
        return done

    def retrain(self, *words: object, status: int = 0) -> Done:
        done = run("trial.retrain", SWEEP, self.panel, "--runs", self.runs, *words)
        assert done.returncode == status, done.stdout + done.stderr
        return done

    @property
    def url(self) -> str:
        return f"sqlite:///{self.runs}/sweeps.db"


@pytest.fixture
def office(bundle: Path, trained: Trained, later_panel: Path, tmp_path: Path) -> Office:
    runs = tmp_path / "runs"
    runs.mkdir()
    shutil.copy(trained.runs / "sweeps.db", runs / "sweeps.db")
    shutil.copytree(bundle, tmp_path / "first")
    days = [str(day)[:10] for day in sorted(pd.read_parquet(later_panel, columns=["date"])["date"].unique())]
    found = Office(runs, later_panel, days)
    found.say("add", tmp_path / "first")
    return found


def test_from_champion_to_challenger_and_back(office: Office) -> None:
    champion = read_registry(open_existing(office.url), SWEEP).champion
    assert champion is not None
    date = office.days[-45]
    done = office.retrain("--through", date)
    assert "equal" in done.stdout, "proved in a fresh process"
    assert f"challenger {read_registry(open_existing(office.url), SWEEP).challenger(None).short}" in done.stdout
    folder = office.runs / SWEEP / f"bundle-through-{date}"
    found = read_bundle(folder)
    assert found.networks.known_through.isoformat() == date
    assert found.networks.trained_through.isoformat() < date, "its last labels end with the date"
    assert json.loads((folder / "provenance.json").read_text())["parent"]["bundle"] == champion.sha256
    assert "Nobody has scored it" in (folder / "model_card.md").read_text()

    told = office.say("compare", "--panel", office.panel).stdout
    horizon = 5
    assert f"on {45 - 1 - horizon - 1} days {office.days[-44]} .. " in told
    assert "that neither could know" in told
    again = office.say("compare", "--panel", office.panel).stdout
    assert "looks      2 so far" in again

    office.say("promote", "--because", "fresher")
    predicted = run("trial.predict", f"champion:{SWEEP}", office.panel, "--runs", office.runs)
    assert f"weights through-{date}" in predicted.stderr
    office.say("rollback", "--because", "a test")
    assert read_registry(open_existing(office.url), SWEEP).champion == champion
    log = office.say("show").stdout
    assert [word for word in ("registered", "promoted", "compared", "rolled back") if word not in log] == []
    assert "a test" in log


def test_a_comparison_is_what_both_scored_later(office: Office, tmp_path: Path) -> None:
    """The levels are those of each one's own monitor on the same days."""
    office.retrain("--through", office.days[-45])
    told = office.say("compare", "--panel", office.panel).stdout
    registry = read_registry(open_existing(office.url), SWEEP)
    assert registry.champion is not None
    levels = []
    for entry in (registry.challenger(None), registry.champion):
        out = tmp_path / "found.json"
        place = ("--json", out, "--out", tmp_path / "page.html", "--runs", office.runs)
        assert run("trial.monitor", entry.folder, office.panel, *place).returncode in (0, 1)
        daily = json.loads(out.read_text())["rank_ic"]["daily"]
        levels.append(np.mean([value for day, value in daily.items() if value is not None and day > office.days[-45]]))
    assert f"{levels[0]:+.4f} against {levels[1]:+.4f}" in told


def test_days_that_a_sweep_held_out_are_nobodys_evidence(office: Office, trained: Trained) -> None:
    """`trial.holdout` alone reads them, and writes it down: even a challenger of their middle is judged after them."""
    held_out_through = str(pd.read_parquet(trained.panel, columns=["date"])["date"].max())[:10]
    office.retrain("--through", office.days[office.days.index(held_out_through) - 30])
    told = office.say("compare", "--panel", office.panel).stdout
    first = office.days[office.days.index(held_out_through) + 1]
    assert f"on {MORE_DAYS - 1 - 5} days {first} .. " in told


def test_a_promotion_needs_days_or_a_reason(office: Office) -> None:
    office.retrain()
    assert "Give --panel, or --because" in office.say("promote", status=2).stderr
    refused = office.say("promote", "--panel", office.panel, status=2).stderr
    assert "there are 0 whose labels are known" in refused
    registry = read_registry(open_existing(office.url), SWEEP)
    assert [event.action for event in registry.log] == ["registered", "promoted", "registered"]


def test_a_bundle_that_was_replaced_is_refused(office: Office, tmp_path: Path) -> None:
    date = office.days[-45]
    office.retrain("--through", date)
    folder = office.runs / SWEEP / f"bundle-through-{date}"
    shutil.rmtree(folder)
    shutil.copytree(tmp_path / "first", folder)
    refused = office.say("promote", "--because", "x", status=2).stderr
    assert "must be one of trial-0" in refused
    assert read_registry(open_existing(office.url), SWEEP).challenger(None).weights == f"through-{date}"


def test_what_is_not_there_is_refused(office: Office, tmp_path: Path) -> None:
    nobody = run("trial.predict", "champion:nobody", office.panel, "--runs", office.runs)
    assert (nobody.returncode, "promoted" in nobody.stderr) == (2, True)
    nobody = run("trial.retrain", "nobody", office.panel, "--runs", office.runs)
    assert (nobody.returncode, "has none" in nobody.stderr) == (2, True)
    assert "before 2050-01-01" in office.retrain("--through", "2050-01-01", status=2).stderr
    assert "registered once" in office.say("add", tmp_path / "first", status=2).stderr
    assert "has had one champion only" in office.say("rollback", "--because", "x", status=2).stderr
    assert "none" in office.say("compare", "--panel", office.panel, status=2).stderr
    (tmp_path / "out").mkdir()
    assert "new folder" in office.retrain("--out", tmp_path / "out", status=2).stderr
