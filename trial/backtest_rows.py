"""What the winner would have earned on the confirm folds: from its trials' predictions, kept in the confirm study.

Shape legend: D days from the first scored one on, N stocks.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
from optuna.storages import RDBStorage

from data.bars import day_rank
from data.labels import tradable_entries
from data.store import MarketStore
from reports.daily import primary_horizon
from reports.inference.backtest import Backtest, backtest, exposures, sector_exposures
from reports.inference.portfolio import SIDES, Market, Rules
from search_spaces.config import validated
from search_spaces.space import REFERENCE
from storage.names import CONFIRM
from storage.record import ARM_HASHES, TrialRecord, load_study, read_records
from trial.predictions import PREDICTIONS

BACKTEST, OF_REFERENCE = "backtest", "reference_backtest"  # attributes of the confirm study
BETA = "beta_60"


def keep_backtest(storage: RDBStorage, sweep: str, market: MarketStore, runs: Path, rules: Rules | None = None) -> None:
    """Writes what `run_backtest` gives into the confirm study, anew; nothing where no winner was confirmed."""
    for name, found in run_backtest(storage, sweep, market, runs, rules).items():
        load_study(storage, f"{sweep}{CONFIRM}").set_user_attr(name, found)


def run_backtest(
    storage: RDBStorage, sweep: str, market: MarketStore, runs: Path, rules: Rules | None = None
) -> dict[str, dict[str, Any]]:
    """Trades the mean rank that the winner's seeds gave each stock, and that of the reference's.

    Args:
        storage: of the studies.
        sweep: its name.
        market: that was scored.
        runs: where trials left their predictions.
        rules: costs, legs and lots; sides, delay and holding are those of the scores. None: those of `Rules`.

    Returns:
        by attribute of the confirm study; with `why` where it cannot be, empty where no winner was confirmed.
    """
    study = load_study(storage, f"{sweep}{CONFIRM}")
    about = study.user_attrs.get("winner")
    if about is None:
        return {}
    complete = [r for r in read_records(storage, study.study_name) if r.state == "COMPLETE" and r.is_comparable]
    found = {}
    for name, arm in ((BACKTEST, about["arm"]), (OF_REFERENCE, REFERENCE)):
        current = study.user_attrs.get(ARM_HASHES, {}).get(arm)
        own = [r for r in complete if r.arm == arm and r.attributes["config_hash"] == current]
        left = [r for r in own if _predictions(runs, r, study.study_name) is not None]
        found[name] = {"arm": arm, "config_hash": current} | _result(left, study.study_name, market, runs, rules)
    return found


def _result(
    records: list[TrialRecord], study: str, market: MarketStore, runs: Path, rules: Rules | None
) -> dict[str, Any]:
    if not records:
        return {"why": "no prediction of it is left on this machine"}
    config = validated(records[-1].config)
    horizon = primary_horizon(config.data.horizons)
    score_DN, days = _scores([_predictions(runs, record, study) for record in records], market, horizon)
    days = range(days.start, min(days.stop + config.data.delay + horizon, market.num_days))
    asked, traded = rules or Rules(), _market(market, days)
    found: dict[str, Any] = {"horizon": horizon, "num_trials": len(records), "sides": {}}
    found |= _told(asked, market)
    try:
        for side in SIDES:
            own_rules = replace(asked, delay=config.data.delay, holding=horizon, side=side)
            result = backtest(score_DN[days.start : days.stop], traded, own_rules)
            found["sides"][side] = _plain(result, market, days)
            if side == "long_short":
                found |= _exposed(result, market, days) | {"borrow_assumed": result.borrow_assumed}
    except ValueError as error:
        return {"why": str(error).rstrip(".")}
    return found


def _told(rules: Rules, market: MarketStore) -> dict[str, Any]:
    """What it was asked to cost."""
    names = ["unknown", *market.meta.vocabularies.get("section", ())]
    return {
        "cost_bps": rules.cost_bps,
        "section_bps": {names[code]: bps for code, bps in (rules.section_bps or {}).items()},
        "borrow_fee": rules.borrow_fee,
        "capital": rules.capital,
        "has_fees": "borrow_fee" in market.meta.bars,
        "has_shortable": "shortable" in market.meta.bars,
    }


def _predictions(runs: Path, record: TrialRecord, study: str) -> Path | None:
    """Of the attempt that finished the trial."""
    return next(iter(sorted((runs / study / str(record.number)).glob(f"*/{PREDICTIONS}"), reverse=True)), None)


def _scores(files: list[Path | None], market: MarketStore, horizon: int) -> tuple[np.ndarray, range]:
    """([D of the store, N] mean rank over the seeds, -.5 to .5, NaN where none gave one; the scored days)."""
    total_DN, count_DN = np.zeros((2, market.num_days, len(market.codes)))
    place = {code: n for n, code in enumerate(market.codes.tolist())}
    for file in files:
        assert file is not None, "trials without a file were left out"
        table = pq.read_table(file, columns=["date", "code", f"score_{horizon}d"])
        days = np.searchsorted(market.dates, table["date"].to_numpy().astype("datetime64[D]"))
        stocks = np.array([place[code] for code in table["code"].to_pylist()])
        score_DN = np.full(total_DN.shape, np.nan)
        score_DN[days, stocks] = table[f"score_{horizon}d"].to_numpy()
        rank_DN = day_rank(score_DN, np.isfinite(score_DN))
        total_DN += np.nan_to_num(rank_DN)
        count_DN += np.isfinite(rank_DN)
    scored = np.flatnonzero(count_DN.any(axis=1))
    mean_DN = np.divide(total_DN, count_DN, out=np.full(total_DN.shape, np.nan), where=count_DN > 0)
    return mean_DN, range(int(scored[0]), int(scored[-1]) + 1)


def _market(market: MarketStore, days: range) -> Market:
    """What can be traded: where the panel has bars, not what was locked at a limit or had no volume. Where it is not
    known that a stock can be sold short, it is not."""
    rows = slice(days.start, days.stop)
    returns_DN = np.expm1(np.asarray(market.returns[rows], np.float64))
    present_DN = np.array(market.present[rows])
    returns_DN[~present_DN] = np.nan
    bars = _bars(market, rows)
    section_DN = None
    if "section" in market.meta.vocabularies:
        section_DN = np.array(market.label_codes("section")[rows], np.int64)
    return Market(
        returns_DN,
        present_DN & tradable_entries(bars) if "close" in bars else present_DN,
        section_DN,
        shortable_DN=bars["shortable"] == 1 if "shortable" in bars else None,
        borrow_DN=bars.get("borrow_fee"),
        price_DN=bars.get("close"),
    )


def _bars(market: MarketStore, rows: slice) -> dict[str, np.ndarray]:
    """By role, [D, N]."""
    return {name: np.asarray(market.bars[rows, :, n], np.float64) for n, name in enumerate(market.meta.bars)}


def _exposed(found: Backtest, market: MarketStore, days: range) -> dict[str, Any]:
    """Mean exposure of the long-short weights to beta, size and sectors, as far as the panel knows them."""
    rows = days.start + found.days_T
    factors = {}
    if BETA in market.meta.features:
        factors["beta"] = np.asarray(market.features[rows, :, market.meta.features.index(BETA)], np.float64)
    if {"turnover"} <= set(market.meta.bars) or {"close", "volume"} <= set(market.meta.bars):
        with np.errstate(divide="ignore"):
            size_TN = np.log(market.turnover(rows))
        factors["size"] = np.where(np.isfinite(size_TN), size_TN, np.nan)
    names = ["unknown", *market.meta.vocabularies.get("sector", ())]
    by_sector = sector_exposures(found.weights_TN, np.asarray(market.sector[rows], np.int64))
    return {
        "exposures": exposures(found.weights_TN, factors),
        "sectors": {names[code]: weight for code, weight in by_sector.items()},
    }


def _plain(found: Backtest, market: MarketStore, days: range) -> dict[str, Any]:
    """As a study keeps it: fractions of the capital; daily net by ISO day."""
    dates = [str(market.dates[days.start + int(day)]) for day in found.days_T]
    return {
        "net": {date: round(float(net), 7) for date, net in zip(dates, found.net_T, strict=True)},
        "excess_mean": float(found.excess_T.mean()),
        "annual_return": found.annual_return,
        "annual_volatility": found.annual_volatility,
        "sharpe": found.sharpe,
        "max_drawdown": found.max_drawdown,
        "break_even_bps": found.break_even_bps,
        "turnover": float(found.turnover_T.mean()),
        "unfilled_share": found.unfilled_share,
        "num_long": found.num_long,
        "num_short": found.num_short,
    }
