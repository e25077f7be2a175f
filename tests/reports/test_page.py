"""The page as a person uses it, in a real browser: sorting by mouse and keyboard, skipping, printing; and its size."""

from __future__ import annotations

import json
import os
import re
import select
import shutil
import subprocess
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

import plotly.graph_objects as go
import pytest
from optuna.storages import RDBStorage

from reports.evidence import read_evidence
from reports.monitoring.checks import check
from reports.monitoring.page import monitor_page
from reports.monitoring.thresholds import Thresholds
from reports.page import LIMIT, render
from reports.section import Section, figure, paragraph, table
from reports.sections import SECTIONS
from storage.study import StudyStore
from tests.reports.monitoring.test_checks import USUAL

FLAGS = (
    "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync --window-size=1280,900 --remote-debugging-pipe"
)
STRICT = (
    '<meta http-equiv="Content-Security-Policy" '
    "content=\"default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data:\">"
    "<script>window.wrong = []; addEventListener('error', event => wrong.push(event.message));"
    "addEventListener('securitypolicyviolation', event => wrong.push(event.violatedDirective));</script>"
)
KEYS = {"Tab": ("Tab", 9, ""), "Enter": ("Enter", 13, "\r"), " ": ("Space", 32, " ")}
ROWS = [
    ("no_gat", "+0.0123 (-0.01 .. +0.03)", "12 s", "1,200", "< 0.001", "2020-02-01"),
    ("Zeta", "-0.5", "9.5 s", "950", "0.001", "2020-01-15"),
    ("arm 10", None, "100 s", "3", "0.7", ""),
    ("arm 9", "3e-05 *", "-", "20%", "", "2019-12-31"),
    ("émile", "+1", "7 s", "–", "0.05", "2020-01-02"),
]
HEADINGS = ("name", "effect", "time", "count", "p", "day")
SORTED = {  # heading -> names from the top, upwards; what is last both ways
    "name": (["arm 9", "arm 10", "émile", "no_gat", "Zeta"], []),
    "effect": (["Zeta", "arm 9", "no_gat", "émile"], ["arm 10"]),
    "time": (["émile", "Zeta", "no_gat", "arm 10"], ["arm 9"]),
    "count": (["arm 10", "arm 9", "Zeta", "no_gat"], ["émile"]),
    "p": (["no_gat", "Zeta", "émile", "arm 10"], ["arm 9"]),
    "day": (["arm 9", "émile", "Zeta", "no_gat"], ["arm 10"]),
}


class Browser:
    """Headless Chromium, driven through its own debugging pipe: keys and clicks are those of a person."""

    def __init__(self, binary: str, profile: Path) -> None:
        from_us, to_us = os.pipe(), os.pipe()
        command = [binary, *FLAGS.split(), f"--user-data-dir={profile}", "about:blank"]
        self._process = subprocess.Popen(  # Chromium reads commands on descriptor 3 and answers on 4
            ["bash", "-c", f'exec "$@" 3<&{from_us[0]} 4>&{to_us[1]}', "-", *command],
            pass_fds=(from_us[0], to_us[1]),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(from_us[0])
        os.close(to_us[1])
        self._write, self._read = from_us[1], to_us[0]
        self._number, self._waiting, self._session = 0, b"", {}
        target = next(t for t in self.ask("Target.getTargets")["targetInfos"] if t["type"] == "page")["targetId"]
        attached = self.ask("Target.attachToTarget", targetId=target, flatten=True)
        self._session = {"sessionId": attached["sessionId"]}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self.ask("Browser.close")
        finally:  # without its pipe it ends as well
            os.close(self._write)
            os.close(self._read)
            self._process.wait(60)

    def ask(self, method: str, **params: object) -> dict[str, Any]:
        """Sends one command and returns its answer; events in between are left aside."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": params, **self._session}
        os.write(self._write, json.dumps(message).encode() + b"\0")
        while True:
            answer = json.loads(self._next_message())
            if answer.get("id") == self._number:
                assert "error" not in answer, answer
                result: dict[str, Any] = answer["result"]
                return result

    def _next_message(self) -> bytes:
        while b"\0" not in self._waiting:
            ready, _, _ = select.select([self._read], [], [], 90)
            assert ready, "Chromium does not answer"
            chunk = os.read(self._read, 1 << 16)
            assert chunk, "Chromium is gone"
            self._waiting += chunk
        message, _, self._waiting = self._waiting.partition(b"\0")
        return message

    def open(self, page: Path) -> None:
        """Loads the page and waits for its last script."""
        self.ask("Page.navigate", url=page.as_uri())
        for _ in range(600):
            if self.run(f"location.href === '{page.as_uri()}' && document.readyState === 'complete'"):
                return
            time.sleep(0.1)
        raise AssertionError("the page does not load")

    def run(self, expression: str) -> Any:
        """The value of an expression in the page."""
        answer = self.ask("Runtime.evaluate", expression=expression, returnByValue=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def press(self, key: str) -> None:
        """One key, down and up."""
        code, number, text = KEYS[key]
        about = {"key": key, "code": code, "windowsVirtualKeyCode": number}
        self.ask("Input.dispatchKeyEvent", type="keyDown", text=text, **about)
        self.ask("Input.dispatchKeyEvent", type="keyUp", **about)

    def click(self, selector: str) -> None:
        """The mouse, on the middle of an element."""
        place = f"document.querySelector({json.dumps(selector)})"
        self.run(f"{place}.scrollIntoView({{block: 'center'}})")
        x, y = self.run(f"(r => [r.x + r.width / 2, r.y + r.height / 2])({place}.getBoundingClientRect())")
        for kind in ("mousePressed", "mouseReleased"):
            self.ask("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    def names(self, anchor: str = "demo") -> list[str]:
        """First cells of a section's table, from the top."""
        found: list[str] = self.run(
            f"[...document.querySelector('#{anchor} tbody').rows].map(row => row.cells[0].textContent)"
        )
        return found

    def orders(self, anchor: str = "demo") -> list[str]:
        """What the headings of a section's table say of its order."""
        found: list[str] = self.run(f"[...document.querySelectorAll('#{anchor} th')].map(th => th.ariaSort)")
        return found

    def focused(self) -> str:
        """Text of the element that has the focus."""
        return str(self.run("document.activeElement.textContent"))


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    binary = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if binary is None:
        pytest.skip("no Chromium on this machine; .ci/run installs one")
    with Browser(binary, tmp_path_factory.mktemp("browser") / "profile") as started:
        yield started


@pytest.fixture
def demo(tmp_path: Path) -> Path:
    """A page with one sortable table, one of a single row, a figure and a table behind a summary."""
    hidden = f"<details><summary>More</summary>{table(('a', 'b'), [(1, 2), (3, 4)])}</details>"
    pieces = (table(HEADINGS, ROWS), hidden, figure(go.Figure(go.Bar(x=[1], y=[2])), 200, 'a <bar> "of" two'))
    single = Section("single", "Single", "One row.", (table(("a", "b"), [(1, 2)]),))
    page = tmp_path / "page.html"
    page.write_text(
        render("Demo", [Section("demo", "Demo", "Lead.", pieces), single]).replace("<head>", "<head>" + STRICT)
    )
    return page


@pytest.mark.parametrize("column", range(len(HEADINGS)), ids=HEADINGS)
def test_a_heading_sorts_both_ways_and_back(browser: Browser, demo: Path, column: int) -> None:
    browser.open(demo)
    before = [row[0] for row in ROWS]
    filled, empty = SORTED[HEADINGS[column]]
    for order, expected in (
        ("ascending", [*filled, *empty]),
        ("descending", [*reversed(filled), *empty]),
        ("none", before),
    ):
        browser.click(f"#demo th:nth-child({column + 1}) button")
        assert browser.names() == expected
        assert browser.orders()[column] == order
    assert browser.run("wrong") == []


def test_another_heading_takes_over(browser: Browser, demo: Path) -> None:
    browser.open(demo)
    browser.click("#demo th:nth-child(2) button")
    browser.click("#demo th:nth-child(1) button")
    assert browser.orders()[:6] == ["ascending", *["none"] * 5]
    assert browser.names() == SORTED["name"][0]


def test_all_is_reached_and_used_by_keyboard(browser: Browser, demo: Path) -> None:
    browser.open(demo)
    reached = []
    for _ in range(12):
        browser.press("Tab")
        reached.append(browser.focused())
        if reached[-1] == "effect":
            break
    assert reached == ["Skip to content", "Demo", "Single", "name", "effect"]
    outline = browser.run("(s => [s.outlineStyle, s.outlineWidth])(getComputedStyle(document.activeElement))")
    assert outline == ["solid", "2px"]
    browser.press("Enter")
    assert browser.names() == ["Zeta", "arm 9", "no_gat", "émile", "arm 10"]
    browser.press(" ")
    assert browser.names() == ["émile", "no_gat", "arm 9", "Zeta", "arm 10"]
    assert browser.focused() == "effect"
    for _ in range(5):
        browser.press("Tab")
    assert browser.focused() == "More"
    browser.press(" ")
    assert browser.run("document.querySelector('details').open") is True


def test_the_first_key_skips_to_the_content(browser: Browser, demo: Path) -> None:
    browser.open(demo)
    shown = "document.querySelector('.skip').getBoundingClientRect().width > 50"
    assert browser.run(shown) is False
    browser.press("Tab")
    assert browser.run(shown) is True
    browser.press("Enter")
    browser.press("Tab")
    assert browser.focused() == "name"


def test_a_figure_is_described_and_a_single_row_is_not_sorted(browser: Browser, demo: Path) -> None:
    browser.open(demo)
    assert browser.run("document.querySelector('[role=img]').ariaLabel") == 'a <bar> "of" two'
    assert browser.run("document.querySelectorAll('#single th').length") == 2
    assert browser.run("document.querySelectorAll('#single button').length") == 0


def test_on_paper_headings_are_text(browser: Browser, demo: Path) -> None:
    browser.open(demo)
    mark = "getComputedStyle(document.querySelector('th button'), '::after').content"
    browser.click("#demo th:nth-child(1) button")
    assert "▲" in browser.run(mark)
    browser.ask("Emulation.setEmulatedMedia", media="print")
    try:
        assert browser.run(mark) == "none"
        assert browser.run("getComputedStyle(document.querySelector('nav')).display") == "none"
        for name in ("fontWeight", "color", "fontSize"):
            of = f"getComputedStyle(document.querySelector('{{}}')).{name}"
            assert browser.run(of.format("th button")) == browser.run(of.format("th"))
        box = "(s => [s.borderTopWidth, s.paddingLeft, s.backgroundColor])"
        assert browser.run(f"{box}(getComputedStyle(document.querySelector('th button')))") == [
            "0px",
            "0px",
            "rgba(0, 0, 0, 0)",
        ]
    finally:
        browser.ask("Emulation.setEmulatedMedia", media="")


def test_the_trials_of_a_report_are_sorted(
    browser: Browser, tmp_path: Path, storage: RDBStorage, search: StudyStore, confirm: StudyStore
) -> None:
    evidence = read_evidence(storage, "demo")
    page = tmp_path / "report.html"
    page.write_text(render("demo", [build(evidence) for build in SECTIONS]).replace("<head>", "<head>" + STRICT))
    browser.open(page)
    assert browser.names("trials")[:4] == ["1", "3", "2", "0"]
    browser.click("#trials th:nth-child(1) button")
    assert browser.names("trials") == ["0", "1", "2", "3", "4", "5", "6"]
    assert browser.run("wrong") == []
    several = "[...document.querySelectorAll('table')].filter(t => t.tBodies[0].rows.length > 1)"
    assert browser.run(f"{several}.length") > 4
    assert browser.run(f"{several}.every(t => [...t.tHead.rows[0].cells].every(th => th.querySelector('button')))")


def test_the_monitors_page_draws_all_its_figures(browser: Browser, tmp_path: Path) -> None:
    observed = replace(USUAL, scores=USUAL.features)
    page = tmp_path / "monitor.html"
    text = monitor_page(observed, check(observed, Thresholds()), Thresholds())
    page.write_text(text.replace("<head>", "<head>" + STRICT))
    browser.open(page)
    assert browser.run("wrong") == []
    assert browser.run("document.querySelectorAll('.js-plotly-plot .main-svg').length") >= 3
    assert browser.names("summary")[:2] == ["features", "scores"]
    browser.click("#summary th:nth-child(2) button")
    assert browser.orders("summary") == ["none", "ascending", "none"]
    width = "document.documentElement.scrollWidth <= innerWidth"
    browser.ask("Emulation.setDeviceMetricsOverride", width=375, height=800, deviceScaleFactor=1, mobile=True)
    try:
        browser.open(page)
        assert browser.run(width), "nothing sticks out on a phone"
    finally:
        browser.ask("Emulation.clearDeviceMetricsOverride")


def many(storage: RDBStorage, trials: int, epochs: int) -> list[Section]:
    """Sections of a search of so many trials, each a copy of one in the store."""
    evidence = read_evidence(storage, "demo")
    assert evidence.search is not None
    known = [record for record in evidence.search.records if record.curve]
    curves = [
        tuple(
            known[n % len(known)].curve[-1] | {"epoch": epoch + 1, "value": (n + 1) / (epoch + 3.7)}
            for epoch in range(epochs)
        )
        for n in range(trials)
    ]
    records = [replace(known[n % len(known)], number=n, curve=curve) for n, curve in enumerate(curves)]
    evidence = replace(evidence, search=replace(evidence.search, records=records))
    return [build(evidence) for build in SECTIONS]


def test_a_report_of_many_trials_is_whole_and_small(
    storage: RDBStorage, search: StudyStore, confirm: StudyStore
) -> None:
    page = render("demo", many(storage, 2000, 20))
    assert len(page.encode()) <= LIMIT <= 8_000_000
    assert page.count("epoch %{x}: %{y") == 2000
    assert "<p>Left out: " not in page


def test_what_would_make_it_too_large_is_left_out_and_said(
    storage: RDBStorage, search: StudyStore, confirm: StudyStore
) -> None:
    page = render("demo", many(storage, 600, 200))
    assert len(page.encode()) <= LIMIT
    (told,) = re.findall(r"<p>(Left out: .*?)</p>", page)
    assert told.startswith("Left out: ")
    assert "epoch %{x}: %{y" not in page
    assert '<td class="number">599</td>' in page


def test_the_largest_pieces_make_room() -> None:
    sizes = [LIMIT, 10, LIMIT // 2]
    pieces = tuple(paragraph(letter * size) for letter, size in zip("xyz", sizes, strict=True))
    page = render("demo", [Section("demo", "Demo", "Lead.", pieces)])
    assert len(page.encode()) <= LIMIT
    assert page.count("<p>Left out: ") == 2
    assert "<p>yyyyyyyyyy</p>" in page
