"""A bundle is proved before it is published: loaded in a fresh process, which must predict what was predicted."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from data.store import MarketStore
from storage.bundle import BundleError


def prove(scratch: Path, name: str, weights: str, market: MarketStore) -> list[str]:
    """What the process said, of a sealed folder.

    Args:
        scratch: the folder, before it is published.
        name: that it will have.
        weights: set of its networks.
        market: that they learned from.

    Raises:
        BundleError: it does not load, or predicts otherwise.
    """
    place = ("--weights", weights, "--market", str(market.folder))
    command = [sys.executable, "-m", "trial.verify", str(scratch), *place]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise BundleError(f"a bundle must be proved before it is published, but: {done.stderr.strip()}")
    return done.stdout.strip().replace(scratch.name, name).splitlines()
