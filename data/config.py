"""Settings of the data path: what a panel's columns mean, who is ranked, what is predicted, how the calendar is split.

Every field changes a result, so all of them are part of the trial's configuration; `data/keys.py` says which of them
the prepared arrays depend on. What belongs to a machine (memory, progress) is an argument, never a setting.
"""

from __future__ import annotations

import datetime as dt
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

Name = Annotated[str, Field(min_length=1)]
HOLDOUT_SHARE = 0.14  # of a panel, where nothing else is asked


class Frozen(BaseModel):
    """A validated, immutable section; an unknown key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class ColumnGroup(Frozen):
    """Columns that are known some trading days after the day that they are about."""

    columns: tuple[Name, ...] = Field(min_length=1, description="column names, or patterns such as 'stmt_*'")
    publication_lag: int = Field(ge=0, le=250, description="trading days between the row's date and its being public")


class ColumnsConfig(Frozen):
    """What the panel's columns mean; a role that is not named is found by its usual names (`data/columns.py`)."""

    date: Name | None = None
    code: Name | None = None
    open: Name | None = None
    high: Name | None = None
    low: Name | None = None
    close: Name | None = None
    volume: Name | None = None
    turnover: Name | None = Field(None, description="traded value; without it close x volume")
    returns: Name | None = Field(None, description="one-day return up to the close: for graphs where there is no close")
    borrow_fee: Name | None = Field(None, description="yearly fee of a short position, a fraction; for backtests")
    shortable: Name | None = Field(None, description="1 where the stock can be sold short, else 0; for backtests")
    sector: Name | None = None
    industry: Name | None = None
    section: Name | None = Field(None, description="listing section, may change by date")
    security_type: Name | None = None
    targets: dict[int, Name] = Field({}, description="horizon in days -> the user's own forward return")
    features: Literal["auto", "built_in", "own", "both"] = Field(
        "auto", description="features from OHLCV, the panel's own columns, or both; auto takes own where 10 are there"
    )
    exclude: tuple[Name, ...] = Field(
        (), description="columns, or patterns, that are no features; also of those that are computed from OHLCV"
    )
    groups: dict[str, ColumnGroup] = Field({}, description="columns that are published later than their date")


class UniverseConfig(Frozen):
    """Who may be ranked on a day, by what was known on that day. Empty settings admit every stock with a row."""

    sections: tuple[str, ...] = Field((), description="listing sections that are admitted; empty: all")
    security_types: tuple[str, ...] = Field((), description="security types that are admitted; empty: all")
    min_turnover: float = Field(0.0, ge=0, description="least trailing median of daily traded value")
    turnover_window: int = Field(60, ge=5, le=250, description="days of that median")


class LabelConfig(Frozen):
    """What is predicted: forward returns per horizon, and how a day's cross-section of them becomes a target."""

    source: Literal["auto", "prices", "panel", "none"] = Field(
        "auto",
        description="the panel's own target columns where every horizon has one, or the prices; none: to be predicted",
    )
    price: Literal["close", "open"] = Field("close", description="price of entry and exit, `delay` days after the day")
    winsorise: float = Field(0.0, ge=0, lt=0.5, description="share of a day's labels pulled in at each end")
    scale_by_volatility: bool = Field(False, description="divide by the stock's trailing 60-day volatility")
    centre: Literal["none", "day", "sector"] = Field("day", description="mean that is removed from each day's labels")
    shape: Literal["raw", "zscore", "rank_gaussian"] = Field("zscore", description="unit of a day's targets")

    @model_validator(mode="after")
    def _open_needs_a_later_day(self) -> LabelConfig:
        if self.source == "panel" and self.price != "close":
            raise ValueError("labels.price says how prices become labels; with labels.source 'panel' leave it 'close'")
        return self


class SplitConfig(Frozen):
    """Fold roles in calendar order: train, search fold, confirm folds, hold-out. All counts are trading days."""

    search_days: int = Field(120, ge=2, description="days that score search trials")
    confirm_days: int = Field(60, ge=2, description="days that score one confirm fold")
    confirm_folds: int = Field(
        2, ge=0, le=8, description="number of confirm folds; 0: arms are compared on the search's own days, exploratory"
    )
    holdout_days: int = Field(120, ge=0, description="last days, which a sweep's store does not contain")
    holdout_from: dt.date | None = Field(None, description="first day of the hold-out, pinned; overrides the count")
    train_days: int | None = Field(None, ge=40, description="rolling training window; without it, it expands")
    embargo_days: int = Field(0, ge=0, description="extra days left out after the purge of horizon + delay")

    @classmethod
    def for_market(cls, num_days: int) -> SplitConfig:
        """Shares that suit a panel of `num_days`: 14 % search, 2 x 9 % confirm, 14 % hold-out."""
        share = {"search_days": 0.14, "confirm_days": 0.09, "holdout_days": HOLDOUT_SHARE}
        return cls(**{name: max(2, round(num_days * part)) for name, part in share.items()}, confirm_folds=2)


class NoGraphConfig(Frozen):
    """No edges are built; a graph block then refuses to start."""

    kind: Literal["none"] = "none"


class SectorGraphConfig(Frozen):
    """Static edges within a sector, up to `k` neighbours per stock; attributes as those of a correlation graph."""

    kind: Literal["sector"] = "sector"
    k: int = Field(20, ge=2, description="neighbours per stock, nearest in code order within the sector")
    refresh_days: int = Field(20, ge=1, description="days between rebuilds, for listings and sector changes")
    shuffled: bool = Field(False, description="placebo: edges permuted within the date, degrees kept")


class CorrelationGraphConfig(Frozen):
    """Top-k neighbours by trailing return correlation, rebuilt every `refresh_days`, never from the future."""

    kind: Literal["correlation"] = "correlation"
    method: Literal["pearson", "exponential", "rank"] = Field("pearson", description="kind of correlation")
    window: int = Field(60, ge=10, le=250, description="trailing days of the correlation")
    half_life: int = Field(20, ge=2, description="half-life in days of the exponential weights")
    lead_lag_window: int = Field(500, ge=20, description="trailing days of the lead-lag correlation")
    lead_lag_decay: float = Field(
        0.5, ge=0, lt=1, description="what of a source's move still counts one day later; 0: yesterday's alone leads"
    )
    shrinkage: float = Field(0.0, ge=0, lt=1, description="share by which correlations are drawn to their mean")
    k: int = Field(6, ge=1, description="neighbours per stock by correlation, before symmetrisation")
    lead_lag_k: int = Field(6, ge=0, description="and by lead-lag correlation: whose moves the stock's follow")
    min_correlation: float = Field(0.0, ge=-1, lt=1, description="neighbours must exceed it")
    min_degree: int = Field(0, ge=0, description="strongest neighbours that are kept below the threshold too")
    refresh_days: int = Field(5, ge=1, description="days between rebuilds; a day uses the last graph at or before it")
    shuffled: bool = Field(False, description="placebo: edges permuted within the date, degrees kept")

    @model_validator(mode="after")
    def _minimum_is_within_k(self) -> CorrelationGraphConfig:
        if self.min_degree > self.k:
            raise ValueError(f"min_degree must not exceed k {self.k}, got {self.min_degree}")
        return self


GraphConfig = Annotated[NoGraphConfig | SectorGraphConfig | CorrelationGraphConfig, Field(discriminator="kind")]


class InspectionConfig(Frozen):
    """Bounds that the inspection refuses beyond; raise one where your market really does this."""

    max_factor: float = Field(10.0, gt=1, description="largest one-day rise of a close, as a factor")
    max_fall: float = Field(100.0, gt=1, description="largest one-day fall of a close, as a factor")
    allow_leaks: tuple[str, ...] = Field((), description="features that may resemble a target")


class DataConfig(Frozen):
    """Everything that decides which numbers a trial sees."""

    horizons: tuple[int, ...] = Field((1, 5, 10, 20), min_length=1, description="label horizons in trading days")
    delay: int = Field(1, ge=0, le=20, description="days between the features' close and the entry")
    window: int = Field(20, ge=2, description="days of history that one prediction reads (L)")
    clip: float = Field(8.0, gt=0, description="bound of scaled features, in robust standard units")
    scaler: Literal["exact", "streaming"] = Field(
        "exact", description="median and IQR by sorting, or by a quantile sketch that reads the days once"
    )
    leave_out: tuple[Name, ...] = Field(
        (), description="features, by name or pattern, that a trial reads as nothing; the prepared market keeps them"
    )
    min_stocks: int = Field(10, ge=3, description="days with fewer usable stocks are left out")
    calendar: str = Field("panel", description="the panel's own dates, or an exchange's calendar such as XTKS, XNYS")
    columns: ColumnsConfig = ColumnsConfig()
    universe: UniverseConfig = UniverseConfig()
    labels: LabelConfig = LabelConfig()
    splits: SplitConfig = SplitConfig()
    graph: GraphConfig = CorrelationGraphConfig()
    inspection: InspectionConfig = InspectionConfig()

    @model_validator(mode="after")
    def _horizons_are_ordered(self) -> DataConfig:
        if list(self.horizons) != sorted(set(self.horizons)) or self.horizons[0] < 1:
            raise ValueError(f"horizons must be distinct, ascending and at least 1, got {self.horizons}")
        if self.labels.price == "open" and self.delay == 0:
            raise ValueError("labels.price 'open' must have a delay of at least 1: today's open is past at the close")
        return self

    @property
    def warm_up(self) -> int:
        """The earliest day that can be trained on: a window of features, and a graph where one is built."""
        graph_days = self.graph.window if isinstance(self.graph, CorrelationGraphConfig) else 0
        return max(self.window - 1, graph_days)

    @property
    def reach(self) -> int:
        """Days from a prediction to the last price of its longest label."""
        return self.horizons[-1] + self.delay

    @property
    def purge(self) -> int:
        """Days between two folds so that no label windows touch: longest horizon + delay (+ embargo)."""
        return self.reach + self.splits.embargo_days
