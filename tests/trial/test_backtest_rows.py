"""The winner's backtest: from predictions on disk to figures in the confirm study, on the market's own returns."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from optuna.storages import RDBStorage
from optuna.trial import TrialState
from typer.testing import CliRunner

from data.prepare import prepare
from data.store import MarketStore
from reports.evidence import read_evidence
from reports.inference.portfolio import Rules
from search_spaces.config import TrialConfig
from storage.database import open_storage
from storage.record import ARM_HASHES, load_study
from storage.study import StudyStore
from tests.reports.conftest import add_trial, make_study
from trial.backtest import app
from trial.backtest_rows import BACKTEST, _market, keep_backtest
from trial.evaluate import Scores
from trial.predictions import PREDICTIONS, write_predictions


@pytest.fixture
def storage(tmp_path: Path) -> RDBStorage:
    return open_storage(f"sqlite:///{tmp_path}/sweeps.db")


def predict(runs: Path, number: int, market: MarketStore, config: TrialConfig, sign: float) -> None:
    """What knows each confirm day's returns, or their opposite, would have said."""
    folder = runs / "demo.confirm" / str(number) / "0"
    folder.mkdir(parents=True)
    days = np.concatenate([np.arange(fold.score.start, fold.score.stop) for fold in market.splits(config.data).confirm])
    label = np.array(market.labels[days])
    mask = np.isfinite(label)
    score = np.where(mask, sign * label, 0.0)
    scores = Scores(days, score, np.nan_to_num(label), mask, score[..., None], np.nan_to_num(label))
    write_predictions(folder / PREDICTIONS, scores, market)


def confirm(storage: RDBStorage, config: TrialConfig, hashes: list[str]) -> StudyStore:
    """The winner's trials, one per hash of its configuration."""
    study = make_study(storage, "demo.confirm")
    study.study.set_user_attr("winner", {"trial": 0, "arm": "winner"})
    study.study.set_user_attr(ARM_HASHES, {"winner": hashes[-1]})
    for seed, config_hash in enumerate(hashes):
        add_trial(
            study,
            [0.1],
            TrialState.COMPLETE,
            "complete",
            arm="winner",
            seed=seed,
            config=config.model_dump(mode="json"),
            config_hash=config_hash,
        )
    return study


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_who_knows_the_returns_earns_and_who_knows_them_wrongly_loses(
    storage: RDBStorage, small_store: MarketStore, config: TrialConfig, tmp_path: Path, sign: float
) -> None:
    confirm(storage, config, ["old", "own", "own"])
    for number, knows in enumerate((-sign, sign, sign)):  # the first is of an earlier winner
        predict(tmp_path, number, small_store, config, knows)
    keep_backtest(storage, "demo", small_store, tmp_path)
    found = load_study(storage, "demo.confirm").user_attrs[BACKTEST]
    assert found["num_trials"] == 2
    assert np.sign(found["sides"]["long_short"]["annual_return"]) == sign
    assert np.sign(found["sides"]["long_only"]["excess_mean"]) == sign
    folds = small_store.splits(config.data).confirm
    days = [str(day) for day in small_store.dates]
    first = days.index(min(found["sides"]["long_short"]["net"]))
    assert first == folds[0].score.start + config.data.delay, "the first score is filled `delay` closes later"
    assert set(found["exposures"]) == {"beta", "size"}
    assert sum(found["sectors"].values()) == pytest.approx(0, abs=0.02), "long and short, but for what drifts"


def test_the_panels_fees_are_paid_and_what_cannot_be_shorted_is_not(
    storage: RDBStorage, small_store: MarketStore, small_panel: Path, config: TrialConfig, tmp_path: Path
) -> None:
    """Half of the stocks can be sold short, at 5 % a year; of some of them the fee is not known."""
    confirm(storage, config, ["own"])
    predict(tmp_path, 0, small_store, config, 1.0)
    keep_backtest(storage, "demo", small_store, tmp_path, Rules(share=0.25))
    free = load_study(storage, "demo.confirm").user_attrs[BACKTEST]
    panel = pd.read_parquet(small_panel)
    number = panel["code"].str[1:].astype(int)
    panel["shortable"], panel["borrow_fee"] = number % 2 == 0, np.where(number % 4 == 0, np.nan, 0.05)
    panel.to_parquet(tmp_path / "panel.parquet", index=False)
    market = prepare(tmp_path / "panel.parquet", tmp_path / "own", config.data)
    rules = Rules(borrow_fee=0.02, share=0.25)
    keep_backtest(storage, "demo", market, tmp_path, rules)
    found = load_study(storage, "demo.confirm").user_attrs[BACKTEST]
    assert (free["has_fees"], free["has_shortable"], free["borrow_assumed"]) == (False, False, 1.0)
    assert (found["has_fees"], found["has_shortable"]) == (True, True)
    assert 0.1 < found["borrow_assumed"] < 0.9
    days = range(market.num_days - 30, market.num_days)
    traded = _market(market, days)
    assert traded.shortable_DN is not None
    np.testing.assert_array_equal(traded.shortable_DN.any(axis=0), np.arange(len(market.codes)) % 2 == 0)
    assert found["sides"]["long_short"]["num_short"] == pytest.approx(free["sides"]["long_short"]["num_short"] / 2, 0.4)
    assert found["sides"]["long_only"] == free["sides"]["long_only"]


def test_without_predictions_or_with_too_few_stocks_it_says_why(
    storage: RDBStorage, small_store: MarketStore, config: TrialConfig, tmp_path: Path
) -> None:
    study = confirm(storage, config, ["own", "own"])
    keep_backtest(storage, "demo", small_store, tmp_path)
    assert study.study.user_attrs[BACKTEST]["why"] == "no prediction of it is left on this machine"
    predict(tmp_path, 0, small_store, config, 1.0)
    keep_backtest(storage, "demo", small_store, tmp_path, Rules(share=0.01))
    assert "a leg must have 2 names" in study.study.user_attrs[BACKTEST]["why"]
    study.study.set_user_attr("winner", None)
    keep_backtest(storage, "demo", small_store, tmp_path)
    assert "why" in study.study.user_attrs[BACKTEST], "nothing was confirmed since"


def test_the_backtest_of_an_earlier_winner_is_not_told(
    storage: RDBStorage, small_store: MarketStore, config: TrialConfig, tmp_path: Path
) -> None:
    study = confirm(storage, config, ["own", "own"])
    predict(tmp_path, 0, small_store, config, 1.0)
    keep_backtest(storage, "demo", small_store, tmp_path)
    assert read_evidence(storage, "demo").backtest == study.study.user_attrs[BACKTEST]
    study.study.set_user_attr(ARM_HASHES, {"winner": "that of another configuration"})
    assert read_evidence(storage, "demo").backtest is None
    keep_backtest(storage, "demo", small_store, tmp_path)
    assert study.study.user_attrs[BACKTEST]["why"] == "no prediction of it is left on this machine"


def test_the_command_trades_again_under_rules_of_ones_own(
    storage: RDBStorage, small_store: MarketStore, config: TrialConfig, tmp_path: Path
) -> None:
    study = confirm(storage, config, ["own", "own"])
    study.study.set_user_attr("store", small_store.folder.name)
    prepared = tmp_path / "prepared"
    prepared.mkdir()
    (prepared / small_store.folder.name).symlink_to(small_store.folder)
    for number in (0, 1):
        predict(tmp_path, number, small_store, config, 1.0)
    runner = CliRunner(env={"COLUMNS": "200"})
    where = ["demo", "--runs", str(tmp_path), "--storage", f"sqlite:///{tmp_path}/sweeps.db"]
    kept = study.study.user_attrs[BACKTEST]
    alone = runner.invoke(app, where)
    assert alone.exit_code == 0, alone.output
    assert study.study.user_attrs[BACKTEST] == kept, "it is shown, and kept if asked"
    cheap = runner.invoke(app, [*where, "--keep"])
    assert cheap.exit_code == 0, cheap.output
    before = study.study.user_attrs[BACKTEST]["sides"]["long_short"]["annual_return"]
    rules = ["--cost-bps", "40", "--borrow-fee", "0.05", "--share", "0.2", "--capital", "1000000", "--lot", "10"]
    shown = runner.invoke(app, [*where, *rules])
    assert "the report is as it was" in shown.stdout
    assert study.study.user_attrs[BACKTEST]["cost_bps"] == 10
    dear = runner.invoke(app, [*where, *rules, "--keep"])
    assert dear.exit_code == 0, dear.output
    found = study.study.user_attrs[BACKTEST]
    assert (found["cost_bps"], found["borrow_fee"], found["capital"]) == (40, 0.05, 1e6)
    assert found["sides"]["long_short"]["annual_return"] < before
    assert found["sides"]["long_short"]["num_long"] > 3
    assert "One-way cost 40 basis points" in (tmp_path / "demo" / "report.html").read_text()
    for wrong, words in (
        (["--cost-bps", "0"], "trading is never free"),
        (["--section-cost", "Prime=8"], "the panel has no column of sections"),
        (["--lot", "100"], "needs a capital"),
    ):
        refused = runner.invoke(app, [*where, *wrong])
        assert refused.exit_code == 2, refused.output
        assert words in refused.stderr.replace("\n", " ")
