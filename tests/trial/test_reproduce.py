"""A finished trial trained again from the store alone, and compared number by number."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from tests.trial.study_checks import open_study
from tests.trial.training import Trained, run, run_apart
from trial.reproduce import compare


def test_it_is_reproduced_bit_for_bit_from_the_store(trained: Trained) -> None:
    done = run_apart("trial.reproduce", "small", 0, "--runs", trained.runs)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "numbers of 2 epochs, bit for bit" in done.stdout


def test_without_the_prepared_market_it_is_prepared_again(trained: Trained, tmp_path: Path) -> None:
    (trained.runs / "prepared").rename(tmp_path / "prepared")
    try:
        done = run("trial.reproduce", "small", 0, "--runs", trained.runs)
        assert done.returncode == 0, done.stdout + done.stderr
        wrong = run("trial.reproduce", "small", 0, "--runs", trained.runs / "nowhere")
        assert wrong.returncode == 2
    finally:
        for left in (trained.runs / "prepared").glob("*"):
            left.rename(tmp_path / f"again-{left.name}")
        (trained.runs / "prepared").rmdir()
        (tmp_path / "prepared").rename(trained.runs / "prepared")


def test_a_number_that_differs_is_found(trained: Trained) -> None:
    then = open_study(trained.runs, "small")[1][0].curve[0]
    now = yaml.safe_load(yaml.safe_dump(then))
    assert [each for each in compare(then, now) if each.then != each.now] == []
    now["losses"]["total"] += 1e-12
    (found,) = (each for each in compare(then, now) if each.then != each.now)
    assert found.name == "losses/total"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("small", 7), "a trial of 'small' must be one of 0 to 0, got 7"),
        (("nobody", 0), "a study must be one of: small; got 'nobody'"),
    ],
)
def test_what_cannot_be_reproduced_is_refused(trained: Trained, arguments: tuple[str, int], words: str) -> None:
    done = run("trial.reproduce", *arguments, "--runs", trained.runs)
    assert (done.returncode, done.stdout) == (2, "")
    assert words in done.stderr
