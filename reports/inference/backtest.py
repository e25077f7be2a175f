"""What ranked scores would have earned: overlapping daily portfolios, after the costs of trading and of borrowing.

Shape legend: D days of the panel, T days of them from the first at whose close anything is held, N stocks.

Each day one part in `holding` of the capital goes into that day's ranking, as in Jegadeesh, Titman 1993, "Returns to
Buying Winners and Selling Losers", Journal of Finance 48(1), and the whole is brought back to its target every day. A
weight is a fraction of the capital's value at the close; what is traded at the close of day d earns from day d + 1 on.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from reports.inference.long_run import Array
from reports.inference.portfolio import Codes, Flags, Market, Rules, given, require, require_alike

DAYS_A_YEAR = 252
BASIS_POINT = 1e-4
FEWEST_NAMES = 2  # of a leg: a day with fewer opens no portfolio
ROUNDING = 1e-9  # 0.29 * 100 is 28.999999999999996, and is to count as 29
STEADY = 1e-12  # per day: a smaller standard deviation is that of a constant, as floats have it


@dataclass(frozen=True, eq=False)
class Backtest:
    """The days of a backtest, and what they come to; returns, costs and turnover are fractions of the capital."""

    rules: Rules
    days_T: NDArray[np.intp]  # positions in the panel; the first has orders and their cost, and no return yet
    gross_T: Array  # earned by the weights of the close before, costs not taken off
    cost_T: Array  # of the orders filled at this close
    borrow_T: Array  # of the short weights of the close before
    turnover_T: Array  # sum of |traded|: a purchase and a sale count once each
    universe_T: Array  # mean return of the stocks that have one
    weights_TN: Array  # held after the close
    unfilled_share: float  # of the wanted trades, by weight: not tradable
    num_unfilled_days: int  # on which any wanted trade was not filled
    uninvested: float | None  # mean weight, long plus short, that lots leave out; None where there are none
    borrow_assumed: float  # share of the short weight whose fee is the rules' and not the market's

    @property
    def net_T(self) -> Array:
        return self.gross_T - self.cost_T - self.borrow_T

    @property
    def excess_T(self) -> Array:
        """Long only: net less the equal-weighted universe; long and short: net."""
        return self.net_T - self.universe_T if self.rules.side == "long_only" else self.net_T

    @property
    def max_drawdown(self) -> float:
        """Largest fall of compounded net value from a height before it, as a fraction of that height."""
        value = np.cumprod(np.concatenate([[1.0], 1 + self.net_T]))
        return float((1 - value / np.maximum.accumulate(value)).max())

    @property
    def annual_return(self) -> float:
        """Net, compounded, of 252 days."""
        return math.expm1(float(np.log1p(self.net_T).mean()) * DAYS_A_YEAR)

    @property
    def annual_volatility(self) -> float | None:
        """Of net; None for a single day."""
        return float(self.net_T.std(ddof=1)) * math.sqrt(DAYS_A_YEAR) if len(self.net_T) > 1 else None

    @property
    def sharpe(self) -> float | None:
        """Annual, of net over nothing; None where net does not vary."""
        volatility = self.annual_volatility
        if volatility is None or volatility < STEADY * math.sqrt(DAYS_A_YEAR):
            return None
        return float(self.net_T.mean()) * DAYS_A_YEAR / volatility

    @property
    def break_even_bps(self) -> float | None:
        """The one-way cost, the same for all, at which these trades have a mean net of 0; None where none is made.

        Below 0 where they lose before it.
        """
        turnover = float(self.turnover_T.mean())
        return float((self.gross_T - self.borrow_T).mean()) / turnover / BASIS_POINT if turnover else None

    @property
    def num_long(self) -> float:
        """Names, on the mean day."""
        return float((self.weights_TN > 0).sum(axis=1).mean())

    @property
    def num_short(self) -> float:
        """Names, on the mean day."""
        return float((self.weights_TN < 0).sum(axis=1).mean())


def backtest(score_DN: Array, market: Market, rules: Rules) -> Backtest:
    """Trades every day towards the mean of the last `holding` days' portfolios.

    A day's portfolio has equal weights in the best `share` of the ranked stocks (1 in all), and in a long-short one the
    same below zero in the worst `share` of those that can be shorted; stocks that tie at a leg's edge have equal parts
    of what is left of it. With fewer than two names in a leg its part of the capital stays in cash. A stock that one
    day's portfolio holds long and another's short is held at the difference.

    Weights drift with returns until the close. What cannot be traded then keeps its drifted weight, and its order is
    lost: the next day has its own. No return counts as 0. A stock that has none any more is sold at its last close,
    which is booked on the day after, at its usual cost. What is held at the end of the panel stays open.

    With a capital, an order is cut down to whole lots at the day's price, of what the capital has become after costs;
    one that closes a position is filled whole.

    Args:
        score_DN: [D, N], known at the close of the day, the higher the better; NaN where the stock is not ranked.
        market: [D, N], what can be traded and what it returns.
        rules: of the portfolio and its costs.

    Raises:
        ValueError: shapes differ, or an input that the rules ask for is missing; no day has two names in each leg; a
            day loses the whole capital.
    """
    _require_inputs(score_DN, market, rules)
    ledger = _walk(_targets(score_DN, market, rules), market, rules)
    held_D = (ledger.weights_DN != 0).any(axis=1)
    first = int(held_D.argmax()) if held_D.any() else rules.delay
    wanted, short = float(ledger.wanted_D.sum()), float(ledger.short_D.sum())
    return Backtest(
        rules=rules,
        days_T=np.arange(first, len(held_D)),
        gross_T=ledger.gross_D[first:],
        cost_T=ledger.cost_D[first:],
        borrow_T=ledger.borrow_D[first:],
        turnover_T=ledger.turnover_D[first:],
        universe_T=_universe(market.returns_DN[first:]),
        weights_TN=ledger.weights_DN[first:],
        unfilled_share=float(ledger.unfilled_D.sum()) / wanted if wanted else 0.0,
        num_unfilled_days=int((ledger.unfilled_D > ROUNDING).sum()),
        uninvested=None if rules.capital is None else float(ledger.left_out_D[first:].mean()),
        borrow_assumed=float(ledger.assumed_D.sum()) / short if short else 0.0,
    )


def exposures(weights_TN: Array, factors: Mapping[str, Array]) -> dict[str, float]:
    """Mean over days of sum_n w_n z_n, z the factor less its mean over its standard deviation on the day.

    Args:
        weights_TN: [T, N].
        factors: [T, N] each, on the same days; NaN where unknown, which adds nothing. A day of which none is known is
            left out, one on which all are equal counts as 0.

    Raises:
        ValueError: a shape differs, or a factor is known on no day.
    """
    found = {}
    for name, factor_TN in factors.items():
        require_alike(f"factor {name!r}", factor_TN, weights_TN.shape, "fiu")
        is_known_T = np.isfinite(factor_TN).any(axis=1)
        require(bool(is_known_T.any()), f"factor {name!r} must be known on some day, got none: leave it out")
        found[name] = float((weights_TN * _z_scores(factor_TN)).sum(axis=1)[is_known_T].mean())
    return found


def sector_exposures(weights_TN: Array, sector_TN: Codes) -> dict[int, float]:
    """Mean over days of the net weight of each sector, by its code.

    Args:
        weights_TN: [T, N].
        sector_TN: [T, N], codes on the same days.

    Raises:
        ValueError: the shape differs, or the codes are no integers.
    """
    require_alike("sector_TN", sector_TN, weights_TN.shape, "iu")
    codes, places = np.unique(sector_TN, return_inverse=True)
    sums = np.bincount(places.ravel(), weights=weights_TN.ravel())
    return {int(code): float(total) / len(weights_TN) for code, total in zip(codes, sums, strict=True)}


def _z_scores(factor_TN: Array) -> Array:
    """[T, N]: over the stocks that have the factor on the day; 0 for the others, and where all are equal."""
    is_known_TN = np.isfinite(factor_TN)
    number_T1 = np.maximum(is_known_TN.sum(axis=1, keepdims=True), 1)
    known_TN = np.where(is_known_TN, factor_TN, 0.0)
    away_TN = np.where(is_known_TN, known_TN - known_TN.sum(axis=1, keepdims=True) / number_T1, 0.0)
    spread_T1 = np.sqrt((away_TN**2).sum(axis=1, keepdims=True) / number_T1)
    varies_T1 = spread_T1 > STEADY * np.abs(known_TN).max(axis=1, keepdims=True)
    return np.where(varies_T1, away_TN / np.where(varies_T1, spread_T1, 1.0), 0.0)


def _require_inputs(score_DN: Array, market: Market, rules: Rules) -> None:
    require_alike("score_DN", score_DN, market.returns_DN.shape, "f")
    require(not np.isinf(score_DN).any(), "a score must be finite or NaN, got an infinite one: NaN leaves a stock out")
    days = len(score_DN)
    require(days > rules.delay, f"a panel must be longer than the delay, got {days} days and {rules.delay}: add days")
    if rules.section_bps is not None:
        section_DN = given(market.section_DN, "section_bps needs section_DN, got None: give both or neither")
        missing = sorted({int(code) for code in np.unique(section_DN)} - set(rules.section_bps))
        require(
            not missing or rules.cost_bps > 0,
            f"every section must have a cost, got none for {missing}: add them to section_bps, or give cost_bps",
        )
    if rules.capital is not None:
        has_lots = rules.lot is not None or market.lot_N is not None
        require(has_lots, "a capital needs lots, got neither rules.lot nor lot_N: give one, or leave capital None")
        price_DN = given(market.price_DN, "a capital needs price_DN, got None: give it, or leave capital None")
        quoted = price_DN[market.tradable_DN]
        require(
            bool((np.isfinite(quoted) & (quoted > 0)).all()),
            "what is tradable must have a finite price above 0, got one without: set tradable_DN False there",
        )


def _targets(score_DN: Array, market: Market, rules: Rules) -> Array:
    """[D, N]: the weights wanted at each close, of scores `delay` to `delay + holding - 1` days old.

    Raises:
        ValueError: no day has two names in each leg.
    """
    days, opened = len(score_DN), False
    target_DN = np.zeros(score_DN.shape)
    for day, score_N in enumerate(score_DN):
        tranche_N = _tranche(score_N, None if market.shortable_DN is None else market.shortable_DN[day], rules)
        opened |= tranche_N is not None
        if tranche_N is not None:
            target_DN[day + rules.delay : min(day + rules.delay + rules.holding, days)] += tranche_N
    require(
        opened, f"a leg must have {FEWEST_NAMES} names on a day, got fewer on all: rank more stocks, or raise the share"
    )
    target_DN[np.abs(target_DN) < ROUNDING] = 0.0  # days that cancel out leave no crumbs to be held
    return target_DN / rules.holding


def _tranche(score_N: Array, shortable_N: Flags | None, rules: Rules) -> Array | None:
    """One day's portfolio; None where a leg is too small."""
    long_N = _leg(score_N, rules.share)
    if rules.side == "long_only" or long_N is None:
        return long_N
    short_N = _leg(-score_N if shortable_N is None else np.where(shortable_N, -score_N, np.nan), rules.share)
    return None if short_N is None else long_N - short_N


def _leg(score_N: Array, share: float) -> Array | None:
    """Equal weights that sum to 1, in the highest scores. Ties share, or the order of stocks would decide."""
    ranked = score_N[~np.isnan(score_N)]
    size = math.floor(share * len(ranked) + ROUNDING)
    if size < FEWEST_NAMES:
        return None
    edge = np.partition(ranked, -size)[-size]
    above_N, ties_N = score_N > edge, score_N == edge
    return np.asarray((above_N + ties_N * (size - above_N.sum()) / ties_N.sum()) / size)


class _Ledger:
    """What a walk through the days writes down."""

    def __init__(self, days: int, stocks: int) -> None:
        self.weights_DN = np.zeros((days, stocks))
        self.gross_D, self.cost_D, self.borrow_D, self.turnover_D = np.zeros((4, days))
        self.wanted_D, self.unfilled_D, self.left_out_D = np.zeros((3, days))
        self.short_D, self.assumed_D = np.zeros((2, days))  # short weight before the day, and that of no known fee


def _walk(target_DN: Array, market: Market, rules: Rules) -> _Ledger:
    """Day by day: what is held earns, pays its fees and drifts; then it is traded towards the target."""
    days, stocks = target_DN.shape
    ledger, cost_DN = _Ledger(days, stocks), _cost(market, rules, (days, stocks))
    last_N = _last_rows(market.returns_DN)
    held_N, value = np.zeros(stocks), rules.capital or 1.0
    for day in range(days):
        return_N = np.nan_to_num(market.returns_DN[day])
        gross = float(held_N @ return_N)
        _require_solvent(day, gross)
        ledger.gross_D[day] = gross
        ledger.borrow_D[day] = _borrow(day, np.maximum(-held_N, 0.0), market, rules, ledger)
        drifted_N = held_N * (1 + return_N) / (1 + gross)

        has_ended_N = day > last_N
        goal_N = np.where(has_ended_N, 0.0, target_DN[day])
        wanted_N = goal_N - drifted_N
        fillable_N = np.where(market.tradable_DN[day] | has_ended_N, wanted_N, 0.0)
        traded_N = fillable_N
        if rules.capital is not None:
            in_lots_N = _in_lots(day, fillable_N, value * (1 + gross), market, rules)
            traded_N = np.where(goal_N == 0, fillable_N, in_lots_N)
        held_N = drifted_N + traded_N

        ledger.weights_DN[day] = held_N
        ledger.wanted_D[day] = np.abs(wanted_N).sum()
        ledger.unfilled_D[day] = np.abs(wanted_N - fillable_N).sum()
        ledger.left_out_D[day] = np.abs(drifted_N + fillable_N).sum() - np.abs(held_N).sum()
        ledger.turnover_D[day] = np.abs(traded_N).sum()
        ledger.cost_D[day] = cost_DN[day] @ np.abs(traded_N)
        net = gross - ledger.borrow_D[day] - ledger.cost_D[day]
        _require_solvent(day, net)
        value *= 1 + net
    return ledger


def _cost(market: Market, rules: Rules, shape: tuple[int, int]) -> Array:
    """[D, N]: one way, a fraction of what is traded."""
    if rules.section_bps is None or market.section_DN is None:
        return np.broadcast_to(np.float64(rules.cost_bps * BASIS_POINT), shape)
    codes, places_DN = np.unique(market.section_DN, return_inverse=True)
    costs = [rules.section_bps.get(int(code), rules.cost_bps) * BASIS_POINT for code in codes]
    return np.array(costs)[places_DN.reshape(shape)]


def _last_rows(returns_DN: Array) -> NDArray[np.intp]:
    """[N]: the last day with a return; -1 where there is none."""
    has_row_DN = np.isfinite(returns_DN)
    return np.where(has_row_DN.any(axis=0), len(returns_DN) - 1 - has_row_DN[::-1].argmax(axis=0), -1)


def _borrow(day: int, short_N: Array, market: Market, rules: Rules, ledger: _Ledger) -> float:
    """The day's fee, a fraction of the capital; notes beside it how much of it is assumed."""
    fee_N = np.full(len(short_N), np.nan) if market.borrow_DN is None else market.borrow_DN[day]
    is_assumed_N = np.isnan(fee_N)
    ledger.short_D[day], ledger.assumed_D[day] = short_N.sum(), short_N[is_assumed_N].sum()
    return float(short_N @ np.where(is_assumed_N, rules.borrow_fee, fee_N)) / DAYS_A_YEAR


def _in_lots(day: int, order_N: Array, value: float, market: Market, rules: Rules) -> Array:
    """[N]: orders towards zero, to whole lots of the day's price."""
    assert market.price_DN is not None
    lot = rules.lot if market.lot_N is None else market.lot_N
    lot_weight_N = np.where(market.tradable_DN[day], market.price_DN[day], 1.0) * lot / value
    lots_N = order_N / lot_weight_N
    return np.asarray(np.trunc(lots_N + np.copysign(ROUNDING, lots_N)) * lot_weight_N)


def _universe(returns_TN: Array) -> Array:
    """[T]: equal-weighted; 0 on a day without a return, on which nothing held earns either."""
    number_T = np.isfinite(returns_TN).sum(axis=1)
    return np.asarray(np.nansum(returns_TN, axis=1) / np.maximum(number_T, 1))


def _require_solvent(day: int, day_return: float) -> None:
    require(
        day_return > -1,
        f"a day must leave some of the capital, got a return of {day_return:.4g} on day {day}: look for a wrong price, "
        "or hold more names",
    )
