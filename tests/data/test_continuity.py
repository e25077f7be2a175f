"""A panel's last days go on as those before them, or the column and the day are named."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from data.config import DataConfig
from data.continuity import RECENT, refuse_break, refuse_hole
from data.errors import DataError
from data.prepare import prepare
from data.store import MarketStore
from data.synthetic import SyntheticConfig, synthetic_panel

Damage = Callable[[pd.DataFrame, "pd.Series[bool]"], pd.DataFrame]
OWN = ("slow", "fast")


@pytest.fixture(scope="module")
def frame(tmp_path_factory: pytest.TempPathFactory) -> pd.DataFrame:
    """A market with two features of its own: one that lasts, and one that is new every day."""
    folder = tmp_path_factory.mktemp("market")
    config = SyntheticConfig(num_stocks=60, num_days=320, num_sectors=4, seed=5)
    found = pd.read_parquet(synthetic_panel(folder, config))
    rng = np.random.default_rng(0)
    level = found["code"].map({code: rng.normal() for code in sorted(found["code"].unique())})
    return found.assign(slow=level + rng.normal(0, 0.1, len(found)), fast=rng.normal(size=len(found)))


def prepared(frame: pd.DataFrame, folder: Path, **settings: object) -> MarketStore:
    path = folder / "panel.parquet"
    frame.to_parquet(path)
    settings = settings or {"columns": {"features": "both"}}
    return prepare(path, folder, DataConfig.model_validate({"splits": {"holdout_days": 0}, **settings}))


def set_to(column: str, value: Callable[[pd.DataFrame], object]) -> Damage:
    def damage(frame: pd.DataFrame, days: pd.Series[bool]) -> pd.DataFrame:
        found = frame.copy()
        found.loc[days, column] = value(frame[days])
        return found

    return damage


def swap(one: str, other: str) -> Damage:
    def damage(frame: pd.DataFrame, days: pd.Series[bool]) -> pd.DataFrame:
        found = frame.copy()
        found.loc[days, [one, other]] = frame.loc[days, [other, one]].to_numpy()
        return found

    return damage


def test_a_whole_panel_goes_on(frame: pd.DataFrame, tmp_path: Path) -> None:
    store = prepared(frame, tmp_path)
    assert set(OWN) <= set(store.meta.features)
    for day in range(100, store.num_days, RECENT):
        refuse_break(store, day)
        refuse_hole(store, day, 60)


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        (set_to("volume", lambda rows: rows["volume"] * 1000), "volume is 1.*e[+]03 times that of the day before"),
        (set_to("volume", lambda rows: 1000.0), "volume is .* times that of the day before"),
        (set_to("volume", lambda rows: rows["close"]), "volume is .* times that of the day before"),
        (
            set_to("volume", lambda rows: rows["volume"].sample(frac=1, random_state=1).to_numpy()),
            "volume ranks stocks",
        ),
        (swap("open", "close"), "open and close look swapped"),
        (swap("slow", "fast"), "slow ranks stocks unlike the day before"),
        (set_to("slow", lambda rows: 1.0), "slow ranks stocks unlike the day before .rank correlation [+]0.00"),
    ],
    ids=["unit", "one value", "another column", "shuffled", "swapped prices", "swapped features", "dead feature"],
)
@pytest.mark.parametrize("num_days", [1, 10])
def test_a_break_of_the_last_days_is_refused_by_name(
    damage: Damage, told: str, num_days: int, frame: pd.DataFrame, tmp_path: Path
) -> None:
    last = frame["date"].isin(sorted(frame["date"].unique())[-num_days:])
    store = prepared(damage(frame, last), tmp_path)
    with pytest.raises(DataError, match=told):
        refuse_break(store, store.num_days - 1)
    refuse_break(store, store.num_days - num_days - 1)


def test_a_panel_without_prices_is_looked_at_too(frame: pd.DataFrame, tmp_path: Path) -> None:
    bare = frame[["date", "code", "sector", *OWN]].assign(**{f"own_{n}": frame["slow"] * n for n in range(1, 9)})
    last = bare["date"] == bare["date"].max()
    store = prepared(swap("slow", "fast")(bare, last), tmp_path, labels={"source": "none"})
    with pytest.raises(DataError, match="slow ranks stocks unlike the day before"):
        refuse_break(store, store.num_days - 1)


def test_a_hole_that_no_holidays_make_is_refused_where_it_is_read(frame: pd.DataFrame, tmp_path: Path) -> None:
    days = sorted(frame["date"].unique())
    store = prepared(frame[~frame["date"].isin(days[-8:-2])], tmp_path)
    with pytest.raises(
        DataError, match=rf"between {str(days[-9])[:10]} and {str(days[-2])[:10]} 6 weekdays have no row"
    ):
        refuse_hole(store, store.num_days - 1, 60)
    refuse_hole(store, store.num_days - 3, 60)
