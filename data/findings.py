"""What an inspection finds: errors, which refuse a panel, and doubts, which warn."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from data.errors import DataError

SHOWN = 5  # errors that one message carries


@dataclass(frozen=True)
class Finding:
    """One law that the panel breaks, or seems to."""

    severity: Literal["error", "doubt"]
    check: str  # short name of the law, such as "duplicate keys"
    column: str
    count: int
    unit: str  # what is counted: "row", "day", "stock"
    example: str  # "first: " date, code and value, or what was measured
    law: str  # what must hold
    way_out: str

    @property
    def sentence(self) -> str:
        """The law, the offence and the way out."""
        return f"{self.law}. {self.column}: {self.offence}. {self.way_out}"

    @property
    def offence(self) -> str:
        """How many, and an example."""
        return counted(self.count, self.unit) + (f" ({self.example})" if self.example else "")

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def error(check: str, column: str, count: int, unit: str, example: str, law: str, way_out: str) -> Finding:
    return Finding("error", check, column, int(count), unit, example, law, way_out)


def doubt(check: str, column: str, count: int, unit: str, example: str, law: str, way_out: str) -> Finding:
    return Finding("doubt", check, column, int(count), unit, example, law, way_out)


def counted(number: int, unit: str) -> str:
    """`1 row`, `2,000 rows`."""
    return f"{number:,} {unit}{'' if number == 1 else 's'}"


def some(names: Sequence[str], most: int = 5) -> str:
    """`a, b, c ..`: the first names, and a sign that there are more."""
    return ", ".join(names[:most]) + (" .." if len(names) > most else "")


def refuse_errors(findings: Iterable[Finding], panel: object) -> None:
    """Raises DataError with the first errors, if there are any."""
    errors = [finding for finding in findings if finding.severity == "error"]
    if not errors:
        return
    lines = [finding.sentence for finding in errors[:SHOWN]]
    if len(errors) > SHOWN:
        lines.append(f"{len(errors) - SHOWN} more: python -m data.inspect {panel} shows all of them.")
    raise DataError("\n".join(lines))
