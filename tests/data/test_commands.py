"""The commands of `data` as users run them: what they print, their exit status, and one clear message when refused."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from data.synthetic import SyntheticConfig, generate

ROOT = Path(__file__).parents[2]
SETTINGS = """
horizons: [1, 5]
window: 5
splits: {search_days: 8, confirm_days: 4, confirm_folds: 1, holdout_days: 6}
graph: {kind: none}
"""


def run(folder: Path, *arguments: object) -> subprocess.CompletedProcess[str]:
    """`python -m ...` in an empty folder of the user's."""
    command = [sys.executable, "-m", *map(str, arguments)]
    environment = {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "PATH": "/usr/bin:/bin", "COLUMNS": "200"}
    return subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=120, check=False
    )


def assert_refused(done: subprocess.CompletedProcess[str], *parts: str) -> None:
    """Exit status 2, and one message on stderr without a traceback."""
    assert done.returncode == 2, done
    assert "Traceback" not in done.stdout + done.stderr
    assert done.stderr.startswith("error: "), done.stderr
    assert done.stderr.count("error: ") == 1
    assert all(part in done.stderr for part in parts), done.stderr


def market(num_days: int = 100) -> pa.Table:
    return generate(SyntheticConfig(num_stocks=12, num_days=num_days, missing_share=0, delisting_rate=0))


def spoiled(name: str, values: object) -> pa.Table:
    return market().set_column(market().schema.get_field_index(name), name, pa.array(values))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A clean panel and settings that suit it."""
    pq.write_table(market(), tmp_path / "panel.parquet")
    (tmp_path / "settings.yaml").write_text(SETTINGS)
    return tmp_path


# --- prepare


def test_prepare_says_what_it_needs_before_what_it_made_and_twice_does_nothing(folder: Path) -> None:
    first = run(folder, "data.prepare", "panel.parquet", "--config", "settings.yaml")
    assert (first.returncode, first.stderr) == (0, "")
    lines = first.stdout.splitlines()
    assert lines[0].startswith("data: 1,200 rows become 94 days x 12 stocks x ")
    assert "GiB on disk" in lines[0]
    starts = ["store: ", "hold-out: from ", "fold search: ", "fold confirm-1: ", "next: python -m trial.sweep "]
    assert all(any(line.startswith(start) for line in lines) for start in starts), first.stdout
    (meta,) = folder.glob("runs/prepared/*/meta.json")
    made = meta.stat().st_mtime_ns
    second = run(folder, "data.prepare", "panel.parquet", "--config", "settings.yaml")
    assert (second.returncode, second.stdout.splitlines()) == (0, lines[1:])
    assert [path.stat().st_mtime_ns for path in folder.glob("runs/prepared/*/meta.json")] == [made]


def test_prepare_tells_its_doubts_and_succeeds(folder: Path) -> None:
    pq.write_table(market().drop(["sector", "industry"]), folder / "panel.parquet")
    done = run(folder, "data.prepare", "panel.parquet", "--config", "settings.yaml", "--runs", "elsewhere")
    assert done.returncode == 0
    assert "doubt: sectors let stocks be compared with their like" in done.stdout
    assert len(list(folder.glob("elsewhere/prepared/*/meta.json"))) == 1


def test_prepare_refuses_a_panel_with_errors_and_leaves_nothing(folder: Path) -> None:
    table = pa.concat_tables([market(), market().slice(600, 2)])
    pq.write_table(table, folder / "panel.parquet")
    done = run(folder, "data.prepare", "panel.parquet", "--config", "settings.yaml")
    assert_refused(done, "(date, code) must be unique, but date, code has 2; first: ", "Remove the duplicates.")
    assert [path.name for path in folder.glob("runs/prepared/*") if path.suffix != ".lock"] == []


def test_prepare_refuses_a_panel_too_short_for_its_folds(folder: Path) -> None:
    assert_refused(run(folder, "data.prepare", "panel.parquet"), "at least 40 days", "Bring about")


@pytest.mark.parametrize(
    ("command", "panel", "parts"),
    [
        ("data.prepare", "none.parquet", ["no file or folder none.parquet", "Check the path."]),
        ("data.inspect", "empty", ["empty holds none", "Give the folder"]),
        ("data.inspect", "settings.yaml", ["settings.yaml is not", "Write it again."]),
        ("data.prepare", "zoned.parquet", ["zone Asia/Tokyo", "Store the exchange's own day."]),
    ],
)
def test_a_panel_that_cannot_be_read_is_refused(folder: Path, command: str, panel: str, parts: list[str]) -> None:
    (folder / "empty").mkdir()
    zoned = market()["date"].cast(pa.timestamp("us")).cast(pa.timestamp("us", "Asia/Tokyo"))
    pq.write_table(market().set_column(0, "date", zoned), folder / "zoned.parquet")
    assert_refused(run(folder, command, panel), *parts)


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        (None, ["wrong.yaml is not", "No such file"]),
        ("windows: 5", ["in wrong.yaml break a rule: windows: "]),
        ("columns: {close: Clsoe}", ["columns.close 'Clsoe' is not", "it has date, code, open"]),
        (SETTINGS + "universe: {sections: ['0111']}", ["universe.sections", "data.columns.section"]),
    ],
)
def test_a_wrong_config_is_refused(folder: Path, text: str | None, parts: list[str]) -> None:
    if text is not None:
        (folder / "wrong.yaml").write_text(text)
    assert_refused(run(folder, "data.prepare", "panel.parquet", "--config", "wrong.yaml"), *parts)


def test_a_runs_folder_that_is_a_file_is_refused(folder: Path) -> None:
    done = run(folder, "data.prepare", "panel.parquet", "--config", "settings.yaml", "--runs", "settings.yaml")
    assert_refused(done, "settings.yaml/prepared is none")


# --- inspect


def test_inspect_says_that_it_found_nothing(folder: Path) -> None:
    done = run(folder, "data.inspect", "panel.parquet")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[0] == "1,200 rows in 1 files: 100 days 2018-01-01 .. 2018-05-18, 12 stocks"
    assert done.stdout.splitlines()[-1] == "nothing found"
    assert sorted(path.name for path in folder.iterdir()) == ["panel.parquet", "settings.yaml"]


def test_inspect_tells_errors_and_doubts_as_a_table_and_refuses(folder: Path) -> None:
    volume = np.where(np.arange(1200) == 600, -5, market()["volume"].to_numpy())
    pq.write_table(spoiled("volume", volume).drop(["sector", "industry"]), folder / "panel.parquet")
    done = run(folder, "data.inspect", "panel.parquet")
    assert (done.returncode, done.stderr) == (2, "")
    for part in ("check", "column", "count", "first example", "what to do", "impossible price", "S0000 = -5", "doubt"):
        assert part in done.stdout, part
    assert done.stdout.splitlines()[-1] == "1 errors, 1 doubts"


def test_inspect_with_doubts_alone_succeeds(folder: Path) -> None:
    pq.write_table(market().drop(["sector", "industry"]), folder / "panel.parquet")
    done = run(folder, "data.inspect", "panel.parquet", "--config", "settings.yaml")
    assert done.returncode == 0
    assert done.stdout.splitlines()[-1] == "0 errors, 1 doubts"


# --- synthetic


def test_synthetic_writes_a_market_that_inspects_clean_and_says_the_best_score(tmp_path: Path) -> None:
    size = ["--stocks", 12, "--days", 80, "--sectors", 2, "--null", "--seed", 3]
    done = run(tmp_path, "data.synthetic", "deep/market.parquet", *size)
    assert (done.returncode, done.stderr) == (0, "")
    assert "best possible mean daily RankIC, entered one close later: 1d +0.0000, 5d +0.0000" in done.stdout
    assert "next: python -m trial.sweep gat_ablation --data deep/market.parquet" in done.stdout
    config = SyntheticConfig.null(num_stocks=12, num_days=80, num_sectors=2, seed=3)
    assert pq.read_table(tmp_path / "deep" / "market.parquet").equals(generate(config))


def test_synthetic_writes_over_no_file_unless_it_is_forced(tmp_path: Path) -> None:
    (tmp_path / "market.parquet").write_text("mine")
    small = ["market.parquet", "--stocks", 10, "--days", 60]
    assert_refused(run(tmp_path, "data.synthetic", *small), "market.parquet is there", "--force")
    assert (tmp_path / "market.parquet").read_text() == "mine"
    assert run(tmp_path, "data.synthetic", *small, "--force").returncode == 0
    assert pq.read_metadata(tmp_path / "market.parquet").num_rows > 500


def test_synthetic_refuses_a_place_where_it_cannot_write(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    done = run(tmp_path, "data.synthetic", "file/market.parquet", "--stocks", 10, "--days", 60)
    assert_refused(done, "cannot be written to file/market.parquet", "Choose another file.")


# --- usage


@pytest.mark.parametrize(
    ("command", "options"),
    [
        ("data.prepare", ["panel", "--runs", "--config", "--memory"]),
        ("data.inspect", ["panel", "--config", "--memory"]),
        ("data.synthetic", ["out", "--stocks", "--days", "--seed", "--regime", "--null", "--force"]),
    ],
)
def test_help_names_every_option(tmp_path: Path, command: str, options: list[str]) -> None:
    done = run(tmp_path, command, "--help")
    assert done.returncode == 0
    assert all(option in done.stdout for option in options), done.stdout


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (["data.prepare"], "panel"),
        (["data.synthetic", "out.parquet", "--stocks", "3"], "--stocks"),
        (["data.prepare", "panel.parquet", "--holdout", "3"], "--holdout"),
    ],
)
def test_wrong_usage_is_refused_with_the_argument(tmp_path: Path, arguments: list[str], part: str) -> None:
    done = run(tmp_path, *arguments)
    assert done.returncode == 2
    assert part in done.stderr
    assert "Traceback" not in done.stderr
