"""A bundle by its folder, or as `champion:NAME`: the one that a sweep's registry says works now."""

from __future__ import annotations

from pathlib import Path

from storage.bundle import BundleError
from storage.database import open_existing
from storage.errors import StorageError
from storage.registry import Entry, read_registry
from trial.options import url_of
from trial.production.bundle import Bundle, read_bundle

CHAMPION = "champion:"


def open_bundle(place: Path, weights: str | None, runs: Path | None, storage: str | None) -> Bundle:
    """Verified, one set of its networks loaded.

    Args:
        place: folder, or champion:NAME.
        weights: set of networks. None: the champion's own, or the one that learned through the latest day.
        runs: folder of runs.
        storage: database of the registry.

    Raises:
        StorageError: no champion, or one whose folder is another bundle now.
    """
    name = str(place)
    if not name.startswith(CHAMPION):
        return read_bundle(place, weights)
    sweep = name.removeprefix(CHAMPION)
    champion = read_registry(open_existing(url_of(storage, runs)), sweep).champion
    if champion is None:
        raise StorageError(
            f"{name} needs a bundle that was promoted, but {sweep} has none. Promote one: python -m trial.registry add "
            f"{sweep} BUNDLE, then promote {sweep}."
        )
    return open_entry(champion, weights)


def open_entry(entry: Entry, weights: str | None = None) -> Bundle:
    """Of the registry; raises BundleError where its folder holds another bundle now."""
    found = read_bundle(Path(entry.folder), weights or entry.weights)
    if found.sha256 != entry.sha256:
        raise BundleError(
            f"a registered bundle must stay as it was, but {entry.folder} holds {found.sha256[:12]} and not "
            f"{entry.short}. Export to another folder, or register this one."
        )
    return found


def entry_of(bundle: Bundle) -> Entry:
    """To be registered."""
    networks = bundle.networks
    return Entry(bundle.sha256, networks.name, str(bundle.folder.resolve()), networks.known_through.isoformat())
