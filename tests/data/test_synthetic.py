"""Synthetic markets: equal by seed, with a real panel's quirks, and planted effects whose best score is known."""

from __future__ import annotations

import multiprocessing
import resource
import signal
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pydantic import ValidationError
from scipy.stats import kurtosis, rankdata, spearmanr

from data.synthetic import (
    CHUNK_DAYS,
    FADE,
    LARGEST_EFFECT,
    Market,
    SyntheticConfig,
    _sectors,
    _World,
    generate,
    optimum,
    simulate,
    synthetic_panel,
    write_market,
)

SMALL = SyntheticConfig(num_stocks=20, num_days=150, num_sectors=4, seed=5)
OTHER: dict[str, Any] = {
    "num_stocks": 21,
    "num_days": 151,
    "num_sectors": 3,
    "seed": 6,
    "spillover": 0.0,
    "leaders": "industry",
    "momentum": 0.0,
    "reversal": 0.5,
    "regime": 1.0,
    "missing_share": 0.1,
    "delisting_rate": 0.2,
    "start": "2019-01-01",
}
EFFECTS = ("spillover", "momentum", "reversal", "regime")
FULL = {"missing_share": 0.0, "delisting_rate": 0.0}
HORIZON = 5


def whole(config: SyntheticConfig, horizons: tuple[int, ...] = ()) -> Market:
    """All days of a market in one piece."""
    parts = list(simulate(config, horizons))
    bars = {name: np.concatenate([part.bars[name] for part in parts]) for name in parts[0].bars}
    rest = {name: np.concatenate([getattr(p, name) for p in parts]) for name in Market._fields[2:]}
    return Market(0, bars, **rest)


def frame_of(config: SyntheticConfig) -> pd.DataFrame:
    return generate(config).to_pandas()


# --- equal by seed


def test_equal_settings_give_equal_tables() -> None:
    assert generate(SMALL).equals(generate(SMALL.model_copy()))


def test_equal_settings_give_equal_bytes(tmp_path: Path) -> None:
    a, b = synthetic_panel(tmp_path / "a", SMALL), synthetic_panel(tmp_path / "b", SMALL)
    assert a.name == b.name
    assert a.read_bytes() == b.read_bytes()


def test_the_settings_tried_are_all_there_are() -> None:
    assert set(OTHER) | {"regime_factor"} == set(SyntheticConfig.model_fields)


@pytest.mark.parametrize("name", [*OTHER, "regime_factor"])
def test_another_setting_gives_another_market_under_another_name(name: str) -> None:
    base = SMALL.model_copy(update={"regime": 0.5}) if name == "regime_factor" else SMALL
    other = base.model_copy(update={name: OTHER.get(name, 8.0)})
    assert other.key != base.key
    assert not generate(other).equals(generate(base))


def test_the_global_generator_does_not_matter() -> None:
    np.random.seed(0)
    before = generate(SMALL)
    np.random.seed(1)
    assert generate(SMALL).equals(before)


@pytest.mark.parametrize("num_days", [60, CHUNK_DAYS, CHUNK_DAYS + 1, 2 * CHUNK_DAYS, 150])
def test_the_streamed_file_is_the_generated_table_a_row_group_per_stretch(tmp_path: Path, num_days: int) -> None:
    config, told = SMALL.model_copy(update={"num_days": num_days}), []
    write_market(tmp_path / "market.parquet", config, told.append)
    assert pq.read_table(tmp_path / "market.parquet").equals(generate(config))
    assert pq.ParquetFile(tmp_path / "market.parquet").num_row_groups == -(-num_days // CHUNK_DAYS)
    assert sum(told) == generate(config).num_rows


def test_asking_what_was_expected_changes_no_return() -> None:
    np.testing.assert_array_equal(whole(SMALL).returns, whole(SMALL, (1, 20)).returns)


def test_prices_go_on_across_the_stretches() -> None:
    market = whole(SMALL)
    moved = np.diff(np.log(market.bars["close"].astype(float)), axis=0)
    np.testing.assert_allclose(moved, market.returns[1:], atol=1e-6)


# --- written whole or not at all


def test_a_market_is_generated_once(tmp_path: Path) -> None:
    path = synthetic_panel(tmp_path, SMALL)
    written = path.stat().st_mtime_ns
    assert synthetic_panel(tmp_path, SMALL) == path
    assert path.stat().st_mtime_ns == written


def _write_beyond_the_limit(path: Path, action: signal.Handlers) -> None:
    """The kernel refuses to let the file grow, and kills the process or tells it so."""
    signal.signal(signal.SIGXFSZ, action)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (16384, 16384))
    synthetic_panel(path, SMALL)


@pytest.mark.timeout(120)
@pytest.mark.parametrize("action", [signal.SIG_DFL, signal.SIG_IGN], ids=["killed", "disk full"])
def test_a_writer_that_does_not_finish_leaves_no_market(tmp_path: Path, action: signal.Handlers) -> None:
    writer = multiprocessing.get_context("spawn").Process(target=_write_beyond_the_limit, args=(tmp_path, action))
    writer.start()
    writer.join()
    assert writer.exitcode == (-signal.SIGXFSZ if action == signal.SIG_DFL else 1)
    assert not list(tmp_path.glob("*.parquet"))
    assert action == signal.SIG_DFL or not list(tmp_path.glob("*.tmp"))
    assert pq.read_table(synthetic_panel(tmp_path, SMALL)).equals(generate(SMALL))


# --- a real panel's quirks


def test_the_table_is_what_a_user_would_bring() -> None:
    table = generate(SMALL)
    assert table.schema.names == ["date", "code", "open", "high", "low", "close", "volume", "sector", "industry"]
    assert table.schema.field("date").type == pa.date32()
    assert table.schema.field("code").type == pa.string()
    assert table["close"].type == pa.float32()


def test_the_market_has_the_size_asked_and_no_day_twice() -> None:
    frame = frame_of(SMALL)
    assert (frame["date"].nunique(), frame["code"].nunique()) == (150, 20)
    assert not frame.duplicated(["date", "code"]).any()
    assert frame["date"].is_monotonic_increasing


def test_days_are_business_days_from_the_start() -> None:
    days = np.sort(frame_of(SMALL.model_copy(update={"start": "2018-01-06"}))["date"].unique().astype("datetime64[D]"))
    assert days[0] == np.datetime64("2018-01-08")
    assert np.is_busday(days).all()
    assert (np.busday_count(days[:-1], days[1:]) == 1).all()


def test_every_stock_has_one_sector_and_an_industry_within_it() -> None:
    frame = frame_of(SMALL)
    assert (frame.groupby("code")[["sector", "industry"]].nunique() == 1).all(axis=None)
    assert (frame.groupby("industry")["sector"].nunique() == 1).all()
    assert 1 < frame["sector"].nunique() <= 4 < frame["industry"].nunique() <= 12


def test_stocks_of_a_sector_move_together() -> None:
    config = SyntheticConfig.null(num_stocks=60, num_days=600, num_sectors=4, **FULL)
    returns = whole(config).returns
    correlation = np.corrcoef((returns - returns.mean(axis=1, keepdims=True)).T)
    label = generate(config).slice(0, 60)["sector"].to_numpy(zero_copy_only=False)
    same = (label[:, None] == label) & ~np.eye(60, dtype=bool)
    assert correlation[same].mean() > correlation[label[:, None] != label].mean() + 0.05


@pytest.mark.parametrize("seed", [0, 1])
def test_returns_have_heavy_tails_and_a_plausible_size(seed: int) -> None:
    returns = whole(SyntheticConfig(num_stocks=100, num_days=800, seed=seed, **FULL)).returns
    assert 0.01 < returns.std() < 0.04
    assert np.median(kurtosis(returns, axis=0)) > 1.0
    assert np.abs(returns).max() < 0.7


@pytest.mark.parametrize("seed", [0, 1])
def test_volatility_comes_in_clusters(seed: int) -> None:
    returns = whole(SyntheticConfig.null(num_stocks=100, num_days=1000, seed=seed, **FULL)).returns
    squares = (returns - returns.mean(axis=1, keepdims=True)) ** 2
    shuffled = np.random.default_rng(0).permuted(squares, axis=0)

    def clusters(x: np.ndarray) -> float:
        """Mean autocorrelation over the first ten lags."""
        z = (x - x.mean(axis=0)) / x.std(axis=0)
        return float(np.mean([(z[lag:] * z[:-lag]).mean() for lag in range(1, 11)]))

    assert clusters(squares) > 0.015 > 0.005 > abs(clusters(shuffled))


@pytest.mark.parametrize("rate", [0.0, 0.05, 0.1])
def test_stocks_list_and_delist_at_the_yearly_rate(rate: float) -> None:
    config = SyntheticConfig(num_stocks=100, num_days=500, delisting_rate=rate, missing_share=0)
    present = whole(config).present
    late, early = ~present[0], ~present[-1]
    assert late.sum() == early.sum() == 100 * rate * 2
    assert not (late & early).any()
    assert (np.abs(np.diff(present.astype(int), axis=0)).sum(axis=0) <= 1).all(), "nobody comes back"
    assert present.any(axis=0).all()


@pytest.mark.parametrize("share", [0.0, 0.01, 0.2])
def test_days_are_missing_at_the_share_asked(share: float) -> None:
    present = whole(SyntheticConfig(num_stocks=100, num_days=500, delisting_rate=0, missing_share=share)).present
    assert 1 - present.mean() == pytest.approx(share, abs=0.005)
    assert (1 - present.mean(axis=0)).max() < share + 0.08


def test_a_missing_day_has_no_row_and_moves_no_price() -> None:
    gappy = SMALL.model_copy(update={"missing_share": 0.2})
    market, full = whole(gappy), whole(SMALL.model_copy(update={"missing_share": 0.0}))
    np.testing.assert_array_equal(market.returns, full.returns)
    assert generate(gappy).num_rows == market.present.sum() < 0.85 * 150 * 20


LARGEST = {"spillover": LARGEST_EFFECT, "momentum": LARGEST_EFFECT, "regime": LARGEST_EFFECT}


@pytest.mark.parametrize(
    "effects",
    [
        {},
        {"regime": 1.0, "regime_factor": 10.0},
        *({name: size} for name, size in LARGEST.items()),
        LARGEST,
        LARGEST | {"reversal": 1.0},
    ],
)
def test_prices_are_bars_and_finite_however_large_the_effects(effects: dict[str, float]) -> None:
    frame = frame_of(SyntheticConfig(num_stocks=50, num_days=1250 if effects else 400, **effects))
    assert (frame["low"] <= frame[["open", "close"]].min(axis=1)).all()
    assert (frame["high"] >= frame[["open", "close"]].max(axis=1)).all()
    assert (frame[["low", "volume"]] > 0).all(axis=None)
    assert np.isfinite(frame[["open", "high", "low", "close", "volume"]]).all(axis=None)


@pytest.mark.parametrize(
    "update",
    [
        *({"num_stocks": 9}, {"num_days": 59}, {"missing_share": 0.5}, {"sead": 1}, {"start": "2018-13-01"}),
        *({name: LARGEST_EFFECT + 0.01} for name in LARGEST),
        {"reversal": 1.01},
    ],
    ids=lambda update: next(iter(update)),
)
def test_absurd_settings_are_refused(update: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match=next(iter(update))):
        SyntheticConfig(**update)


# --- what is planted, and how well it can be known


class Case(NamedTuple):
    """A market without gaps, what it is scored on, and what the best predictor scores."""

    returns: np.ndarray  # [T, N] log returns less their day's mean
    realised: np.ndarray  # [T', N] log return of the days t + 2 .. t + 1 + h
    expected: np.ndarray  # [T', N] the generator's own expectation of it
    deviation: np.ndarray  # [T, N]
    leaders: np.ndarray  # [N, 4]
    sector: np.ndarray  # [N]
    optimum: float

    def daily(self, guess: np.ndarray) -> np.ndarray:
        """[T'] RankIC of every day."""
        a, b = (rankdata(x, axis=1) for x in (guess[: len(self.realised)], self.realised))
        a, b = (x - x.mean(axis=1, keepdims=True) for x in (a, b))
        return (a * b).sum(axis=1) / np.sqrt((a**2).sum(axis=1) * (b**2).sum(axis=1))

    def score(self, guess: np.ndarray) -> float:
        return float(self.daily(guess).mean())


def case(seed: int = 1, num_days: int = 1500, **effects: float) -> Case:
    config = SyntheticConfig.null(num_stocks=100, num_days=num_days, seed=seed, **FULL, **effects)
    market = whole(config, (HORIZON,))
    level = np.concatenate([np.zeros((1, 100)), market.returns.cumsum(axis=0)])
    last = num_days - 1 - HORIZON
    leaders = _World(np.random.default_rng([seed, 0x5EED]), config).leaders
    return Case(
        returns=market.returns - market.returns.mean(axis=1, keepdims=True),
        realised=level[2 + HORIZON : 2 + HORIZON + last] - level[2 : 2 + last],
        expected=market.expected[:last, :, 0],
        deviation=market.deviation,
        leaders=leaders,
        sector=_sectors(config),
        optimum=float(optimum(config, (HORIZON,))[0]),
    )


@pytest.fixture(scope="module")
def markets() -> dict[str, Case]:
    """One market for each effect alone, and the one without."""
    strength = {"spillover": 1.0, "momentum": 1.0, "reversal": 0.5, "regime": 1.0}
    return {"null": case(), **{name: case(**{name: strength[name]}) for name in EFFECTS}}


def faded(x: np.ndarray, left: float = FADE) -> np.ndarray:
    """Sum of past values, each losing a share of itself every day."""
    out = np.zeros_like(x)
    for t in range(len(x)):
        out[t] = x[t] + (left * out[t - 1] if t else 0)
    return out


def own_part(case: Case) -> np.ndarray:
    """Returns less the mean of the sector's stocks: what can be seen of the idiosyncratic part."""
    sectors, which = np.unique(case.sector, return_inverse=True)
    means = np.stack([case.returns[:, case.sector == sector].mean(axis=1) for sector in sectors], axis=1)
    return case.returns - means[:, which]


def standardised(case: Case) -> np.ndarray:
    """The own part in units of the deviation that the generator had for it."""
    return own_part(case) / np.vstack([case.deviation[:1], case.deviation[:-1]])


def predictors(case: Case) -> dict[str, np.ndarray]:
    """What can be made of past returns: the stock's own, its leaders', and either of them in units of the scale."""
    own = faded(case.returns)
    return {
        "own": own,
        "reversed": -faded(case.returns, 0.7),
        "leaders": own[:, case.leaders].mean(axis=2),
        "own and leaders": own + own[:, case.leaders].mean(axis=2),
        "standardised": faded(np.abs(standardised(case))),
        "not standardised": faded(np.abs(own_part(case))),
    }


def test_a_null_market_cannot_be_predicted(markets: dict[str, Case]) -> None:
    null = markets["null"]
    assert null.optimum == pytest.approx(0, abs=1e-9)
    assert (null.expected == 0).all()
    for name, guess in predictors(null).items():
        assert abs(null.score(guess)) < 0.015, name


@pytest.mark.parametrize("effect", EFFECTS)
def test_the_optimum_grows_with_the_effect_from_nothing(effect: str) -> None:
    sizes = [0, 0.25, 0.5, 1.0]
    scores = [
        optimum(SyntheticConfig.null(num_stocks=60, num_days=400, seed=3, **{effect: size}), (1, HORIZON))
        for size in sizes
    ]
    assert np.abs(scores[0]).max() < 1e-9
    assert all((after > before + 0.01).all() for before, after in pairwise(scores))


@pytest.mark.parametrize("effect", EFFECTS)
def test_the_oracle_reaches_the_optimum(markets: dict[str, Case], effect: str) -> None:
    market = markets[effect]
    naive = np.mean([spearmanr(a, b).statistic for a, b in zip(market.expected, market.realised, strict=True)])
    assert market.score(market.expected) == pytest.approx(naive, abs=1e-9)
    assert naive == pytest.approx(market.optimum, abs=0.006 if effect == "regime" else 0.002)


@pytest.mark.parametrize("effect", EFFECTS)
def test_no_predictor_made_of_prices_exceeds_the_optimum(markets: dict[str, Case], effect: str) -> None:
    for name, guess in predictors(markets[effect]).items():
        assert markets[effect].score(guess) < markets[effect].optimum, name


@pytest.mark.parametrize("effect", EFFECTS)
def test_what_is_expected_is_what_comes_on_average(markets: dict[str, Case], effect: str) -> None:
    """Regressing what came on what was expected gives slope 1, and a day too early or too late gives less."""
    expected, realised = markets[effect].expected, markets[effect].realised
    slope = (expected * realised).sum(axis=1)
    scale = (expected**2).sum(axis=1)
    error = np.abs(np.subtract(slope, scale)).std() / scale.mean() / np.sqrt(len(scale) / 10)  # labels overlap
    assert slope.sum() / scale.sum() == pytest.approx(1, abs=4 * error)
    assert error < 0.06


def test_own_moves_come_close_to_the_optimum_where_momentum_is_planted(markets: dict[str, Case]) -> None:
    market = markets["momentum"]
    guess = predictors(market)
    assert market.score(guess["own"]) > 0.8 * market.optimum
    assert abs(market.score(guess["leaders"])) < 0.1 * market.optimum


def test_own_moves_turned_round_come_close_where_reversal_is_planted(markets: dict[str, Case]) -> None:
    market = markets["reversal"]
    assert market.score(predictors(market)["reversed"]) > 0.65 * market.optimum


def test_the_leaders_moves_come_close_to_the_optimum_where_spillover_is_planted(markets: dict[str, Case]) -> None:
    market = markets["spillover"]
    others = np.random.default_rng(0).permutation(100)
    assert market.score(predictors(market)["leaders"]) > 0.75 * market.optimum
    assert abs(market.score(predictors(market)["leaders"][:, others])) < 0.1 * market.optimum


def test_own_moves_tell_a_small_part_where_spillover_alone_is_planted(markets: dict[str, Case]) -> None:
    """The rest can only be used by a model that looks at other stocks."""
    market = markets["spillover"]
    assert abs(market.score(predictors(market)["own"])) < 0.25 * market.optimum


def test_moves_in_units_of_their_scale_earn_a_good_part_of_the_optimum_in_regimes(markets: dict[str, Case]) -> None:
    """Not all: the sector's moves, which returns also hold, cover those of a calm stock."""
    market = markets["regime"]
    assert market.score(predictors(market)["standardised"]) > 0.4 * market.optimum


def test_moves_in_units_of_their_scale_say_more_than_plain_ones_in_regimes(markets: dict[str, Case]) -> None:
    market = markets["regime"]
    guess = predictors(market)
    gain = market.daily(guess["standardised"]) - market.daily(guess["not standardised"])
    assert gain.mean() > 3 * gain.std() / np.sqrt(len(gain) / HORIZON)


def test_plain_moves_do_not_survive_the_regimes(markets: dict[str, Case]) -> None:
    """Only a model that normalises each window by itself can use the effect."""
    market = markets["regime"]
    assert market.score(predictors(market)["not standardised"]) < 0.6 * market.optimum


def test_scales_change_by_the_factor_and_stay_for_months(markets: dict[str, Case]) -> None:
    calm, changing = (np.log(markets[name].deviation) for name in ("null", "regime"))
    assert np.ptp(changing, axis=0).mean() > 1.5
    assert calm.std() < 0.5 * changing.std()
    jumps = np.abs(np.diff(changing, axis=0)) > 0.3
    assert 30 < 1 / jumps.mean() < 120


def test_leaders_are_other_stocks(markets: dict[str, Case]) -> None:
    leaders = markets["spillover"].leaders
    assert leaders.shape == (100, 4)
    assert (leaders != np.arange(100)[:, None]).all()


def test_the_optimum_of_some_days_is_theirs_alone() -> None:
    config = SyntheticConfig(num_stocks=40, num_days=300)
    first, rest = (optimum(config, (HORIZON,), days) for days in (slice(0, 100), slice(100, None)))
    together = optimum(config, (HORIZON,))
    assert first != rest
    assert (100 * first + (300 - 1 - HORIZON - 100) * rest) / (300 - 1 - HORIZON) == pytest.approx(together)
