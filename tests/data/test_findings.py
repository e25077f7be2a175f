"""Findings: a sentence that says law, offence and way out, and errors that refuse."""

from __future__ import annotations

import pytest

from data.errors import DataError
from data.findings import SHOWN, counted, doubt, error, refuse_errors

LAW, WAY_OUT = "keys must be unique", "Remove the duplicates."


def test_a_sentence_says_law_column_count_example_and_way_out() -> None:
    finding = error("duplicate keys", "Date, Code", 12345, "row", "first: 2020-01-31 7203", LAW, WAY_OUT)
    expected = "keys must be unique. Date, Code: 12,345 rows (first: 2020-01-31 7203). Remove the duplicates."
    assert finding.sentence == expected
    assert finding.offence == "12,345 rows (first: 2020-01-31 7203)"


def test_a_sentence_without_an_example_names_none() -> None:
    finding = doubt("no sector", "(columns)", 0, "sector", "", LAW, WAY_OUT)
    assert finding.sentence == "keys must be unique. (columns): 0 sectors. Remove the duplicates."


@pytest.mark.parametrize(
    ("number", "unit", "said"), [(0, "row", "0 rows"), (1, "row", "1 row"), (2000, "null row", "2,000 null rows")]
)
def test_one_is_counted_in_the_singular_and_thousands_are_set_off(number: int, unit: str, said: str) -> None:
    assert counted(number, unit) == said


def test_a_finding_becomes_plain_values() -> None:
    assert doubt("stale prices", "close", True, "stock", "x", LAW, WAY_OUT).to_dict() == {
        "severity": "doubt",
        "check": "stale prices",
        "column": "close",
        "count": 1,
        "unit": "stock",
        "example": "x",
        "law": LAW,
        "way_out": WAY_OUT,
    }


def test_doubts_do_not_refuse() -> None:
    refuse_errors([doubt("large return", "close", 1, "row", "", LAW, WAY_OUT)], "panel.parquet")


def test_errors_refuse_with_their_sentences_and_leave_doubts_out() -> None:
    findings = [error("a", "x", 1, "row", "", LAW, WAY_OUT), doubt("b", "y", 2, "row", "", LAW, WAY_OUT)]
    with pytest.raises(DataError) as caught:
        refuse_errors(findings, "panel.parquet")
    assert str(caught.value) == findings[0].sentence


@pytest.mark.parametrize("more", [0, 1, 7])
def test_a_refusal_shows_the_first_errors_and_says_how_to_see_the_rest(more: int) -> None:
    findings = [error("a", f"column {number}", 1, "row", "", LAW, WAY_OUT) for number in range(SHOWN + more)]
    with pytest.raises(DataError) as caught:
        refuse_errors(findings, "panel.parquet")
    lines = str(caught.value).splitlines()
    assert lines[:SHOWN] == [finding.sentence for finding in findings[:SHOWN]]
    assert lines[SHOWN:] == [f"{more} more: python -m data.inspect panel.parquet shows all of them."][: bool(more)]
