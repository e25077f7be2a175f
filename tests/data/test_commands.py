"""The commands of `data` as users run them: what they print, their exit status, and one clear message when refused."""

from __future__ import annotations

import shlex
import signal
import subprocess
import sys
from contextlib import chdir
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from data.commands import inspect_app, prepare_app, synthetic_app
from data.describe import describe
from data.prepare import prepare
from data.settings import read_data_config, suited
from data.synthetic import LARGEST_EFFECT, SyntheticConfig, generate

ROOT = Path(__file__).parents[2]
APPS = {"data.prepare": prepare_app, "data.inspect": inspect_app, "data.synthetic": synthetic_app}
SETTINGS = """
horizons: [1, 5]
window: 5
splits: {search_days: 8, confirm_days: 4, confirm_folds: 1, holdout_days: 6}
graph: {kind: none}
"""


class Done(NamedTuple):
    """What a command left on the screen."""

    returncode: int
    stdout: str
    stderr: str


def run_process(folder: Path, *arguments: object, columns: int | None = 200) -> Done:
    """`python -m ...` in an empty folder of the user's, on a screen of so many columns, or of none."""
    command = [sys.executable, "-m", *map(str, arguments)]
    environment = {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "PATH": "/usr/bin:/bin"}
    if columns is not None:
        environment["COLUMNS"] = str(columns)
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=120, check=False
    )
    return Done(done.returncode, done.stdout, done.stderr)


def run(folder: Path, command: object, *arguments: object, columns: int | None = 200) -> Done:
    """The same within this process, which has imported everything already."""
    app = APPS[str(command)]
    with chdir(folder):
        done = CliRunner(env={"COLUMNS": None if columns is None else str(columns)}).invoke(
            app, [str(argument) for argument in arguments], prog_name=f"python -m {command}"
        )
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    return Done(done.exit_code, done.stdout, done.stderr)


def assert_refused(done: Done, *parts: str, num_lines: int = 1) -> None:
    """Exit status 2, and on stderr so many lines, each of which says that it is an error; no traceback."""
    assert done.returncode == 2, done
    assert "Traceback" not in done.stdout + done.stderr
    lines = done.stderr.splitlines()
    assert len(lines) == num_lines, done.stderr
    assert all(line.startswith("error: ") and line.count("error: ") == 1 for line in lines), done.stderr
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
    first = run_process(folder, "data.prepare", "panel.parquet", "--data-config", "settings.yaml")
    assert (first.returncode, first.stderr) == (0, "")
    lines = first.stdout.splitlines()
    assert lines[0].startswith("data: 1,200 rows become 94 days x 12 stocks x ")
    assert "GiB on disk" in lines[0]
    topics = [line.split(": ")[0] for line in lines[1:]]
    described = ["features", "labels", "universe", "graph", "hold-out"]
    assert topics == ["store", *described, "fold search", "fold confirm-1", "next"]
    config = read_data_config(folder / "settings.yaml")
    assert config is not None
    store = prepare(folder / "panel.parquet", folder / "runs" / "prepared", suited(config, folder / "panel.parquet"))
    assert [line.split(": ", 1)[1] for line in lines[2:7]] == list(describe(store, config).values())
    assert lines[1].endswith(f"{store.folder.name} (94 days 2018-01-01 .. 2018-05-10, 12 stocks)")
    told = "--data panel.parquet --runs runs --data-config settings.yaml"
    assert lines[-1] == f"next: python -m trial.sweep gat_ablation {told}"
    (meta,) = folder.glob("runs/prepared/*/meta.json")
    made = meta.stat().st_mtime_ns
    second = run(folder, "data.prepare", "panel.parquet", "--data-config", "settings.yaml")
    assert (second.returncode, second.stdout.splitlines()) == (0, lines[1:])
    assert [path.stat().st_mtime_ns for path in folder.glob("runs/prepared/*/meta.json")] == [made]


def test_prepare_tells_its_doubts_and_succeeds(folder: Path) -> None:
    pq.write_table(market().drop(["sector", "industry"]), folder / "panel.parquet")
    done = run(folder, "data.prepare", "panel.parquet", "--data-config", "settings.yaml", "--runs", "elsewhere")
    assert done.returncode == 0
    assert "doubt: sectors let stocks be compared with their like" in done.stdout
    assert len(list(folder.glob("elsewhere/prepared/*/meta.json"))) == 1


def test_prepare_refuses_a_panel_with_errors_and_leaves_nothing(folder: Path) -> None:
    table = pa.concat_tables([market(), market().slice(600, 2)])
    pq.write_table(table, folder / "panel.parquet")
    done = run_process(folder, "data.prepare", "panel.parquet", "--data-config", "settings.yaml")
    assert_refused(done, "(date, code) must be unique. date, code: 2 rows (first: ", "Remove the duplicates.")
    assert sorted(path.name for path in folder.iterdir()) == ["panel.parquet", "settings.yaml"]


def test_every_line_of_a_refusal_says_that_it_is_one(folder: Path) -> None:
    volume = np.where(np.arange(1200) == 600, -5, market()["volume"].to_numpy())
    pq.write_table(pa.concat_tables([spoiled("volume", volume)] * 2), folder / "panel.parquet")
    done = run(folder, "data.prepare", "panel.parquet", "--data-config", "settings.yaml")
    assert_refused(done, "must be unique", "volume must be zero or more. volume: 1 row", num_lines=2)


def test_a_key_that_stands_twice_is_refused_with_its_line(folder: Path) -> None:
    (folder / "settings.yaml").write_text(SETTINGS + "window: 6\n")
    done = run(folder, "data.prepare", "panel.parquet", "--data-config", "settings.yaml")
    assert_refused(done, "in settings.yaml, line 6: the key 'window' stands there twice")


def test_the_next_command_can_be_pasted(folder: Path) -> None:
    (folder / "two words").mkdir()
    panel = (folder / "panel.parquet").rename(folder / "two words" / "my panel.parquet").relative_to(folder)
    done = run(folder, "data.prepare", panel, "--data-config", "settings.yaml", "--runs", "two words/r")
    command = shlex.split(done.stdout.splitlines()[-1].removeprefix("next: "))
    assert command[-6:] == ["--data", str(panel), "--runs", "two words/r", "--data-config", "settings.yaml"]


def _heed_interrupts() -> None:
    """A shell starts its background jobs deaf to Ctrl-C, and their children inherit that."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


def test_ctrl_c_ends_with_a_word_and_leaves_nothing(tmp_path: Path) -> None:
    pq.write_table(generate(SyntheticConfig(num_stocks=150, num_days=1500)), tmp_path / "panel.parquet")
    command = [sys.executable, "-m", "data.prepare", "panel.parquet"]
    environment = {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "PATH": "/usr/bin:/bin"}
    with subprocess.Popen(
        command,
        cwd=tmp_path,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=_heed_interrupts,
    ) as process:
        assert process.stdout is not None
        assert "rows become" in process.stdout.readline()
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=60)
    assert process.returncode == 130
    assert said.startswith("interrupted: nothing half-written stays")
    assert [path.name for path in tmp_path.glob("runs/prepared/*")] == []


def test_prepare_refuses_a_panel_too_short_for_its_folds(folder: Path) -> None:
    assert_refused(
        run(folder, "data.prepare", "panel.parquet"), "at least 40 days", "more trading days would be enough."
    )


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
        ("windows: 5", ["in wrong.yaml break a rule: windows is no setting; is window meant?"]),
        ("columns: {close: Clsoe}", ["columns.close 'Clsoe' is not", "it has date, code, open"]),
        (SETTINGS + "universe: {sections: ['0111']}", ["universe.sections", "data.columns.section"]),
    ],
)
def test_a_wrong_config_is_refused(folder: Path, text: str | None, parts: list[str]) -> None:
    if text is not None:
        (folder / "wrong.yaml").write_text(text)
    assert_refused(run(folder, "data.prepare", "panel.parquet", "--data-config", "wrong.yaml"), *parts)


def test_a_runs_folder_that_is_a_file_is_refused(folder: Path) -> None:
    done = run(folder, "data.prepare", "panel.parquet", "--data-config", "settings.yaml", "--runs", "settings.yaml")
    assert_refused(done, "settings.yaml/prepared is none")


# --- inspect


def test_inspect_says_that_it_found_nothing(folder: Path) -> None:
    done = run(folder, "data.inspect", "panel.parquet", "--data-config", "settings.yaml")
    assert (done.returncode, done.stderr) == (0, "")
    summary = "1,200 rows in 1 file: 100 days 2018-01-01 .. 2018-05-18, 12 stocks S0000 .. S0011"
    assert done.stdout.splitlines()[0] == summary
    assert done.stdout.splitlines()[-1] == "nothing found"
    assert sorted(path.name for path in folder.iterdir()) == ["panel.parquet", "settings.yaml"]


def test_inspect_refuses_what_a_sweep_would_refuse(folder: Path) -> None:
    """Without settings the panel is too short for the default folds."""
    inspected, prepared = (run(folder, command, "panel.parquet") for command in ("data.inspect", "data.prepare"))
    assert (inspected.returncode, inspected.stderr) == (2, "")
    assert inspected.stdout.splitlines()[-1] == "1 error, 0 doubts"
    assert [row[:3] for row in rows_of(inspected.stdout)] == [["error", "settings", "(settings)"]]
    assert_refused(prepared, "at least 40 days")
    told = " ".join(row[3] for row in rows_of(inspected.stdout))
    assert prepared.stderr.removeprefix("error: ").strip() in told


def rows_of(stdout: str) -> list[list[str]]:
    """The cells of the table, each in one line."""
    rows: list[list[str]] = []
    for line in stdout.splitlines():
        if line.startswith("│"):
            cells = [cell.strip() for cell in line.strip("│").split("│")]
            if cells[0]:
                rows.append(cells)
            else:
                rows[-1] = [" ".join(filter(None, pair)) for pair in zip(rows[-1], cells, strict=True)]
    return rows


def damaged() -> pa.Table:
    """A panel of ten features with an error and some doubts, one in a column with a long name."""
    rng = np.random.default_rng(0)
    table = spoiled("volume", np.where(np.arange(1200) == 600, -5, market()["volume"].to_numpy()))
    for number in range(9):
        table = table.append_column(f"f{number}", pa.array(rng.normal(size=1200)))
    late = pa.array([None] * 600 + rng.normal(size=600).tolist())
    table = table.append_column("fundamental_net_income_per_diluted_share_last_year", late)
    return table.append_column("target_5d", pa.array(rng.normal(size=1200))).drop(["sector", "industry"])


CHECKS = [
    ["error", "impossible price", "volume"],
    ["doubt", "missing share jumps", "fundamental_net_income_per_diluted_share_last_year"],
    ["doubt", "no publication lag", "(columns)"],
    ["doubt", "targets unused", "(columns)"],
    ["doubt", "no sector", "(columns)"],
]


def test_inspect_tells_errors_and_doubts_as_a_table_and_refuses(folder: Path) -> None:
    pq.write_table(damaged(), folder / "panel.parquet")
    done = run_process(folder, "data.inspect", "panel.parquet", "--data-config", "settings.yaml")
    assert (done.returncode, done.stderr) == (2, "")
    assert "count, example, and what to do" in done.stdout
    rows = rows_of(done.stdout)
    assert [row[:3] for row in rows] == CHECKS
    assert rows[0][3].startswith("1 row (first: 2018-03-12 S0000 = -5) volume must be zero or more. Write null")
    assert done.stdout.splitlines()[-1] == "1 error, 4 doubts"


@pytest.mark.parametrize(("columns", "width"), [(80, 80), (120, 120), (None, 160)])
def test_the_table_is_as_wide_as_the_screen_and_every_check_is_there_whole(
    folder: Path, columns: int | None, width: int
) -> None:
    pq.write_table(damaged(), folder / "panel.parquet")
    done = run(folder, "data.inspect", "panel.parquet", "--data-config", "settings.yaml", columns=columns)
    table = [line for line in done.stdout.splitlines() if line[0] in "┏┃┡│├└"]
    assert {len(line) for line in table} == {width}
    for severity, check, _ in CHECKS:
        assert any(line.startswith(f"│ {severity} │ {check} ") for line in table), check
    whole = run(folder, "data.inspect", "panel.parquet", "--data-config", "settings.yaml", columns=1000).stdout
    assert [row[3].replace(" ", "") for row in rows_of(done.stdout)] == [
        row[3].replace(" ", "") for row in rows_of(whole)
    ]


def test_inspect_with_doubts_alone_succeeds(folder: Path) -> None:
    pq.write_table(market().drop(["sector", "industry"]), folder / "panel.parquet")
    done = run(folder, "data.inspect", "panel.parquet", "--data-config", "settings.yaml")
    assert done.returncode == 0
    assert done.stdout.splitlines()[-1] == "0 errors, 1 doubt"


# --- synthetic


def test_synthetic_writes_a_market_that_inspects_clean_and_says_the_best_score(tmp_path: Path) -> None:
    size = ["--stocks", 12, "--days", 80, "--sectors", 2, "--null", "--seed", 3]
    done = run_process(tmp_path, "data.synthetic", "deep/market.parquet", *size)
    assert (done.returncode, done.stderr) == (0, "")
    assert "best possible mean daily RankIC, entered one close later: 1d +0.0000, 5d +0.0000" in done.stdout
    assert "note: too short for a sweep. " in done.stdout
    assert "more trading days would be enough" in done.stdout
    assert "next:" not in done.stdout
    config = SyntheticConfig.null(num_stocks=12, num_days=80, num_sectors=2, seed=3)
    assert pq.read_table(tmp_path / "deep" / "market.parquet").equals(generate(config))


def test_synthetic_suggests_the_sweep_of_a_market_that_is_long_enough(tmp_path: Path) -> None:
    done = run(tmp_path, "data.synthetic", "market.parquet", "--stocks", 12, "--days", 500)
    assert done.stdout.splitlines()[-1] == "next: python -m trial.sweep gat_ablation --data market.parquet"


def test_synthetic_writes_over_no_file_unless_it_is_forced(tmp_path: Path) -> None:
    (tmp_path / "market.parquet").write_text("mine")
    small = ["market.parquet", "--stocks", 10, "--days", 60]
    assert_refused(run(tmp_path, "data.synthetic", *small), "market.parquet is there", "--force")
    assert (tmp_path / "market.parquet").read_text() == "mine"
    assert run(tmp_path, "data.synthetic", *small, "--force").returncode == 0
    assert pq.read_metadata(tmp_path / "market.parquet").num_rows > 500


@pytest.mark.parametrize(
    ("effects", "told"),
    [
        (["--momentum", 1], "--momentum"),
        (["--regime", 0], "--regime"),
        (["--spillover", 1, "--reversal", 0.5], "--spillover and --reversal"),
    ],
)
def test_a_market_without_effects_cannot_have_one(tmp_path: Path, effects: list[object], told: str) -> None:
    done = run(tmp_path, "data.synthetic", "out.parquet", "--null", *effects, "--stocks", 10, "--days", 60)
    assert_refused(done, "a --null market has no effects", told, "Drop one.")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("effect", ["spillover", "momentum", "regime"])
def test_an_effect_is_admitted_up_to_the_largest_that_prices_can_hold(tmp_path: Path, effect: str) -> None:
    size = ["--stocks", 10, "--days", 60]
    done = run(tmp_path, "data.synthetic", "out.parquet", f"--{effect}", LARGEST_EFFECT, *size)
    assert done.returncode == 0, done.stderr
    done = run(tmp_path, "data.synthetic", "other.parquet", f"--{effect}", LARGEST_EFFECT + 0.1, *size)
    assert (done.returncode, "Traceback" in done.stderr) == (2, False)
    assert f"--{effect}" in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["out.parquet"]


def test_synthetic_without_effects_asked_has_the_usual_ones(tmp_path: Path) -> None:
    size = {"num_stocks": 10, "num_days": 60, "num_sectors": 11, "seed": 7}
    run(tmp_path, "data.synthetic", "out.parquet", "--stocks", 10, "--days", 60, "--momentum", 0.2)
    run(tmp_path, "data.synthetic", "plain.parquet", "--stocks", 10, "--days", 60)
    for name in ("out", "plain"):
        assert pq.read_table(tmp_path / f"{name}.parquet").equals(generate(SyntheticConfig.model_validate(size)))


def test_synthetic_refuses_a_place_where_it_cannot_write(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    done = run(tmp_path, "data.synthetic", "file/market.parquet", "--stocks", 10, "--days", 60)
    assert_refused(done, "cannot be written to file/market.parquet", "Choose another file.")


# --- usage


@pytest.mark.parametrize(
    ("command", "options"),
    [
        ("data.prepare", ["panel", "--runs", "--data-config", "--memory"]),
        ("data.inspect", ["panel", "--data-config", "--memory"]),
        (
            "data.synthetic",
            [
                *("out", "--stocks", "--days", "--seed", "--spillover", "--momentum", "--reversal", "--regime"),
                *("--null", "--force"),
            ],
        ),
    ],
)
def test_help_names_every_option(tmp_path: Path, command: str, options: list[str]) -> None:
    done = run_process(tmp_path, command, "--help")
    assert done.returncode == 0
    assert all(option in done.stdout for option in options), done.stdout


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (["data.prepare"], "panel"),
        (["data.synthetic", "out.parquet", "--stocks", "3"], "--stocks"),
        (["data.prepare", "panel.parquet", "--holdout", "3"], "--holdout"),
        (["data.prepare", "panel.parquet", "--config", "settings.yaml"], "--data-config"),
        (["data.inspect", "panel.parquet", "--config", "settings.yaml"], "--data-config"),
    ],
)
def test_wrong_usage_is_refused_with_the_argument(tmp_path: Path, arguments: list[str], part: str) -> None:
    done = run(tmp_path, *arguments)
    assert done.returncode == 2
    assert part in done.stderr
    assert "Traceback" not in done.stderr
