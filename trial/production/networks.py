"""A set of trained networks on disk: what they demand of a panel; configuration, weights and scaler of each."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch

from data.fingerprint import Fingerprint, take_fingerprint
from data.graph import EDGE_ATTRIBUTES
from data.scaler import RobustScaler
from data.store import MarketStore
from model.atft import ATFT
from model.protocols import Sizes
from search_spaces.config import TrialConfig
from storage.bundle import BundleError
from trial.predictions import PREDICTIONS, SCALER, WEIGHTS
from trial.production.baseline import Baseline, take_baseline
from trial.production.contract import Contract, history_needed

CONFIG, FEATURES, SET = "config.yaml", "features.json", "set.json"
UNSCORED = "through-"  # how sets are named that nobody has scored
FINGERPRINT, BASELINE = "fingerprint.npz", "baseline.npz"


@dataclass(frozen=True, eq=False)
class Member:
    """One network, in evaluation."""

    folder: Path
    config: TrialConfig
    model: ATFT
    scaler: RobustScaler

    @property
    def predictions(self) -> Path:
        """What it said when it was exported."""
        return self.folder / PREDICTIONS


@dataclass(frozen=True, eq=False)
class Networks:
    """Members that learned from the same days of the same columns."""

    folder: Path
    about: str
    contract: Contract
    fingerprint: Fingerprint
    baseline: Baseline
    members: tuple[Member, ...]
    shares: tuple[float, ...]  # how often each member counts
    trained_through: dt.date  # the last day that was learned from
    known_through: dt.date  # the last day that was there to be learned from, chosen by, or scored on
    held_out_through: dt.date | None  # the last day of the hold-out of their sweep's market

    @property
    def judged_after(self) -> dt.date:
        """Later days alone may be scored: the hold-out before it is read by `trial.holdout`, once and written down."""
        return max(self.known_through, self.held_out_through or self.known_through)

    @property
    def name(self) -> str:
        return self.folder.name

    @property
    def was_scored(self) -> bool:
        """Whether its members' predictions are of days that they had not learned from."""
        return not self.name.startswith(UNSCORED)

    @property
    def horizons(self) -> tuple[int, ...]:
        return self.members[0].config.data.horizons

    @property
    def history_needed(self) -> int:
        """Days before a scored one that the member who looks back furthest reads."""
        return max(history_needed(member.config.data) for member in self.members)

    def alone(self, place: int) -> Networks:
        """One member by itself."""
        return replace(self, members=(self.members[place],), shares=(1.0,))


def write_networks(
    folder: Path,
    store: MarketStore,
    train: range,
    configs: Sequence[TrialConfig],
    about: str,
    held_out_through: str | None,
    shares: Sequence[float] | None = None,
) -> None:
    """All of a set but what its members leave, for whose files it makes a folder each.

    Args:
        folder: of the set.
        store: that its networks learned from.
        train: days of it.
        configs: of the members.
        about: what the set is, for people.
        held_out_through: last day of the hold-out of the sweep that chose them, ISO; None: nothing was held out.
        shares: how often each member counts; None: all alike.
    """
    for place, config in enumerate(configs):
        (folder / str(place)).mkdir(parents=True)
        (folder / str(place) / CONFIG).write_text(config.to_yaml())
    (folder / FEATURES).write_text(Contract.of(store).model_dump_json(indent=1) + "\n")
    take_fingerprint(store, train).save(folder / FINGERPRINT)
    take_baseline(store, train).save(folder / BASELINE)
    dates = store.meta.dates
    days = {"learned_from": dates[train[0]], "trained_through": dates[train[-1]], "known_through": dates[-1]}
    held_out = {"held_out_through": held_out_through}
    counts = {"num_members": len(configs), "shares": list(shares or [1.0] * len(configs))}
    write_json(folder / SET, {"about": about, **days, **held_out, **counts})


def read_networks(folder: Path, device: str = "cpu") -> Networks:
    """Loads a set, strictly: every tensor of every network, no more and no less.

    Raises:
        BundleError: weights that do not fit their network.
        DataError: this program computes other features than the networks learned from.
    """
    contract = Contract.model_validate_json((folder / FEATURES).read_text())
    contract.refuse_other_code()
    content = json.loads((folder / SET).read_text())
    if "held_out_through" not in content:
        raise BundleError(f"a set must say through which day its sweep held out days; {folder} is older. Export again.")
    held_out = content["held_out_through"]
    return Networks(
        folder=folder,
        about=content["about"],
        contract=contract,
        fingerprint=Fingerprint.load(folder / FINGERPRINT),
        baseline=Baseline.load(folder / BASELINE),
        members=tuple(_member(folder / str(place), contract, device) for place in range(content["num_members"])),
        shares=tuple(content["shares"]),
        trained_through=dt.date.fromisoformat(content["trained_through"]),
        known_through=dt.date.fromisoformat(content["known_through"]),
        held_out_through=None if held_out is None else dt.date.fromisoformat(held_out),
    )


def _member(folder: Path, contract: Contract, device: str) -> Member:
    config = TrialConfig.from_yaml((folder / CONFIG).read_text())
    sizes = Sizes(
        features=len(contract.features),
        hidden=config.model.hidden,
        window=config.data.window,
        edge_attributes=len(EDGE_ATTRIBUTES),
        horizons=len(config.data.horizons),
        sectors=1 + len(contract.sectors),
    )
    model = ATFT(config.model, sizes, config.seed)
    try:
        model.load_state_dict(safetensors.torch.load_file(folder / WEIGHTS), strict=True)
    except (RuntimeError, safetensors.SafetensorError) as error:
        raise BundleError(f"weights must fit their network, but {folder / WEIGHTS} do not: {error}") from error
    scaler = RobustScaler.from_dict(json.loads((folder / SCALER).read_text()))
    return Member(folder, config, model.to(torch.device(device)).eval(), scaler)


def write_json(path: Path, content: Any) -> None:
    """Indented, for people who look into a bundle."""
    path.write_text(json.dumps(content, indent=1, default=str) + "\n")
