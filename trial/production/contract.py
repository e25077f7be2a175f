"""What a network demands of a panel: columns by name and order, the sectors that it knows, versions of the code."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import re
from fnmatch import fnmatchcase
from itertools import takewhile
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import BaseModel, ConfigDict

from data.columns import settle_columns
from data.config import ColumnsConfig, DataConfig, LabelConfig, SplitConfig
from data.errors import DataError
from data.features import FEATURES, REACH
from data.graph import GRAPH_VERSION
from data.keys import FEATURES_VERSION
from data.source import FILE_NAME, Source
from data.store import MarketStore

SHOWN = 8  # columns that a message names
FOR_BACKTESTS = ("borrow_fee", "shortable")  # roles that no score depends on, unless they are features too


class Contract(BaseModel):
    """Of the market that a network learned from; `features.json` of a bundle."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    features: list[str]  # in the order in which the network reads them
    num_built_in: int  # of them, which are computed from OHLCV and come first
    roles: dict[str, str]  # role -> the panel's column
    targets: dict[str, str]  # horizon -> the panel's column; empty where labels came from prices
    sectors: list[str]  # code k of the network is sector k - 1, 0 is unknown
    features_version: int
    graph_version: int
    sha256: str  # of the features, in their order

    @classmethod
    def of(cls, store: MarketStore) -> Contract:
        """What a network of this market reads."""
        features = store.meta.features
        built_in = takewhile(FEATURES.__contains__, features) if store.meta.built_in else ()
        return cls(
            features=features,
            num_built_in=len(list(built_in)),
            roles={role: name for role, name in store.meta.roles.items() if _decides(role, name, features)},
            targets=store.meta.targets,
            sectors=store.meta.vocabularies.get("sector", []),
            features_version=FEATURES_VERSION,
            graph_version=GRAPH_VERSION,
            sha256=_hash(features),
        )

    def refuse_other_code(self) -> None:
        """Raises DataError where this program computes other features, or other edges, of the same prices."""
        then, now = (self.features_version, self.graph_version), (FEATURES_VERSION, GRAPH_VERSION)
        if then != now or self.sha256 != _hash(self.features):
            raise DataError(
                f"a bundle must be used with the features and edges that its network learned from, versions {then}, "
                f"but this program computes {now}. Use the version that exported it, or export again."
            )

    def settings_for(self, panel: Path, config: DataConfig) -> DataConfig:
        """To be predicted: the network's data settings for another panel, of which nothing is held out or labelled.

        Raises:
            DataError: the panel lacks columns; names them.
        """
        return self._pinned(panel, config, LabelConfig(source="none"), SplitConfig(holdout_days=0))

    def settings_watched(self, panel: Path, config: DataConfig) -> DataConfig:
        """To be predicted and scored: with labels as they were learned, if the panel has what they are made of.

        Raises:
            DataError: the panel lacks columns; names them.
        """
        labels = config.labels
        if set(self.targets.values()) <= set(Source.open(panel).schema):
            source = "panel" if self.targets else "prices"
            return self._pinned(
                panel, config, labels.model_copy(update={"source": source}), SplitConfig(holdout_days=0)
            )
        return self.settings_for(panel, config)

    def settings_through(self, panel: Path, config: DataConfig, last: dt.date) -> DataConfig:
        """To be learned from: the same with its labels, and with every day after `last` held out.

        Raises:
            DataError: the panel lacks columns; names them.
        """
        splits = config.splits.model_dump() | {"holdout_from": last + dt.timedelta(days=1)}
        return self._pinned(panel, config, config.labels, SplitConfig.model_validate(splits))

    def _pinned(self, panel: Path, config: DataConfig, labels: LabelConfig, splits: SplitConfig) -> DataConfig:
        """Every column named: another panel is read as the first one was, and what it has besides is left aside."""
        source = Source.open(panel)
        roles = {role: name for role, name in self.roles.items() if name != FILE_NAME}
        self.refuse_lacking(source)
        known = set(source.schema)
        exclude = tuple(
            pattern for pattern in config.columns.exclude if _matches_any(pattern, [*known, *self.features])
        )
        columns = ColumnsConfig.model_validate(
            config.columns.model_dump() | roles | {"features": self._kind(), "exclude": exclude}
        )
        wanted = config.model_copy(update={"columns": columns, "labels": labels, "splits": splits})
        strange = [name for name in settle_columns(source, wanted).own if name not in self.features]
        columns = columns.model_copy(update={"exclude": (*exclude, *(_literal(name) for name in strange))})
        return wanted.model_copy(update={"columns": columns})

    def order(self, store: MarketStore) -> np.ndarray:
        """[F] where the network's features stand in a store of another panel.

        Raises:
            DataError: one is not there.
        """
        place = {name: number for number, name in enumerate(store.meta.features)}
        if missing := [name for name in self.features if name not in place]:
            raise DataError(
                f"a panel must give the {len(self.features)} features of the network, but {_list(missing)} are not."
            )
        return np.array([place[name] for name in self.features])

    def sector_codes(self, store: MarketStore) -> np.ndarray:
        """[codes of the store] -> the network's code; 0, unknown, for a sector that it has not seen."""
        known = {name: code for code, name in enumerate(self.sectors, start=1)}
        return np.array([0, *(known.get(name, 0) for name in store.meta.vocabularies.get("sector", []))], np.int64)

    def _kind(self) -> str:
        own = len(self.features) - self.num_built_in
        return "both" if own and self.num_built_in else "own" if own else "built_in"

    def refuse_lacking(self, source: Source) -> None:
        """Raises DataError where a panel lacks columns; names them."""
        own = self.features[self.num_built_in :]
        wanted = [name for name in dict.fromkeys([*self.roles.values(), *own]) if name != FILE_NAME]
        if missing := [name for name in wanted if name not in source.schema]:
            strange = [name for name in source.schema if name not in wanted]
            others = f"; it has {_list(strange)}, which the network does not know" if strange else ""
            raise DataError(
                f"a panel must have the columns that the network learned from, but {source.path} lacks {_list(missing)}"
                f"{others}. Give them the names that they had."
            )


def _decides(role: str, name: str, features: list[str]) -> bool:
    return role not in FOR_BACKTESTS or name in features


def history_needed(config: DataConfig) -> int:
    """Days before a scored one after which nothing that was before them is read."""
    graph: Any = config.graph
    reach = max(getattr(graph, "window", 0), getattr(graph, "lead_lag_window", 0)) + getattr(graph, "refresh_days", 0)
    return max(REACH + config.window, reach)


def _hash(features: list[str]) -> str:
    return hashlib.sha256(json.dumps(features).encode()).hexdigest()


def _matches_any(pattern: str, names: list[str]) -> bool:
    return any(fnmatchcase(name, pattern) for name in names)


def _literal(name: str) -> str:
    """A pattern that matches this name alone."""
    return re.sub(r"([*?\[])", r"[\1]", name)


def _list(names: list[str]) -> str:
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more
