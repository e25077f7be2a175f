"""Networks for production: one folder, read back strictly; `storage/bundle.py` proves that it is whole.

MANIFEST.json     SHA-256 of every file            model_card.md      what it is, for people
config.yaml       of the first member              metrics.json       its figures, with intervals
provenance.json   where it came from               expected.json      what RankIC to expect
monitor.yaml      the monitor's thresholds
confirmed/        the networks that the figures are of; trial-<n>/ or greedy/ where those were asked for
through-<date>/   the same configurations, learned through a later day
    set.json            days that were learned from
    features.json       what they demand of a panel
    fingerprint.npz     what its columns looked like
    baseline.npz        how its features were distributed
    <k>/                config.yaml, weights.safetensors, scaler.json, predictions.parquet of member k
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from storage.bundle import BundleError, verify
from trial.production.networks import SET, Networks, read_networks

METRICS, PROVENANCE, CARD = "metrics.json", "provenance.json", "model_card.md"


@dataclass(frozen=True, eq=False)
class Bundle:
    """A verified bundle, one set of its networks loaded."""

    folder: Path
    sha256: str  # of the manifest
    sets: tuple[str, ...]  # all that it has
    networks: Networks

    def __str__(self) -> str:
        return f"{self.folder.resolve().name} {self.sha256[:16]}"


def read_bundle(folder: Path, chosen: str | None = None, device: str = "cpu") -> Bundle:
    """Verifies a bundle and loads its networks.

    Args:
        folder: of the bundle.
        chosen: set of networks. None: the one that learned through the latest day.
        device: of the networks.

    Raises:
        BundleError: a file is missing, altered or strange, there is no such set, or weights that do not fit.
        DataError: this program computes other features than the networks learned from.
    """
    sha256 = verify(folder)
    through = {path.parent.name: _trained_through(path) for path in sorted(folder.glob(f"*/{SET}"))}
    if chosen is not None and chosen not in through:
        raise BundleError(f"the weights must be one of {', '.join(through)}, got {chosen!r}.")
    name = chosen or max(through, key=lambda each: through[each])
    return Bundle(folder, sha256, tuple(through), read_networks(folder / name, device))


def _trained_through(path: Path) -> str:
    return str(json.loads(path.read_text())["trained_through"])
