"""What a study is about, and how two definitions differ, setting by setting."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from storage.errors import StorageError

DEFINITION, EPOCHS = "definition", "epochs"  # names of a study's attribute, and of the budget in it


def plain(definition: Mapping[str, Any], epochs: int | None = None) -> dict[str, Any]:
    """As the store gives it back, with the epochs of a full trial, which may grow."""
    content: dict[str, Any] = json.loads(json.dumps(dict(definition) | ({} if epochs is None else {EPOCHS: epochs})))
    return content


def changes(known: Mapping[str, Any] | None, wanted: Mapping[str, Any], has_trials: bool) -> list[str]:
    """What changed of a study; nothing before its first trial, until which its definition binds nobody."""
    return differences(known, wanted) if known is not None and has_trials else []


def differences(known: Mapping[str, Any], wanted: Mapping[str, Any]) -> list[str]:
    """'train.learning_rate: 0.001 -> 0.002' for every setting that is not the same; more epochs are no difference."""
    old, new = _flat(known), _flat(wanted)
    changed = [key for key in (*new, *(key for key in old if key not in new)) if old.get(key) != new.get(key)]
    grown = EPOCHS in new and new[EPOCHS] >= old.get(EPOCHS, 0)
    return [f"{key}: {old.get(key)} -> {new.get(key)}" for key in changed if not (key == EPOCHS and grown)]


def refuse_changed(study: str, changed: list[str]) -> None:
    """
    Raises:
        StorageError: something changed; names what, from what, to what.
    """
    if changed:
        raise StorageError(
            f"a study keeps its definition, but for {study!r} these changed:\n  "
            + "\n  ".join(changed)
            + "\nTake them over with --accept-changes, or use another --name."
        )


def _flat(content: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in content.items():
        flat |= _flat(value, f"{prefix}{key}.") if isinstance(value, Mapping) else {f"{prefix}{key}": value}
    return flat
