"""The backtest: small cases worked out by hand, and what must hold of any panel."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reports.inference.backtest import Backtest, backtest, exposures, sector_exposures
from reports.inference.portfolio import Market, Rules

REPEATABLE = settings(max_examples=30, deadline=None, derandomize=True, database=None)
SEEDS = st.integers(0, 10_000)
NAN = np.nan
UP, DOWN, NONE = [4.0, 3.0, 2.0, 1.0], [1.0, 2.0, 3.0, 4.0], [NAN] * 4
FLAT = [0.0] * 4
LONG_ONE_DAY = Rules(holding=1, share=0.5, side="long_only")
BOTH_ONE_DAY = Rules(holding=1, share=0.5)


def market(returns: Any, **others: Any) -> Market:
    """Of all that can be traded, unless it is said otherwise."""
    returns_DN = np.array(returns, float)
    return Market(returns_DN, others.pop("tradable_DN", np.ones(returns_DN.shape, bool)), **others)


def except_at(shape: tuple[int, int], *cells: tuple[int, int]) -> np.ndarray:
    """All True but for these (day, stock)."""
    flags_DN = np.ones(shape, bool)
    flags_DN[tuple(np.transpose(cells))] = False
    return flags_DN


def scores(*days: list[float]) -> np.ndarray:
    return np.array(days, float)


def a_panel(seed: int, days: int = 40, stocks: int = 12) -> tuple[np.ndarray, Market]:
    """With ties, stocks that are not ranked, gaps, early ends, locked days, and fees that are not all known."""
    rng = np.random.default_rng(seed)
    score_DN = rng.integers(0, 6, (days, stocks)).astype(float)
    score_DN[rng.random(score_DN.shape) < 0.1] = NAN
    returns_DN = rng.normal(0, 0.02, (days, stocks))
    returns_DN[rng.random(returns_DN.shape) < 0.05] = NAN
    returns_DN[days // 2 :, 0] = NAN
    borrow_DN = rng.uniform(0, 0.1, returns_DN.shape)
    borrow_DN[rng.random(borrow_DN.shape) < 0.5] = NAN
    return score_DN, Market(
        returns_DN,
        np.isfinite(returns_DN) & (rng.random(returns_DN.shape) > 0.1),
        section_DN=rng.integers(0, 3, returns_DN.shape),
        shortable_DN=rng.random(returns_DN.shape) > 0.2,
        borrow_DN=borrow_DN,
    )


def permuted(panel: Market, order_N: np.ndarray) -> Market:
    return Market(
        **{name: None if array is None else array[..., order_N] for name, array in vars(panel).items()},
    )


def test_one_portfolio_from_entry_to_exit() -> None:
    found = backtest(scores(UP, NONE, NONE, NONE), market([FLAT, FLAT, [0.1, 0, 0, -0.02], FLAT]), BOTH_ONE_DAY)
    assert found.days_T.tolist() == [1, 2, 3]
    np.testing.assert_allclose(found.weights_TN, [[0.5, 0.5, -0.5, -0.5], FLAT, FLAT])
    np.testing.assert_allclose(found.gross_T, [0, 0.06, 0])
    left = (0.55 + 0.5 + 0.5 + 0.49) / 1.06
    np.testing.assert_allclose(found.turnover_T, [2, left, 0])
    np.testing.assert_allclose(found.cost_T, [0.002, 0.001 * left, 0])
    np.testing.assert_allclose(found.net_T, [-0.002, 0.06 - 0.001 * left, 0])
    assert found.break_even_bps == pytest.approx(0.06 / (2 + left) * 1e4)
    assert (found.num_long, found.num_short) == pytest.approx((2 / 3, 2 / 3))


def test_each_day_takes_over_its_part_of_the_capital() -> None:
    rules = Rules(holding=2, share=0.5, side="long_only")
    found = backtest(scores(UP, DOWN, NONE, NONE, NONE), market([FLAT] * 5), rules)
    expected = [[0.25, 0.25, 0, 0], [0.25] * 4, [0, 0, 0.25, 0.25], FLAT]
    np.testing.assert_allclose(found.weights_TN, expected)
    np.testing.assert_allclose(found.turnover_T, [0.5] * 4)


@pytest.mark.parametrize("delay", [0, 1, 3])
def test_orders_are_filled_the_delay_after_the_score(delay: int) -> None:
    returns = np.arange(20).reshape(5, 4) / 100
    found = backtest(scores(UP, *[NONE] * 4), market(returns), Rules(delay=delay, holding=1, share=0.5))
    assert found.days_T[0] == delay
    assert found.gross_T[1] == pytest.approx(0.5 * returns[delay + 1] @ [1, 1, -1, -1])
    assert found.gross_T[[0, *range(2, 5 - delay)]].tolist() == [0] * (4 - delay)


def test_weights_drift_and_are_brought_back() -> None:
    found = backtest(scores(UP, UP, UP), market([FLAT, FLAT, [0.2, 0, 0, 0]]), LONG_ONE_DAY)
    np.testing.assert_allclose(found.weights_TN, [[0.5, 0.5, 0, 0]] * 2)
    assert found.turnover_T[1] == pytest.approx((0.6 / 1.1 - 0.5) + (0.5 - 0.5 / 1.1))


def test_what_cannot_be_bought_is_not_held_and_its_order_is_lost() -> None:
    tradable_DN = except_at((4, 4), (1, 0))
    found = backtest(
        scores(UP, NONE, NONE, NONE),
        market([FLAT, FLAT, [0.5, 0.1, 0, 0], FLAT], tradable_DN=tradable_DN),
        LONG_ONE_DAY,
    )
    np.testing.assert_allclose(found.weights_TN, [[0, 0.5, 0, 0], FLAT, FLAT])
    np.testing.assert_allclose(found.gross_T, [0, 0.05, 0])
    assert found.turnover_T[0] == 0.5
    assert found.unfilled_share == pytest.approx(0.5 / (1 + 0.55 / 1.05))
    assert found.num_unfilled_days == 1


def test_what_cannot_be_sold_keeps_its_drifted_weight() -> None:
    panel = market([FLAT, FLAT, [0.2, 0, 0, 0], [0.1, 0, 0, 0]], tradable_DN=except_at((4, 4), (2, 0)))
    found = backtest(scores(UP, NONE, NONE, NONE), panel, LONG_ONE_DAY)
    kept = 0.6 / 1.1
    np.testing.assert_allclose(found.weights_TN, [[0.5, 0.5, 0, 0], [kept, 0, 0, 0], FLAT])
    assert found.gross_T[2] == pytest.approx(0.1 * kept)
    assert found.turnover_T[2] == pytest.approx(1.1 * kept / (1 + 0.1 * kept))


def test_an_order_that_is_filled_on_no_day_still_counts_as_wanted() -> None:
    found = backtest(
        scores(UP, NONE, UP, NONE), market([FLAT] * 4, tradable_DN=except_at((4, 4), (1, 0), (1, 1))), LONG_ONE_DAY
    )
    assert found.days_T.tolist() == [3]
    assert found.unfilled_share == pytest.approx(0.5)


def test_a_stock_without_further_rows_is_sold_at_its_last_close_the_day_after() -> None:
    rules = Rules(holding=4, share=0.5, side="long_only")
    returns = np.array([FLAT, FLAT, [-0.4, 0, 0, 0], [NAN, 0, 0, 0], [NAN, 0, 0, 0]])
    found = backtest(scores(UP, *[NONE] * 4), market(returns, tradable_DN=np.isfinite(returns)), rules)
    np.testing.assert_allclose(found.weights_TN[:, 0], [0.125, 0.125, 0, 0])
    assert found.gross_T[1] == pytest.approx(-0.05)
    np.testing.assert_allclose(found.gross_T[2:], 0)
    assert found.turnover_T[2] == pytest.approx(0.125)
    assert found.unfilled_share == 0


def test_a_single_day_without_a_row_counts_as_no_return() -> None:
    returns = np.array([FLAT, FLAT, [NAN, 0.1, 0, 0], [0.2, 0, 0, 0]])
    rules = Rules(holding=3, share=0.5, side="long_only")
    found = backtest(scores(UP, NONE, NONE, NONE), market(returns, tradable_DN=np.isfinite(returns)), rules)
    kept = 1 / 6 / (1 + 0.1 / 6)
    assert found.weights_TN[1, 0] == pytest.approx(kept)
    assert found.gross_T[2] == pytest.approx(0.2 * kept)
    assert found.universe_T[1] == pytest.approx(0.1 / 3)


def test_borrowing_is_paid_by_the_day_on_what_was_short() -> None:
    fees = [FLAT, FLAT, [9, 9, 0.252, NAN], [9, 9, 9, 9]]
    panel = market([FLAT] * 4, borrow_DN=np.array(fees, float))
    found = backtest(scores(UP, NONE, NONE, NONE), panel, Rules(holding=1, share=0.5, borrow_fee=0.0504))
    np.testing.assert_allclose(found.borrow_T, [0, 0.5 * 0.001 + 0.5 * 0.0002, 0])
    np.testing.assert_allclose(found.net_T, [-0.002, -0.0006 - 0.002, 0])
    assert found.borrow_assumed == pytest.approx(0.5)


def test_fees_of_nobody_are_assumed_of_all() -> None:
    assert backtest(scores(UP, NONE, NONE), market([FLAT] * 3), BOTH_ONE_DAY).borrow_assumed == 1
    assert backtest(scores(UP, NONE, NONE), market([FLAT] * 3), LONG_ONE_DAY).borrow_assumed == 0


def test_the_short_leg_is_a_share_of_what_can_be_shorted() -> None:
    score = np.array([[8.0, 7, 6, 5, 4, 3, 2, 1], [NAN] * 8])
    shortable_DN = except_at((2, 8), (0, 7), (0, 5), (0, 1), (0, 0))
    found = backtest(score, market(np.zeros((2, 8)), shortable_DN=shortable_DN), BOTH_ONE_DAY)
    np.testing.assert_allclose(found.weights_TN, [[0.25, 0.25, 0.25, 0.25, -0.5, 0, -0.5, 0]])


def test_a_share_is_counted_as_it_is_written() -> None:
    found = backtest(np.arange(200.0).reshape(2, 100), market(np.zeros((2, 100))), Rules(holding=1, share=0.29))
    assert (found.num_long, found.num_short) == (29, 29)  # 0.29 * 100 is 28.999999999999996


def test_ties_share_what_is_left_of_a_leg() -> None:
    score = np.array([[5.0, 1, 3, 3, 3, 0], [NAN] * 6])
    found = backtest(score, market(np.zeros((2, 6))), LONG_ONE_DAY)
    np.testing.assert_allclose(found.weights_TN, [[1 / 3, 0, 2 / 9, 2 / 9, 2 / 9, 0]])


def test_a_day_with_one_name_in_a_leg_opens_nothing() -> None:
    few = [2.0, 1.0, NAN, NAN]
    found = backtest(scores(few, UP, NONE, NONE), market([FLAT] * 4), BOTH_ONE_DAY)
    assert found.days_T.tolist() == [2, 3]
    with pytest.raises(ValueError, match="a leg must have 2 names"):
        backtest(scores(few, few, few), market([FLAT] * 3), BOTH_ONE_DAY)


def test_each_section_has_its_cost() -> None:
    panel = market([FLAT] * 3, section_DN=np.array([[0, 1, 2, 2]] * 3))
    score = scores(UP, NONE, NONE)
    rules = Rules(holding=1, share=0.5, cost_bps=0, section_bps={0: 4, 1: 8, 2: 20})
    np.testing.assert_allclose(backtest(score, panel, rules).cost_T, [0.0026, 0.0026])
    rest = Rules(holding=1, share=0.5, cost_bps=30, section_bps={0: 4, 1: 8})
    np.testing.assert_allclose(backtest(score, panel, rest).cost_T, [0.0036, 0.0036])
    with pytest.raises(ValueError, match=r"every section must have a cost, got none for \[2\]"):
        backtest(score, panel, Rules(cost_bps=0, section_bps={0: 4, 1: 8}))
    with pytest.raises(ValueError, match="section_bps needs section_DN"):
        backtest(score, market([FLAT] * 3), rules)


def in_lots(capital: float, price: list[list[float]], returns: list[list[float]], **others: Any) -> Backtest:
    panel = market(returns, price_DN=np.array(price, float), **others)
    rules = Rules(holding=1, share=0.5, side="long_only", capital=capital, lot=None if "lot_N" in others else 10)
    return backtest(scores(UP, UP, NONE, NONE)[: len(returns)], panel, rules)


def test_orders_are_cut_down_to_whole_lots() -> None:
    price = [[30.0, 70, 1, 1], [30.0, 70, 1, 1], [33.0, 70, 1, 1], [33.0, 70, 1, 1]]
    found = in_lots(10_000, price, [FLAT, FLAT, [0.1, 0, 0, 0], FLAT])
    drifted = np.array([0.528, 0.49, 0, 0]) / 1.048
    np.testing.assert_allclose(found.weights_TN[0], [0.48, 0.49, 0, 0])  # 16 and 7 lots of 5000 each
    np.testing.assert_allclose(found.weights_TN[1], drifted)  # neither of the two orders is worth a lot
    assert found.weights_TN[2].tolist() == FLAT  # an order that closes a position is filled whole
    np.testing.assert_allclose(found.turnover_T, [0.97, 0, drifted.sum()])
    assert found.uninvested == pytest.approx((0.03 + 1 - drifted.sum()) / 3)
    assert found.unfilled_share == 0


def test_lots_are_of_what_the_capital_has_become() -> None:
    returns = [FLAT, FLAT, [1.0, 1, 0, 0]]
    panel = market(returns, price_DN=np.array([[50.0, 50, 100, 100]] * 3))
    rules = Rules(holding=1, share=0.5, side="long_only", capital=10_000, lot=10)
    found = backtest(scores(UP, DOWN, NONE), panel, rules)
    value = 10_000 * 0.999 * 2  # less the first cost, and doubled: not quite worth 10 lots of either
    np.testing.assert_allclose(found.weights_TN[1], [0, 0, 9_000 / value, 9_000 / value])


def test_fees_leave_less_for_lots() -> None:
    panel = market([FLAT] * 4, price_DN=np.full((4, 4), 50.0), borrow_DN=np.full((4, 4), 25.2))
    rules = Rules(holding=1, share=0.5, capital=10_000, lot=10)
    found = backtest(scores(UP, UP, DOWN, NONE), panel, rules)
    traded = 17 * 500 / (10_000 * 0.998 * 0.9)  # less the first cost and a day's fee: not quite worth 18 lots
    np.testing.assert_allclose(found.weights_TN[2], [0.5 - traded, 0.5 - traded, traded - 0.5, traded - 0.5])


def test_stocks_can_have_lots_of_their_own() -> None:
    found = in_lots(10_000, [[30.0, 70, 1, 1]] * 2, [FLAT] * 2, lot_N=np.array([100, 1, 1, 1]))
    np.testing.assert_allclose(found.weights_TN[0], [0.3, 0.497, 0, 0])


def test_a_capital_too_small_for_a_lot_stays_in_cash() -> None:
    found = in_lots(100, [[30.0, 70, 1, 1]] * 2, [FLAT] * 2)
    assert found.uninvested == 1
    assert found.break_even_bps is None
    assert found.net_T.tolist() == [0]


def test_what_the_days_come_to() -> None:
    daily = np.array([0, 0, 0.02, -0.03, -0.01, 0.05])
    found = backtest(np.ones((6, 4)), market(np.repeat(daily[:, None], 4, axis=1)), LONG_ONE_DAY)
    net = np.array([-0.001, *daily[2:]])
    np.testing.assert_allclose(found.net_T, net)
    np.testing.assert_allclose(found.excess_T, [-0.001, 0, 0, 0, 0], atol=1e-15)
    assert found.annual_return == pytest.approx(np.prod(1 + net) ** (252 / 5) - 1)
    assert found.annual_volatility == pytest.approx(np.std(net, ddof=1) * 252**0.5)
    assert found.sharpe == pytest.approx(net.mean() / np.std(net, ddof=1) * 252**0.5)
    assert found.max_drawdown == pytest.approx(1 - 0.97 * 0.99)


def test_the_first_loss_is_a_drawdown_too() -> None:
    found = backtest(scores(UP, NONE, NONE), market([FLAT] * 3), LONG_ONE_DAY)
    assert found.max_drawdown == pytest.approx(1 - 0.999**2)
    assert found.annual_volatility == pytest.approx(0)
    assert found.sharpe is None


def test_a_single_day_has_no_volatility() -> None:
    found = backtest(scores(UP, NONE), market([FLAT] * 2), LONG_ONE_DAY)
    assert found.annual_volatility is None
    assert found.sharpe is None


def test_scores_without_an_opinion_hold_nothing() -> None:
    found = backtest(np.ones((6, 4)), market(np.full((6, 4), 0.01)), BOTH_ONE_DAY)
    assert found.days_T.tolist() == [1, 2, 3, 4, 5]
    assert not found.weights_TN.any()
    assert found.sharpe is None
    assert found.break_even_bps is None


@pytest.mark.parametrize(
    ("fields", "law"),
    [
        ({"cost_bps": 0}, "cost_bps must be above 0"),
        ({"cost_bps": -1}, "cost_bps must be above 0"),
        ({"cost_bps": NAN}, "cost_bps must be above 0"),
        ({"cost_bps": 0, "section_bps": {}}, "cost_bps must be above 0"),
        ({"section_bps": {1: 0.0}}, "costs of sections must be above 0"),
        ({"share": 0}, "share must be in"),
        ({"share": 0.51}, "share must be in"),
        ({"holding": 0}, "holding must be at least 1"),
        ({"delay": -1}, "delay must be at least 0"),
        ({"side": "short_only"}, "side must be one of"),
        ({"borrow_fee": -0.1}, "borrow_fee must be at least 0"),
        ({"capital": 0, "lot": 1}, "capital must be above 0"),
        ({"lot": 100}, "a lot must be at least 1 share and needs a capital"),
        ({"capital": 1e6, "lot": 0}, "a lot must be at least 1 share and needs a capital"),
    ],
)
def test_rules_that_cannot_be(fields: dict[str, Any], law: str) -> None:
    with pytest.raises(ValueError, match=law):
        Rules(**fields)


@pytest.mark.parametrize(
    ("fields", "law"),
    [
        ({"returns_DN": np.zeros(4)}, "returns_DN must be days by stocks"),
        ({"returns_DN": np.full((3, 4), -1.1)}, "a return must be at least -1"),
        ({"returns_DN": np.full((3, 4), np.inf)}, "a return must be at least -1"),
        ({"tradable_DN": np.ones((3, 5), bool)}, r"tradable_DN must have the shape \(3, 4\)"),
        ({"tradable_DN": np.ones((3, 4))}, "tradable_DN must be of bools"),
        ({"section_DN": np.ones((3, 4))}, "section_DN must be of integers"),
        ({"borrow_DN": np.full((3, 4), -0.1)}, "a borrow fee must be at least 0"),
        ({"lot_N": np.zeros(4, int)}, "a lot must be at least 1 share"),
        ({"lot_N": np.ones(3, int)}, r"lot_N must have the shape \(4,\)"),
    ],
)
def test_markets_that_cannot_be(fields: dict[str, Any], law: str) -> None:
    with pytest.raises(ValueError, match=law):
        Market(**{"returns_DN": np.zeros((3, 4)), "tradable_DN": np.ones((3, 4), bool)} | fields)


def test_inputs_that_do_not_go_together() -> None:
    panel, score = market([FLAT] * 3), scores(UP, UP, UP)
    priced = market([FLAT] * 3, price_DN=np.zeros((3, 4)))
    for given_score, given_market, rules, law in (
        (score[:2], panel, BOTH_ONE_DAY, "score_DN must have the shape"),
        (score * np.inf, panel, BOTH_ONE_DAY, "a score must be finite or NaN"),
        (score, panel, Rules(delay=3), "a panel must be longer than the delay"),
        (score, panel, Rules(capital=1e6), "a capital needs lots"),
        (score, panel, Rules(capital=1e6, lot=100), "a capital needs price_DN"),
        (score, priced, Rules(capital=1e6, lot=100), "must have a finite price above 0"),
    ):
        with pytest.raises(ValueError, match=law):
            backtest(given_score, given_market, rules)


def test_a_day_that_loses_everything_is_refused() -> None:
    with pytest.raises(ValueError, match="a day must leave some of the capital, got a return of -1 on day 2"):
        backtest(scores(UP, UP, UP), market([FLAT, FLAT, [-1, -1, 0, 0]]), LONG_ONE_DAY)


def test_exposure_is_the_weighted_z_score_on_the_mean_day() -> None:
    weights_TN = np.array([[0.5, -0.5, 0], [1.0, -1.0, 0.7], [0.3, 0, 0]])
    size = np.array([[1.0, 3.0, NAN], [2.0, 2.0, 2.0], [NAN, NAN, NAN]])
    beta = np.array([[0.0, 0, 3]] * 3)
    found = exposures(weights_TN, {"size": size, "beta": beta})
    assert found["size"] == pytest.approx((-1 + 0) / 2)
    away = np.array([-1, -1, 2]) / np.sqrt(2)
    assert found["beta"] == pytest.approx(np.mean(weights_TN @ away))
    with pytest.raises(ValueError, match="factor 'size' must be known"):
        exposures(weights_TN, {"size": np.full((3, 3), NAN)})
    with pytest.raises(ValueError, match="factor 'size' must have the shape"):
        exposures(weights_TN, {"size": size[:2]})


def test_sectors_have_their_mean_net_weight() -> None:
    weights_TN = np.array([[0.5, -0.5, 0.2], [0.1, 0.3, -0.4]])
    assert sector_exposures(weights_TN, np.array([[7, 7, -1], [7, -1, -1]])) == pytest.approx({-1: 0.05, 7: 0.05})
    with pytest.raises(ValueError, match="sector_TN must be of integers"):
        sector_exposures(weights_TN, weights_TN)


@REPEATABLE
@given(SEEDS, st.sampled_from([1, 5]), st.integers(0, 2))
def test_perfect_foresight_earns_and_its_break_even_cost_leaves_nothing(seed: int, holding: int, delay: int) -> None:
    returns_DN = np.random.default_rng(seed).normal(0, 0.02, (60, 20))
    ahead_DN = np.full(returns_DN.shape, NAN)
    for day in range(60 - delay - holding):
        ahead_DN[day] = returns_DN[day + delay + 1 : day + delay + holding + 1].sum(axis=0)
    found = backtest(ahead_DN, market(returns_DN), Rules(delay=delay, holding=holding, share=0.2))
    assert found.gross_T.mean() > 0.003
    assert found.break_even_bps is not None
    paid = Rules(delay=delay, holding=holding, share=0.2, cost_bps=found.break_even_bps)
    assert backtest(ahead_DN, market(returns_DN), paid).net_T.mean() == pytest.approx(0, abs=1e-12)


@REPEATABLE
@given(SEEDS, st.sampled_from(["long_short", "long_only"]))
def test_net_is_gross_less_what_is_paid_and_weights_know_no_cost(seed: int, side: Any) -> None:
    score_DN, panel = a_panel(seed)
    cheap = backtest(score_DN, panel, Rules(share=0.3, side=side, cost_bps=1))
    dear = backtest(score_DN, panel, Rules(share=0.3, side=side, cost_bps=40))
    np.testing.assert_array_equal(cheap.weights_TN, dear.weights_TN)
    np.testing.assert_allclose(cheap.net_T - dear.net_T, 39e-4 * cheap.turnover_T)
    np.testing.assert_allclose(cheap.net_T, cheap.gross_T - 1e-4 * cheap.turnover_T - cheap.borrow_T)


@REPEATABLE
@given(SEEDS, st.integers(2, 35), st.integers(0, 2))
def test_nothing_that_comes_later_changes_a_day(seed: int, day: int, delay: int) -> None:
    score_DN, _ = a_panel(seed)
    rng = np.random.default_rng(seed)
    returns_DN = rng.normal(0, 0.02, score_DN.shape)
    later_score_DN, later_returns_DN = score_DN.copy(), returns_DN.copy()
    later_score_DN[day + (delay == 0) :] = rng.normal(size=score_DN[day + (delay == 0) :].shape)
    later_returns_DN[day + 1 :] = rng.normal(0, 0.02, returns_DN[day + 1 :].shape)
    later_returns_DN[day + 1 :, :3] = NAN
    rules = Rules(delay=delay, holding=3, share=0.3)
    before, after = (
        backtest(score, market(returns), rules)
        for score, returns in ((score_DN, returns_DN), (later_score_DN, later_returns_DN))
    )
    until = day + 1 - delay
    assert before.days_T[0] == after.days_T[0] == delay
    for name in ("gross_T", "net_T", "turnover_T", "weights_TN"):
        np.testing.assert_array_equal(getattr(before, name)[:until], getattr(after, name)[:until])
    assert not np.array_equal(before.gross_T, after.gross_T)


@REPEATABLE
@given(SEEDS, st.sampled_from(["long_short", "long_only"]))
def test_the_order_of_stocks_is_nothing(seed: int, side: Any) -> None:
    score_DN, panel = a_panel(seed)
    order_N = np.random.default_rng(seed).permutation(score_DN.shape[1])
    rules = Rules(share=0.3, side=side, section_bps={0: 5, 1: 10, 2: 20})
    one, other = backtest(score_DN, panel, rules), backtest(score_DN[:, order_N], permuted(panel, order_N), rules)
    np.testing.assert_allclose(one.weights_TN[:, order_N], other.weights_TN, atol=1e-14)
    for name in ("gross_T", "net_T", "excess_T", "turnover_T"):
        np.testing.assert_allclose(getattr(one, name), getattr(other, name), atol=1e-14)
    assert one.unfilled_share == pytest.approx(other.unfilled_share)
    assert one.borrow_assumed == pytest.approx(other.borrow_assumed)


@REPEATABLE
@given(SEEDS)
def test_a_market_in_which_all_return_the_same_pays_no_long_short(seed: int) -> None:
    rng = np.random.default_rng(seed)
    returns_DN = np.repeat(rng.normal(0, 0.02, (30, 1)), 10, axis=1)
    found = backtest(rng.normal(size=(30, 10)), market(returns_DN), Rules(share=0.3))
    np.testing.assert_allclose(found.gross_T, 0, atol=1e-15)
    np.testing.assert_allclose(found.weights_TN.sum(axis=1), 0, atol=1e-15)
    assert np.abs(found.weights_TN).sum(axis=1).max() <= 2 + 1e-12


def test_the_whole_capital_is_in_after_the_holding_time() -> None:
    found = backtest(scores(*[UP] * 9), market([FLAT] * 9), Rules(share=0.5))
    np.testing.assert_allclose(np.abs(found.weights_TN).sum(axis=1), [0.4, 0.8, 1.2, 1.6, 2, 2, 2, 2])


@REPEATABLE
@given(SEEDS)
def test_long_only_without_an_opinion_is_the_universe(seed: int) -> None:
    returns_DN = np.random.default_rng(seed).normal(0, 0.02, (30, 10))
    found = backtest(np.zeros((30, 10)), market(returns_DN), Rules(holding=1, side="long_only", share=0.2))
    np.testing.assert_allclose(found.gross_T[1:], returns_DN[2:].mean(axis=1))
    np.testing.assert_allclose(found.excess_T[1:], -found.cost_T[1:], atol=1e-15)


@REPEATABLE
@given(SEEDS)
def test_it_earns_what_an_account_in_money_does(seed: int) -> None:
    rng = np.random.default_rng(seed)
    score_DN, returns_DN = rng.normal(size=(30, 10)), rng.normal(0, 0.03, (30, 10))
    tradable_DN = rng.random((30, 10)) > 0.2
    found = backtest(score_DN, market(returns_DN, tradable_DN=tradable_DN), Rules(holding=1, share=0.2))
    cash, money_N = 1.0, np.zeros(10)
    for day in range(1, 30):
        before = cash + money_N.sum()
        money_N = money_N * (1 + returns_DN[day])
        value = cash + money_N.sum()
        assert found.gross_T[day - 1] == pytest.approx(value / before - 1, abs=1e-12)
        rank_N = score_DN[day - 1].argsort().argsort()
        wanted_N = value * ((rank_N >= 8) * 0.5 - (rank_N < 2) * 0.5)
        money_N = np.where(tradable_DN[day], wanted_N, money_N)
        cash = value - money_N.sum()
        np.testing.assert_allclose(found.weights_TN[day - 1], money_N / value, atol=1e-12)
