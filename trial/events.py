"""What happens to a trial besides its numbers, in a word for programs and a sentence for people."""

from __future__ import annotations

from dataclasses import asdict, dataclass


@dataclass(frozen=True)
class Event:
    """Goes with the epoch in which it happened: into the checkpoint, the store and the report."""

    kind: str  # reason code: "oom", "uniform_attention", ...
    sentence: str
    about: str = ""  # the block, where it is about one

    def to_dict(self) -> dict[str, str]:
        return asdict(self)
