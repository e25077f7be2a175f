"""Objects that Ray wants to pickle into its own bookkeeping, which nothing here ever reads back."""

from __future__ import annotations


class Unsaved:
    """Pickles as an empty shell: the study is the state, and starting again is resuming."""

    def __getstate__(self) -> dict[str, object]:
        return {}
