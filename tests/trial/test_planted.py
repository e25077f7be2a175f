"""Planted markets: judged once by a real sweep, kept as a small file, and counted with exact bounds."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from typer.testing import CliRunner

import trial.calibrate
from search_spaces.space import REFERENCE
from trial.calibrate import app
from trial.planted import PLANTED, RESULT, Kind, Size, has_word, is_found, provenance_of, run_market, small_space

TINY = Size(num_stocks=24, num_days=330, search_days=30, confirm_days=40, draws=1, epochs=1, seeds=2)


@pytest.mark.usefixtures("ray_head")
def test_a_market_is_swept_judged_and_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = run_market(tmp_path, "graph", 3, TINY, Console(quiet=True))
    assert set(found["words"]) == set(PLANTED["graph"].arms)
    assert (found["horizon"], found["days"]["no_gat"]) == (5, 40)
    assert found["seeds"]["no_gat"] == 2
    (kept,) = tmp_path.iterdir()
    assert [path.name for path in kept.iterdir()] == [RESULT], "panel and runs are gone"

    def unused(*_: object, **__: object) -> None:
        raise AssertionError("it was judged before")

    monkeypatch.setattr("trial.planted.run_sweep", unused)
    assert run_market(tmp_path, "graph", 3, TINY, Console(quiet=True)) == found
    with pytest.raises(AssertionError, match="judged before"):
        run_market(tmp_path, "graph", 3, replace(TINY, epochs=2), Console(quiet=True))
    monkeypatch.setattr("trial.planted.whole_provenance", lambda: {"code": "of tomorrow"})
    with pytest.raises(AssertionError, match="judged before"):
        run_market(tmp_path, "graph", 3, TINY, Console(quiet=True))


@pytest.mark.parametrize("kind", [*PLANTED])
def test_its_space_is_the_shipped_one_around_a_small_reference(kind: Kind) -> None:
    planted, space = PLANTED[kind], small_space(PLANTED[kind], Size())
    arms = space.with_arms(planted.arms).arm_configs(space.reference)
    assert [*arms] == [REFERENCE, *planted.arms]
    assert space.reference.model.temporal.kind == "identity"
    assert {knob.name for knob in space.knobs} >= {"learning_rate"}
    assert planted.needed in (None, *planted.arms)


def judged(kind: Kind, number: int, word: str) -> dict[str, Any]:
    arms = dict.fromkeys(PLANTED[kind].arms, "undecided") | {PLANTED[kind].arms[0]: word}
    numbers = dict.fromkeys(arms, 0.01)
    own = {"words": arms, "means": numbers, "errors": numbers, "seeds": dict.fromkeys(arms, 8), "seconds": 60.0}
    return own | {"kind": kind, "number": number} | provenance_of(Size())


def test_a_word_is_false_on_a_null_market_and_wanted_on_a_planted_one() -> None:
    assert has_word(judged("null", 0, "helps"))
    assert not has_word(judged("null", 0, "undecided"))
    assert is_found(judged("graph", 0, "hurts"))
    assert not is_found(judged("graph", 0, "helps"))
    assert not is_found(judged("null", 0, "hurts"))


@pytest.mark.usefixtures("ray_head")
@pytest.mark.parametrize(("num_false", "num_found", "status"), [(2, 30, 0), (9, 30, 1), (0, 20, 1)])
def test_what_does_not_hold_fails(tmp_path: Path, num_false: int, num_found: int, status: int) -> None:
    """From markets that were judged before."""
    words: dict[Kind, list[str]] = {
        "null": ["helps"] * num_false + ["undecided"] * (40 - num_false),
        "graph": ["hurts"] * num_found + ["undecided"] * (30 - num_found),
    }
    for kind, each in words.items():
        for number, word in enumerate(each):
            folder = tmp_path / f"{kind}-{number:03d}"
            folder.mkdir()
            (folder / RESULT).write_text(json.dumps(judged(kind, number, word)))
    command = ["pipeline", str(tmp_path), "--frequency", "0"]
    done = CliRunner(env={"COLUMNS": "200"}).invoke(app, command)
    assert done.exit_code == status, done.output
    assert f"{num_false / 40:.1%} (" in done.output
    assert f"{num_found / 30:.1%} (" in done.output
    assert trial.calibrate.PLANTED["graph"].needed == "no_gat"
    silent = judged("null", 39, "undecided") | {"words": {}, "why": "no arm completed two seeds"}
    (tmp_path / "null-039" / RESULT).write_text(json.dumps(silent))
    done = CliRunner(env={"COLUMNS": "200"}).invoke(app, command)
    assert done.exit_code == 1
    assert "failed: no verdict on null 39 (no arm completed two seeds)" in done.output
    assert f"{num_false / 39:.1%} (" in done.output
