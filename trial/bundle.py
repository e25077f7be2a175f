"""A network for production: one folder, read back strictly; `storage/bundle.py` proves that it is whole.

MANIFEST.json     SHA-256 of every file            model_card.md      what it is, for people
config.yaml       of the first member              metrics.json       its figures, with intervals
features.json     what it demands of a panel       provenance.json    where it came from
fingerprint.npz   what its columns looked like
<set>/set.json    days that were learned from
<set>/<k>/        config.yaml, weights.safetensors, scaler.json, predictions.parquet of member k
"""

from __future__ import annotations

import datetime as dt
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch

from data.fingerprint import Fingerprint
from data.graph import EDGE_ATTRIBUTES
from data.scaler import RobustScaler
from model.atft import ATFT
from model.protocols import Sizes
from search_spaces.config import TrialConfig
from storage.bundle import BundleError, verify
from trial.contract import Contract
from trial.predictions import PREDICTIONS, SCALER, WEIGHTS

CONFIG, FEATURES, FINGERPRINT, METRICS = "config.yaml", "features.json", "fingerprint.npz", "metrics.json"
PROVENANCE, CARD, SET = "provenance.json", "model_card.md", "set.json"
CONFIRMED = "confirmed"  # the set that the figures are of


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
class Bundle:
    """A verified bundle, one set of its weights loaded."""

    folder: Path
    sha256: str  # of the manifest
    contract: Contract
    fingerprint: Fingerprint
    members: tuple[Member, ...]
    set_name: str
    set_names: tuple[str, ...]  # all that it has
    trained_through: dt.date  # the last day that was learned from

    @property
    def horizons(self) -> tuple[int, ...]:
        return self.members[0].config.data.horizons


def read_bundle(folder: Path, set_name: str | None = None, device: str = "cpu") -> Bundle:
    """Loads a bundle, strictly: every tensor of every network, no more and no less.

    Args:
        folder: of the bundle.
        set_name: of the weights: `confirmed`, or one that `--through` made. None: the one that learned from most days.
        device: of the networks.

    Raises:
        BundleError: a file is missing, altered or strange, there is no such set, or weights that do not fit.
        DataError: this program computes other features than the network learned from.
    """
    sha256 = verify(folder)
    contract = Contract.model_validate_json((folder / FEATURES).read_text())
    contract.refuse_other_code()
    sets = {path.parent.name: json.loads(path.read_text()) for path in sorted(folder.glob(f"*/{SET}"))}
    if set_name is not None and set_name not in sets:
        raise BundleError(f"the weights must be one of {', '.join(sets)}, got {set_name!r}.")
    chosen = set_name or max(sets, key=lambda name: sets[name]["trained_through"])
    members = tuple(
        _member(folder / chosen / str(place), contract, device) for place in range(sets[chosen]["num_members"])
    )
    return Bundle(
        folder=folder,
        sha256=sha256,
        contract=contract,
        fingerprint=Fingerprint.load(folder / FINGERPRINT),
        members=members,
        set_name=chosen,
        set_names=tuple(sets),
        trained_through=dt.date.fromisoformat(sets[chosen]["trained_through"]),
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
