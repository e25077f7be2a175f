"""What an inspection finds: errors, which refuse a panel, and doubts, which warn."""

from __future__ import annotations

from collections.abc import Iterable
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
    count: int  # rows, days, stocks or columns, as `law` says
    example: str  # the first offence: date, code and value
    law: str  # what must hold
    way_out: str

    @property
    def sentence(self) -> str:
        """The law, the offence and the way out."""
        first = f"; first: {self.example}" if self.example else ""
        return f"{self.law}, but {self.column} has {self.count:,}{first}. {self.way_out}"

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def error(check: str, column: str, count: int, example: str, law: str, way_out: str) -> Finding:
    return Finding("error", check, column, int(count), example, law, way_out)


def doubt(check: str, column: str, count: int, example: str, law: str, way_out: str) -> Finding:
    return Finding("doubt", check, column, int(count), example, law, way_out)


def refuse_errors(findings: Iterable[Finding], panel: object) -> None:
    """Raises DataError with the first errors, if there are any."""
    errors = [finding for finding in findings if finding.severity == "error"]
    if not errors:
        return
    lines = [finding.sentence for finding in errors[:SHOWN]]
    if len(errors) > SHOWN:
        lines.append(f"{len(errors) - SHOWN} more: python -m data.inspect {panel} shows all of them.")
    raise DataError("\n".join(lines))
