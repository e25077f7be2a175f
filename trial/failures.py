"""What made a worker fail, and how often a trial is tried again for it.

What the machine did (a process killed, memory that was short, a node that died) may pass, so the trial goes on from its
last checkpoint after a pause. An exception of the code would come again, so it is told at once.
"""

from __future__ import annotations

from typing import NamedTuple

ERROR = "error"  # the kind that is never tried again
UNWRITTEN = "unwritten"  # the disk did not take what has to be kept: no failure, but no end either
PAUSES: dict[str, tuple[float, ...]] = {  # kind -> seconds before each time that it is tried again without progress
    "crash": (1.0, 2.0, 5.0, 10.0),
    "oom": (30.0,),
    "hung": (1.0,),
    "lost_node": (1.0, 1.0, 5.0, *(30.0,) * 17),
    "taken_away": (0.0, 1.0, 5.0, *(30.0,) * 17),
    UNWRITTEN: (1.0, 5.0),
}


class Failure(NamedTuple):
    """Why an attempt ended without a word of its own."""

    kind: str  # error, crash, oom, hung, lost_node
    sentence: str

    def pause(self, earlier: int) -> float | None:
        """Seconds until the trial is tried again; None where that has been done often enough.

        Args:
            earlier: failures of this kind that the trial had since its last new epoch.
        """
        pauses = PAUSES.get(self.kind, ())
        return pauses[earlier] if earlier < len(pauses) else None
