"""The report's command, and the page in a real browser at a desktop's and a phone's width."""

from __future__ import annotations

import html
import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from optuna.storages import RDBStorage
from typer.testing import CliRunner

import reports.ablation
from reports.ablation import NOT_DRAWN, app, write_report
from reports.as_json import as_json
from reports.evidence import Evidence, read_evidence
from reports.section import Section
from reports.sections import SECTIONS
from storage.study import StudyStore

runner = CliRunner()
# Appended to a copy of the page: writes what a person would see into the document, for --dump-dom to show.
PROBE = """
<script>
const errors = [];
addEventListener('error', event => errors.push(event.message));
addEventListener('load', () => setTimeout(() => {
  const plots = [...document.querySelectorAll('.js-plotly-plot')];
  const seen = {
    plots: plots.length,
    drawn: plots.filter(p => p.querySelector('.main-svg') && p.getBoundingClientRect().width > 100).length,
    overflow: document.body.scrollWidth - document.body.clientWidth,
    broken: [...document.querySelectorAll('nav a')].filter(a => !document.querySelector(a.getAttribute('href'))).length,
    errors: errors.length };
  const out = document.createElement('pre'); out.id = 'seen'; out.textContent = JSON.stringify(seen);
  document.body.append(out); }, 500));
</script>
"""


def test_the_command_writes_the_page(tmp_path: Path, storage: RDBStorage, search: StudyStore) -> None:
    out = tmp_path / "page.html"
    result = runner.invoke(app, ["demo", "--storage", f"sqlite:///{tmp_path}/sweeps.db", "--out", str(out)])
    assert result.exit_code == 0, result.output
    assert str(out) in result.output
    assert out.read_text().startswith("<!DOCTYPE html>")


def test_the_command_writes_the_numbers(
    tmp_path: Path, storage: RDBStorage, search: StudyStore, confirm: StudyStore
) -> None:
    numbers, page = tmp_path / "new" / "numbers.json", tmp_path / "page.html"
    arguments = ["demo", "--storage", f"sqlite:///{tmp_path}/sweeps.db", "--json"]
    alone = runner.invoke(app, [*arguments, str(numbers), "--runs", str(tmp_path / "runs")])
    assert (alone.exit_code, alone.output) == (0, f"{numbers}\n")
    assert json.loads(numbers.read_text()) == as_json(read_evidence(storage, "demo"))
    assert not (tmp_path / "runs").exists()
    both = runner.invoke(app, [*arguments, "-", "--out", str(page)])
    assert both.exit_code == 0
    assert json.loads(both.stdout) == json.loads(numbers.read_text())
    assert both.stderr == f"{page}\n"
    assert page.read_text().startswith("<!DOCTYPE html>")


@pytest.mark.parametrize(
    "arguments", [["dmeo"], ["dmeo", "--json", "-"], ["demo", "--storage", "sqlite:///nowhere/none.db"]]
)
def test_a_wrong_study_or_store_is_refused(
    arguments: list[str], tmp_path: Path, storage: RDBStorage, search: StudyStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "runs").mkdir()
    shutil.copy(tmp_path / "sweeps.db", tmp_path / "runs")
    monkeypatch.chdir(tmp_path)
    result = runner.invoke(app, arguments)
    assert result.exit_code == 2
    assert "error:" in result.output
    assert not (tmp_path / "nowhere").exists()


def test_a_section_that_fails_says_so_and_the_others_are_there(
    tmp_path: Path,
    storage: RDBStorage,
    search: StudyStore,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def build(evidence: Evidence) -> Section:
        raise KeyError("points")

    write_report(storage, "demo", tmp_path / "whole.html")
    assert NOT_DRAWN not in (tmp_path / "whole.html").read_text()
    monkeypatch.setattr(reports.ablation, "SECTIONS", (*SECTIONS[:1], build, *SECTIONS[1:]))
    write_report(storage, "demo", tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text()
    assert f"This part {NOT_DRAWN}: KeyError:" in page
    assert "Best search trial" in page
    assert "could not be drawn" in caplog.text


@pytest.mark.parametrize("width", [1280, 375])
def test_a_browser_draws_every_figure_without_an_error(
    width: int, tmp_path: Path, storage: RDBStorage, search: StudyStore, confirm: StudyStore
) -> None:
    browser = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if browser is None:
        pytest.skip("no Chromium on this machine; .ci/run installs one")
    page = tmp_path / "report.html"
    write_report(storage, "demo", page)
    narrow = f"<style>html {{ width: {width}px }}</style>"  # headless windows are never narrower than 500
    text = page.read_text()
    page.write_text(text.replace("<head>", f"<head>{PROBE}{narrow}", 1))
    flags = "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking"
    arguments = [*flags.split(), "--disable-component-update", "--disable-sync", "--virtual-time-budget=8000"]
    profile = f"--user-data-dir={tmp_path / 'profile'}"
    dumped = subprocess.run(
        [browser, *arguments, profile, "--window-size=1280,900", "--dump-dom", page.as_uri()],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    found = re.search(r'<pre id="seen">(.*?)</pre>', dumped.stdout)
    assert found, dumped.stderr[-2000:]
    figures = text.count('<figure role="img"')
    assert figures >= 4
    seen = json.loads(html.unescape(found[1]))
    assert seen == {"plots": figures, "drawn": figures, "overflow": 0, "broken": 0, "errors": 0}
