"""What a portfolio is made and paid by: the rules of its orders, and the market that they meet.

Shape legend: D days, N stocks.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

from reports.inference.long_run import Array

Flags = NDArray[np.bool_]
Codes = NDArray[np.integer]
Scalar = TypeVar("Scalar", bound=np.generic)
Side = Literal["long_short", "long_only"]
SIDES: tuple[Side, ...] = ("long_short", "long_only")


@dataclass(frozen=True)
class Rules:
    """How scores become orders, and what orders cost.

    Raises:
        ValueError: a field is out of its range, or trading is free.
    """

    delay: int = 1  # days between the close at which a score is known and the close at which its orders are filled
    holding: int = 5  # days for which one day's portfolio is held
    share: float = 0.1  # of the ranked stocks, in the long leg; of the shortable ones, in the short leg
    side: Side = "long_short"
    cost_bps: float = 10.0  # one way, of what is traded in a section that section_bps leaves out; 0 if none may be
    section_bps: Mapping[int, float] | None = None  # one way, by the code of the listing section
    borrow_fee: float = 0.0  # annual, of the short weight, where the market names no fee
    capital: float | None = None  # at the start, in the unit of prices; None: fractions of a share can be traded
    lot: int | None = None  # shares, of every stock of which the market gives none

    def __post_init__(self) -> None:
        costs, lot = dict(self.section_bps or {}), self.lot
        require(self.delay >= 0, f"delay must be at least 0 days, got {self.delay}: 0 fills at the score's own close")
        require(self.holding >= 1, f"holding must be at least 1 day, got {self.holding}: give the score's horizon")
        require(0 < self.share <= 0.5, f"share must be in (0, 0.5], got {self.share}: 0.1 holds the best tenth")
        require(self.side in SIDES, f"side must be one of {SIDES}, got {self.side!r}: choose one of them")
        require(
            _is_positive(self.cost_bps) or (bool(costs) and self.cost_bps == 0),
            f"cost_bps must be above 0 and finite, got {self.cost_bps}, since trading is never free: give the one-way "
            "cost in basis points, or section_bps",
        )
        require(
            all(_is_positive(cost) for cost in costs.values()),
            f"costs of sections must be above 0 and finite, got {costs}: give one-way costs in basis points",
        )
        require(
            math.isfinite(self.borrow_fee) and self.borrow_fee >= 0,
            f"borrow_fee must be at least 0 and finite, got {self.borrow_fee}: 0.01 is one per cent a year",
        )
        require(
            self.capital is None or _is_positive(self.capital),
            f"capital must be above 0 and finite, got {self.capital}: leave it None to trade fractions of a share",
        )
        require(
            lot is None or (lot >= 1 and self.capital is not None),
            f"a lot must be at least 1 share and needs a capital, got {lot} and {self.capital}: give both or neither",
        )


@dataclass(frozen=True, eq=False)
class Market:
    """The panel that orders meet, days in calendar order.

    Raises:
        ValueError: the shapes differ, a flag is no bool, a code no integer, or a number has no meaning.
    """

    returns_DN: Array  # close(d) / close(d - 1) - 1; NaN where the stock has no row
    tradable_DN: Flags  # whether an order for the close of the day is filled: False at a price limit or when suspended
    section_DN: Codes | None = None  # code of the listing section
    shortable_DN: Flags | None = None  # as known when the score is; None: every stock can be shorted
    borrow_DN: Array | None = None  # annual fee, a fraction; NaN: that of the rules
    price_DN: Array | None = None  # close as it was quoted, not adjusted; for lots alone
    lot_N: Codes | None = None  # shares; None: that of the rules

    def __post_init__(self) -> None:
        shape, kinds = self.returns_DN.shape, {"tradable": "b", "shortable": "b", "section": "iu"}
        require(
            len(shape) == 2 and min(shape) > 0, f"returns_DN must be days by stocks, got the shape {shape}: add axes"
        )
        for name in ("tradable", "section", "shortable", "borrow", "price"):
            array = getattr(self, f"{name}_DN")
            if array is not None:
                require_alike(f"{name}_DN", array, shape, kinds.get(name, "f"))
        num_wrong = int((np.isinf(self.returns_DN) | (self.returns_DN < -1)).sum())
        require(
            not num_wrong,
            f"a return must be at least -1 and finite, or NaN, got {num_wrong} that are not: correct their prices",
        )
        if self.borrow_DN is not None:
            fees_DN = self.borrow_DN[~np.isnan(self.borrow_DN)]
            require(
                bool((np.isfinite(fees_DN) & (fees_DN >= 0)).all()),
                "a borrow fee must be at least 0 and finite, or NaN, got one that is not: NaN takes the rules' fee",
            )
        if self.lot_N is not None:
            require_alike("lot_N", self.lot_N, shape[1:], "iu")
            require(
                bool((self.lot_N >= 1).all()), f"a lot must be at least 1 share, got {self.lot_N.min()}: give shares"
            )


def require_alike(name: str, array: NDArray[np.generic], shape: tuple[int, ...], kinds: str) -> None:
    words = {"f": "float", "b": "bool", "iu": "integer", "fiu": "number"}
    require(array.shape == shape, f"{name} must have the shape {shape}, got {array.shape}: align days and stocks")
    require(array.dtype.kind in kinds, f"{name} must be of {words[kinds]}s, got {array.dtype}: convert it")


def given(array: NDArray[Scalar] | None, law: str) -> NDArray[Scalar]:
    if array is None:
        raise ValueError(f"{law}.")
    return array


def _is_positive(number: float) -> bool:
    return math.isfinite(number) and number > 0


def require(holds: bool, law: str) -> None:
    if not holds:
        raise ValueError(f"{law}.")
