"""What the monitor says of what it saw."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from reports.monitoring.band import Expected
from reports.monitoring.checks import Check, check, worst
from reports.monitoring.drift import Drift
from reports.monitoring.observed import LiveSkill, Observed
from reports.monitoring.page import as_dict, monitor_page
from reports.monitoring.thresholds import Thresholds

EXPECTED = Expected(5, 0.04, 0.005, 0.05, "120 days of the confirm folds, 5 seeds")


def drifted(psi: float, alike: float, num_alike: int, num_stretches: int = 25) -> Drift:
    row = {"psi": psi, "usual_psi": 0.05, "ks": 0.05, "usual_ks": 0.1, "missing": 0.0, "usual_missing": 0.0}
    columns = pd.DataFrame([row | {"alike": alike, "times": psi / 0.05}], index=["volume_20"])
    return Drift(columns, num_stretches, num_alike)


def skill(mean: float, days: int = 80) -> LiveSkill:
    dates = [str(day) for day in np.arange(np.datetime64("2024-01-01"), np.datetime64("2024-01-01") + days)]
    return LiveSkill(dates, np.full(days, mean), EXPECTED)


USUAL = Observed(
    bundle="b 0123456789abcdef",
    weights="confirmed",
    learned="2023-06-30",
    day="2024-01-31",
    stretch=("2024-01-03", "2024-01-31"),
    num_learned=0,
    features=drifted(0.02, 0.6, 15),
    scores="too few days",
    skill=skill(0.05),
    num_stocks=98,
    usual_stocks=100.0,
    num_new=1,
    unknown_sectors=0.0,
    usual_unknown=0.0,
    spread=0.02,
    usual_spread=0.021,
    memory_mib=600.0,
)


def states(observed: Observed, **limits: float) -> dict[str, str]:
    return {each.name: each.state for each in check(observed, Thresholds.model_validate(limits))}


def test_a_usual_morning_is_ok_and_what_is_not_known_says_so() -> None:
    found = check(USUAL, Thresholds())
    assert worst(found) == "ok"
    assert {each.name for each in found if each.state == "unknown"} == {"scores"}


@pytest.mark.parametrize(
    ("changes", "name", "state"),
    [
        ({"features": drifted(0.6, 0.0, 0)}, "features", "alarm"),
        ({"features": drifted(0.6, 0.2, 5)}, "features", "ok"),  # it matters, and is nothing new
        ({"features": drifted(0.1, 0.0, 0)}, "features", "watch"),  # new, and too small to matter
        ({"features": drifted(0.1, 0.0, 0, num_stretches=5)}, "features", "ok"),  # one of six is no news
        ({"features": drifted(0.6, 0.0, 0, num_stretches=5)}, "features", "watch"),  # it would matter
        ({"skill": skill(-0.2)}, "RankIC", "alarm"),
        ({"skill": skill(-0.02)}, "RankIC", "watch"),
        ({"skill": skill(0.04, days=59)}, "RankIC", "unknown"),
        ({"num_stocks": 90}, "coverage", "watch"),
        ({"num_stocks": 70}, "coverage", "alarm"),
        ({"unknown_sectors": 0.2}, "sectors", "watch"),
        ({"spread": 0.0}, "spread", "alarm"),
        ({"usual_spread": None}, "spread", "unknown"),
        ({"memory_mib": 9000.0}, "memory", "alarm"),
    ],
)
def test_what_is_out_of_the_ordinary_is_said(changes: dict[str, object], name: str, state: str) -> None:
    assert states(replace(USUAL, **changes))[name] == state  # type: ignore[arg-type]


def test_every_threshold_can_be_moved() -> None:
    moved = {
        "psi": (drifted(0.3, 0.0, 0), "features", 0.5, "watch"),
        "p_value": (drifted(0.1, 0.0, 0), "features", 0.01, "ok"),
    }
    for threshold, (seen, name, value, state) in moved.items():
        assert states(replace(USUAL, features=seen), **{threshold: value})[name] == state
    low_ks = drifted(0.1, 0.0, 0)
    assert states(replace(USUAL, features=low_ks), ks=0.04)["features"] == "alarm"
    assert states(replace(USUAL, num_stocks=90), coverage_watch=0.85)["coverage"] == "ok"
    assert states(replace(USUAL, num_stocks=90), coverage_alarm=0.95)["coverage"] == "alarm"
    assert states(USUAL, memory_mib=100.0)["memory"] == "alarm"
    assert states(USUAL, spread_alarm=0.99)["spread"] == "alarm"
    assert states(USUAL, rank_ic_days=90)["RankIC"] == "unknown"


def test_what_is_unknown_hides_no_alarm() -> None:
    assert worst([Check("a", "unknown", ""), Check("b", "watch", "")]) == "watch"
    assert worst([Check("a", "unknown", "")]) == "unknown"


def test_the_page_and_the_numbers_say_the_same() -> None:
    observed = replace(USUAL, features=drifted(0.6, 0.0, 0))
    found = check(observed, Thresholds())
    page, plain = monitor_page(observed, found, Thresholds()), as_dict(observed, found)
    assert plain["state"] == "alarm"
    assert plain["features"]["volume_20"]["psi"] == 0.6
    assert len(plain["rank_ic"]["daily"]) == 80
    assert "volume_20 (PSI 0.60, KS 0.05) drifted as never before" in page
    assert "Nothing to show: too few days." in page
    assert 'src="http' not in page


def test_the_page_begins_with_the_checks_that_were_not_passed() -> None:
    calm = monitor_page(USUAL, check(USUAL, Thresholds()), Thresholds())
    assert "<b>Nothing out of the ordinary.</b>" in calm
    found = [Check("features", "alarm", "x"), Check("scores", "watch", "y"), Check("memory", "ok", "z")]
    assert "<b>Alarm: features. Worth a look: scores.</b>" in monitor_page(USUAL, found, Thresholds())
