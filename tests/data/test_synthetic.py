"""Synthetic markets: equal settings give equal bytes, real panels' quirks are in, and the planted effect is there."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from pydantic import ValidationError
from scipy.stats import spearmanr

from data.labels import forward_returns
from data.panel import Panel, panel_key, read_panel
from data.synthetic import SyntheticConfig, generate, synthetic_panel

SMALL = SyntheticConfig(num_stocks=20, num_days=120, num_sectors=4, seed=5)
OTHER: dict[str, Any] = {
    "num_stocks": 21,
    "num_days": 121,
    "num_sectors": 3,
    "seed": 6,
    "spillover": 0.0,
    "momentum": 0.0,
    "missing_share": 0.1,
    "start": "2019-01-01",
}


@pytest.fixture(scope="module")
def panel(tmp_path_factory: pytest.TempPathFactory) -> Panel:
    """The small market, read as a user's panel is."""
    return read_panel(synthetic_panel(tmp_path_factory.mktemp("synthetic"), SMALL))


def test_equal_settings_give_equal_tables() -> None:
    assert generate(SMALL).equals(generate(SMALL.model_copy()))


def test_equal_settings_give_equal_bytes(tmp_path: Path) -> None:
    a, b = synthetic_panel(tmp_path / "a", SMALL), synthetic_panel(tmp_path / "b", SMALL)
    assert a.read_bytes() == b.read_bytes()
    assert panel_key(a) == panel_key(b)


def test_the_settings_tried_are_all_there_are() -> None:
    assert set(OTHER) == set(SyntheticConfig.model_fields)


@pytest.mark.parametrize("name", OTHER)
def test_another_setting_gives_another_market_under_another_name(tmp_path: Path, name: str) -> None:
    other = SMALL.model_copy(update={name: OTHER[name]})
    assert not generate(other).equals(generate(SMALL))
    assert synthetic_panel(tmp_path, other).name != synthetic_panel(tmp_path, SMALL).name


def test_a_market_is_generated_once(tmp_path: Path) -> None:
    path = synthetic_panel(tmp_path, SMALL)
    written = path.stat().st_mtime_ns
    assert synthetic_panel(tmp_path, SMALL) == path
    assert path.stat().st_mtime_ns == written


def test_the_market_has_the_size_asked(panel: Panel) -> None:
    assert (len(panel.dates), len(panel.codes)) == (120, 20)
    assert panel.dates[0] == np.datetime64("2018-01-01")
    assert set(panel.sector) <= {f"sector-{s}" for s in range(4)}
    assert len(set(panel.sector)) > 1
    assert "" not in panel.industry


def test_days_are_business_days(panel: Panel) -> None:
    assert np.is_busday(panel.dates).all()


def test_a_tenth_of_the_stocks_list_late_or_delist_early(panel: Panel) -> None:
    first, last = panel.observed.argmax(axis=0), 119 - panel.observed[::-1].argmax(axis=0)
    late, early = np.flatnonzero(first > 20), np.flatnonzero(last < 99)
    assert len(late) == len(early) == 1
    assert set(late).isdisjoint(early)


def test_single_days_are_missing_at_the_share_asked() -> None:
    days, stocks = 400, 50
    table = generate(SyntheticConfig(num_stocks=stocks, num_days=days, missing_share=0.04))
    counts = np.sort(np.unique(table["code"].to_numpy(zero_copy_only=False), return_counts=True)[1])
    whole_life = counts[stocks // 10 :] / days
    assert 0.95 < whole_life.mean() < 0.97
    assert (whole_life < 1).all()


def test_without_missing_days_every_other_stock_is_complete() -> None:
    table = generate(SMALL.model_copy(update={"missing_share": 0.0}))
    counts = np.unique(table["code"].to_numpy(zero_copy_only=False), return_counts=True)[1]
    assert (counts == 120).sum() == 18


def test_prices_are_bars(panel: Panel) -> None:
    opened, high, low, close = (panel.prices[name][panel.observed] for name in ("open", "high", "low", "close"))
    assert (high >= np.maximum(opened, close)).all()
    assert (low <= np.minimum(opened, close)).all()
    assert (panel.prices["volume"][panel.observed] > 0).all()


def test_returns_have_heavy_tails_and_a_plausible_size(panel: Panel) -> None:
    returns = np.diff(np.log(panel.prices["close"]), axis=0)
    returns = returns[np.isfinite(returns)]
    assert 0.01 < returns.std() < 0.04
    assert ((returns / returns.std()) ** 4).mean() > 3.5
    assert np.abs(returns).max() < 0.5


def test_the_table_is_what_a_user_would_bring() -> None:
    table = generate(SMALL)
    assert table.schema.names == ["date", "code", "open", "high", "low", "close", "volume", "sector", "industry"]
    assert table.schema.field("date").type == pa.date32()
    assert table["close"].type == pa.float32()


@pytest.mark.parametrize("update", [{"num_stocks": 9}, {"num_days": 59}, {"missing_share": 0.5}, {"sead": 1}])
def test_absurd_settings_are_refused(update: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match=next(iter(update))):
        SyntheticConfig(**update)


# --- what is planted


def t_value_of_five_day_momentum(folder: Path, **effects: float) -> float:
    """t of the mean rank IC of 5-day returns to 5-day labels, on days whose labels do not overlap."""
    config = SyntheticConfig(num_stocks=100, num_days=800, seed=7, **effects)
    close = read_panel(synthetic_panel(folder, config)).prices["close"]
    labels = forward_returns(close, (5,), delay=1)[..., 0]
    past = np.full(close.shape, np.nan)
    past[5:] = np.log(close[5:] / close[:-5])
    daily = [spearmanr(past[t], labels[t], nan_policy="omit").statistic for t in range(5, len(close) - 6, 5)]
    return float(np.mean(daily) / np.std(daily, ddof=1) * np.sqrt(len(daily)))


def test_without_effects_the_past_says_nothing(tmp_path: Path) -> None:
    assert abs(t_value_of_five_day_momentum(tmp_path, spillover=0.0, momentum=0.0)) < 3


def test_planted_momentum_shows(tmp_path: Path) -> None:
    assert t_value_of_five_day_momentum(tmp_path, spillover=0.0, momentum=1.0) > 5


def ridge_t_of_other_stocks(folder: Path, spillover: float) -> float:
    """t of the out-of-sample IC of each stock's next return on all *other* stocks' faded moves, by ridge."""
    config = SyntheticConfig(num_stocks=20, num_days=3000, seed=7, spillover=spillover, momentum=0.0, missing_share=0.0)
    close = read_panel(synthetic_panel(folder, config)).prices["close"]
    returns = np.nan_to_num(np.diff(np.log(close), axis=0))
    faded = np.zeros_like(returns)
    for t in range(1, len(returns)):
        faded[t] = 0.85 * (faded[t - 1] + returns[t - 1])
    half, scores = len(returns) // 2, np.zeros(returns.shape)
    for stock in range(returns.shape[1]):
        x, y = np.delete(faded, stock, axis=1), returns[:, stock]
        weights = np.linalg.solve(x[:half].T @ x[:half] + 0.5 * np.eye(19), x[:half].T @ y[:half])
        scores[:, stock] = x @ weights
    daily = [spearmanr(scores[t], returns[t]).statistic for t in range(half, len(returns))]
    return float(np.mean(daily) / np.std(daily, ddof=1) * np.sqrt(len(daily)))


@pytest.mark.parametrize(("spillover", "low", "high"), [(0.0, -3, 3), (2.0, 5, np.inf)])
def test_spillover_and_only_spillover_lets_other_stocks_predict(
    tmp_path: Path, spillover: float, low: float, high: float
) -> None:
    assert low < ridge_t_of_other_stocks(tmp_path, spillover) < high
