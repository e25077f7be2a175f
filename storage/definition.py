"""What a study is about, and how two definitions differ, setting by setting."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from storage.errors import StorageError

DEFINITION, EPOCHS = "definition", "epochs"  # names of a study's attribute, and of the budget in it
VALUES_FROM = "values_from"  # name of the attribute that is the number of the first trial whose value means the same
# What a value is a value of: once it has changed, older values cannot be compared with newer ones.
MEANING = ("cells", "folds.", "objectives", "reference.data.horizons", "reference.train.horizon_weights")


def plain(definition: Mapping[str, Any], epochs: int | None = None) -> dict[str, Any]:
    """As the store gives it back, with the epochs of a full trial, which may grow."""
    content: dict[str, Any] = json.loads(json.dumps(dict(definition) | ({} if epochs is None else {EPOCHS: epochs})))
    return content


def changes(
    known: Mapping[str, Any] | None, wanted: Mapping[str, Any], has_trials: bool, names: Mapping[str, str] | None = None
) -> list[str]:
    """What changed of a study; nothing before its first trial, until which its definition binds nobody.

    Args:
        known: definition of the study.
        wanted: likewise.
        has_trials: the study.
        names: setting -> what to say beside its change, of one that no reader knows by its value.
    """
    if known is None or not has_trials:
        return []
    told = names or {}
    lines = differences(known, wanted)
    return [f"{line} ({told[key]})" if (key := line.partition(":")[0]) in told else line for line in lines]


def differences(known: Mapping[str, Any], wanted: Mapping[str, Any]) -> list[str]:
    """'train.learning_rate: 0.001 -> 0.002' for every setting that is not the same; more epochs are no difference."""
    old, new = _flat(known), _flat(wanted)
    changed = [key for key in (*new, *(key for key in old if key not in new)) if old.get(key) != new.get(key)]
    grown = EPOCHS in new and new[EPOCHS] >= old.get(EPOCHS, 0)
    return [f"{key}: {old.get(key)} -> {new.get(key)}" for key in changed if not (key == EPOCHS and grown)]


def changes_values(changed: Sequence[str]) -> bool:
    """Whether values from before and after cannot be compared."""
    return any(line.startswith(MEANING) for line in changed)


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
