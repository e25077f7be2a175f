"""What the columns of a panel are: roles found by name or by the config, features, groups, and what is left out."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from itertools import accumulate, pairwise

import pandas as pd
import pyarrow as pa

from data.config import DataConfig
from data.errors import DataError
from data.features import FEATURES
from data.source import FILE_NAME, Source, is_text

PRICES = ("open", "high", "low", "close")
LABELS = ("sector", "industry", "section", "security_type")
ENOUGH_OWN = 10  # own columns from which `auto` takes them for the features

# Usual names per role, the first one that is there wins; compared without case, '_', '-' and blanks.
USUAL: dict[str, tuple[str, ...]] = {
    "date": ("date", "tradedate", "tradingdate", "datetime", "timestamp", "day", "ymd"),
    "code": ("code", "localcode", "ticker", "symbol", "securitycode", "stockcode", "asset", "instrument", "sid"),
    "volume": ("adjustmentvolume", "adjvolume", "volume", "vol", "tradingvolume"),
    "turnover": ("turnovervalue", "tradingvalue", "dollarvolume", "amount"),
    "returns": ("returns1d", "return1d", "ret1d", "dailyreturn", "returns"),
    "borrow_fee": ("borrowfee", "borrowrate", "lendingfee", "lendingrate", "stockloanfee", "shortfee"),
    "shortable": ("shortable", "isshortable", "shortsellable", "lendable"),
    "sector": ("sector", "sector17code", "gicssector", "sector17", "sectorcode", "sector33code", "sector33"),
    "industry": ("industry", "sector33code", "gicsindustry", "subindustry", "sector33", "industrycode"),
    "section": ("section", "marketcode", "listingsection", "marketsection", "marketsegment"),
    "security_type": ("securitytype", "instrumenttype"),
}
OPTIONAL = ("volume", "turnover", "returns", "borrow_fee", "shortable")  # numeric roles beside the prices
ALSO_FEATURES = ("returns", "borrow_fee", "shortable")  # a column of these may be learned from as well
PRICE_SETS = tuple({role: f"{prefix}{role}" for role in PRICES} for prefix in ("adjustment", "adjusted", "adj", ""))
ADJUSTED_CLOSES = {_prices["close"] for _prices in PRICE_SETS[:-1]}
EXCLUDED, TEXT = "excluded", "text is no number"
TARGET = re.compile(r"^(?:target|label|y)[_-]?(\d+)d?$", re.IGNORECASE)
FORWARD = re.compile(r"^(target|label|y|fwd|future|next|forward_?ret\w*)(?=[_-]|\d|$)", re.IGNORECASE)
ROW_NUMBER = re.compile(r"^(__index_level_\d+__|Unnamed: ?\d+|index|row_?(idx|id|number|nr))$", re.IGNORECASE)
NAMED_BY_NUMBER = re.compile(r"(code|id|isin|sector|industry|date|time|year)\w*$", re.IGNORECASE)
PERIODIC = re.compile(r"^(stmt|statement|fin|fundamental|eps|margin|weekly|flow|investor|short_?sell)", re.IGNORECASE)


@dataclass(frozen=True)
class Group:
    """Own features that share a publication lag, contiguous in the store."""

    name: str  # "" for those that are known on their day
    columns: tuple[str, ...]
    lag: int


@dataclass(frozen=True)
class Columns:
    """The panel's columns by meaning, settled once; later code asks no more."""

    roles: dict[str, str]  # role -> column
    targets: dict[int, str]  # horizon -> column; empty where labels come from prices
    built_in: tuple[str, ...]  # features that are computed from OHLCV; empty where none are
    groups: tuple[Group, ...]  # the panel's own features, in the store's order
    unused: dict[str, str]  # column -> why it is no feature
    unlagged: tuple[str, ...]  # features whose names speak of periodic publication, without a lag
    spare_targets: tuple[str, ...] = ()  # the user's own for some horizons, unused because the others have none
    numbers_as_text: tuple[str, ...] = ()  # text columns that are no features, though numbers stand in them

    @property
    def unused_adjusted_close(self) -> str | None:
        """An adjusted close that is left aside for a raw one, because the other prices have no adjusted ones."""
        raw = _plain(self.roles.get("close", "")) == "close"
        adjusted = [name for name in self.unused if _plain(name) in ADJUSTED_CLOSES]
        return adjusted[0] if raw and adjusted and self.unused[adjusted[0]] != EXCLUDED else None

    @property
    def own(self) -> list[str]:
        """Own features in the store's order."""
        return [column for group in self.groups for column in group.columns]

    def slices(self, first: int) -> list[slice]:
        """Where each group's columns lie in an array whose own features begin at `first`."""
        ends = accumulate((len(group.columns) for group in self.groups), initial=first)
        return [slice(start, stop) for start, stop in pairwise(ends)]

    @property
    def bars(self) -> list[str]:
        """Numeric roles that are there, in a fixed order: what `bars.npy` holds."""
        return [role for role in (*PRICES, *OPTIONAL) if role in self.roles]

    @property
    def labels(self) -> list[str]:
        """Text roles that are there: sector, industry, section, security type."""
        return [role for role in LABELS if role in self.roles]


def settle_columns(source: Source, config: DataConfig) -> Columns:
    """Finds every column's meaning.

    Raises:
        DataError: a named column that is not there, or none for a role that is needed.
    """
    names = list(source.schema)
    roles = _roles(source, config)
    targets, spare = _targets(names, roles, config)
    taken = {*roles.values(), *targets.values()} - {roles.get(role, "") for role in ALSO_FEATURES}
    own, unused = _own_features(source, config, taken)
    is_built_in = _is_built_in(roles, own, config)
    _refuse_idle_exclusions(names, is_built_in, config)
    built_in = tuple(n for n in FEATURES if not _matches(n, config.columns.exclude)) if is_built_in else ()
    if config.columns.features == "built_in" or (config.columns.features == "auto" and is_built_in):
        unused |= dict.fromkeys(own, "columns.features own or both would take it")
        own = []
    if is_built_in and not built_in and not own:
        raise DataError("columns.exclude must leave features to learn from, but it leaves out every one.")
    if not built_in and not own:
        raise DataError(
            f"a panel must bring open, high, low, close and volume, or features of its own, but {source.path} has "
            f"{_list(names)}. Name its columns in data.columns."
        )
    groups = _groups(own, names, config)
    lagged = {column for group in groups if group.name for column in group.columns}
    unlagged = tuple(name for name in own if PERIODIC.match(name) and name not in lagged)
    _refuse_unknown_leaks(names, config)
    texts = [name for name, why in unused.items() if why == TEXT and not NAMED_BY_NUMBER.search(name)]
    return Columns(roles, targets, built_in, groups, unused, unlagged, spare, _numbers_as_text(source, texts))


def _roles(source: Source, config: DataConfig) -> dict[str, str]:
    names = list(source.schema)
    roles = {role: name for role in (*USUAL, *PRICES) if (name := getattr(config.columns, role)) is not None}
    missing = {role: name for role, name in roles.items() if name not in names}
    if missing:
        told = ", ".join(f"columns.{role} {name!r}" for role, name in missing.items())
        raise DataError(f"a named column must be in the panel, but {told} is not; it has {_list(names)}.")
    usual = {_plain(name): name for name in reversed(names)}
    for role, candidates in USUAL.items():
        found = next((usual[name] for name in candidates if name in usual and usual[name] not in roles.values()), None)
        if role not in roles and found is not None:
            _refuse_twins(role, found, names)
            roles[role] = found
    prices = next((s for s in PRICE_SETS if all(s[role] in usual for role in PRICES)), PRICE_SETS[-1])
    for role in PRICES:
        if role not in roles and prices[role] in usual:
            _refuse_twins(role, usual[prices[role]], names)
            roles[role] = usual[prices[role]]
    for role in ("date", "code"):
        if role not in roles and len(source.files) > 1 and FILE_NAME not in roles.values():
            roles[role] = FILE_NAME
        if role not in roles:
            raise DataError(
                f"a panel needs a {role} column, but {source.path} has {_list(names)}. Rename it, or name it in "
                f"data.columns.{role}."
            )
        if lacking := source.lacking(roles[role]):
            raise DataError(
                f"every file of a panel must have the column {roles[role]}, but {lacking} of {len(source.files)} lack "
                f"it. Remove them or write them again."
            )
    return roles


def _refuse_twins(role: str, found: str, names: list[str]) -> None:
    """Two columns of one name but for case and blanks: nobody can guess which is meant."""
    twins = [name for name in names if _plain(name) == _plain(found)]
    if len(twins) > 1:
        raise DataError(
            f"a panel must have one column for the {role}, but {_list(twins)} could each be it. Name the right one in "
            f"data.columns.{role}."
        )


def _refuse_unknown_leaks(names: list[str], config: DataConfig) -> None:
    unknown = [name for name in config.inspection.allow_leaks if name not in names]
    if unknown:
        raise DataError(
            f"inspection.allow_leaks must name columns of the panel, but {_list(unknown)} is none; it has "
            f"{_list(names)}."
        )


def _targets(names: list[str], roles: dict[str, str], config: DataConfig) -> tuple[dict[int, str], tuple[str, ...]]:
    """The user's own forward returns where every horizon has one, and those that are left aside where not all do."""
    if config.labels.source == "none":
        return {}, ()
    found = dict(config.columns.targets)
    for name in names if not found else ():
        if match := TARGET.match(name):
            found.setdefault(int(match[1]), name)
    if absent := [name for name in found.values() if name not in names]:
        raise DataError(f"a target must be a column of the panel, but {_list(absent)} is not; it has {_list(names)}.")
    missing = [h for h in config.horizons if h not in found]
    if missing and config.columns.targets and config.labels.source != "prices":
        raise DataError(
            f"columns.targets must name a column for every horizon of {config.horizons}, but there is none for "
            f"{_list(missing)}. Add them, change horizons, or set labels.source to prices."
        )
    has_prices = config.labels.price in roles
    spare: tuple[str, ...] = ()
    if config.labels.source == "prices":
        found = {}
    elif config.labels.source == "auto" and missing and has_prices:
        spare = tuple(name for horizon, name in found.items() if horizon in config.horizons)
        found = {}
    elif missing and config.labels.source == "panel":
        raise DataError(
            f"labels.source panel needs a target column for every horizon of {config.horizons}, but there is none for "
            f"{_list(missing)}; the panel has {_list(names)}. Name them in data.columns.targets, or change horizons."
        )
    elif missing:
        raise DataError(
            f"labels need the column {config.labels.price}, or a target column for every horizon of {config.horizons}, "
            f"but the panel has neither (no target for {_list(missing)}); it has {_list(names)}. Name them in "
            f"data.columns, or change horizons."
        )
    if not found and not has_prices:
        raise DataError(f"labels from prices need the column {config.labels.price}. Name it in data.columns.")
    if found and config.labels.price != "close":
        raise DataError(
            f"labels.price says how prices become labels, but here the panel's own "
            f"{_list(found[h] for h in config.horizons)} are the labels. Set labels.source to prices, or leave "
            f"labels.price out."
        )
    return {h: found[h] for h in config.horizons} if found else {}, spare


def _own_features(source: Source, config: DataConfig, taken: set[str]) -> tuple[list[str], dict[str, str]]:
    own: list[str] = []
    unused: dict[str, str] = {}
    for name, kind in source.schema.items():
        if name in taken or name == FILE_NAME or name in source.partition_keys:
            continue
        if _matches(name, config.columns.exclude):
            unused[name] = EXCLUDED
        elif FORWARD.match(name) or name in config.columns.targets.values():
            unused[name] = "its name speaks of the future"
        elif ROW_NUMBER.match(name):
            unused[name] = "a row number is no feature"
        elif not _is_number(kind):
            unused[name] = TEXT if is_text(kind) else f"{kind} is no number"
        elif _is_price(name):
            unused[name] = "a level of price or volume is no feature"
        else:
            own.append(name)
    return own, unused


def _refuse_idle_exclusions(names: list[str], is_built_in: bool, config: DataConfig) -> None:
    known = [*names, *(FEATURES if is_built_in else ())]
    if idle := [p for p in config.columns.exclude if not any(fnmatchcase(name, p) for name in known)]:
        computed = ", or features that are computed from OHLCV" if is_built_in else ""
        raise DataError(f"columns.exclude must name columns of the panel{computed}, but {_list(idle)} matches none.")


def _numbers_as_text(source: Source, names: list[str]) -> tuple[str, ...]:
    """Those whose first values are numbers."""
    first = next(source.batches(names, 1000, source.row_groups[:1]), None) if names else None
    if first is None:
        return ()
    return tuple(n for n in names if pd.to_numeric(first[1].column(n).to_pandas().dropna(), "coerce").notna().any())


def _is_built_in(roles: dict[str, str], own: list[str], config: DataConfig) -> bool:
    complete = all(role in roles for role in (*PRICES, "volume"))
    wanted = config.columns.features
    if wanted in ("built_in", "both") and not complete:
        lacking = [role for role in (*PRICES, "volume") if role not in roles]
        raise DataError(
            f"features from OHLCV need open, high, low, close and volume, but the panel lacks {_list(lacking)}. Name "
            f"them in data.columns, or set columns.features to own."
        )
    if wanted == "auto":
        return complete and len(own) < ENOUGH_OWN
    return wanted != "own"


def _groups(own: list[str], names: list[str], config: DataConfig) -> tuple[Group, ...]:
    """Features known on their day first, then each group; a column belongs to the group that names it, or else to the
    first one with a pattern for it.
    """
    left, groups = list(own), []
    for name, group in config.columns.groups.items():
        if idle := [p for p in group.columns if not any(fnmatchcase(column, p) for column in names)]:
            raise DataError(f"columns.groups.{name} must name columns of the panel, but {_list(idle)} matches none.")
        named_elsewhere = {c for other, g in config.columns.groups.items() if other != name for c in g.columns}
        if twice := sorted(named_elsewhere & set(group.columns)):
            raise DataError(
                f"a column must be named in one group, but {_list(twice)} of columns.groups.{name} is in another one "
                f"too. Leave it out of one of them."
            )
        members = tuple(c for c in left if _matches(c, group.columns) and c not in named_elsewhere)
        left = [column for column in left if column not in members]
        if members:
            groups.append(Group(name, members, group.publication_lag))
    first = [Group("", tuple(left), 0)] if left else []
    return (*first, *groups)


def _matches(name: str, patterns: Iterable[str]) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns)


def _is_number(kind: pa.DataType) -> bool:
    of = pa.types
    kinds = (of.is_integer, of.is_floating, of.is_boolean, of.is_decimal, of.is_null)  # null: a column of nothing else
    return any(is_kind(kind) for is_kind in kinds)


def _is_price(name: str) -> bool:
    plain = _plain(name)
    levels = {price for prices in PRICE_SETS for price in prices.values()}
    return plain in levels or plain in ("volume", "adjustmentvolume", "adjustmentfactor", "vwap", "turnovervalue")


def _plain(name: str) -> str:
    return re.sub(r"[\s_\-]", "", name).lower()


def _list(names: Iterable[object], limit: int = 20) -> str:
    shown = [str(name) for name in names]
    more = f" and {len(shown) - limit} more" if len(shown) > limit else ""
    return ", ".join(shown[:limit]) + more
