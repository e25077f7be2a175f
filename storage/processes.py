"""Whether a process of this machine lives, and since when."""

from __future__ import annotations

import os
from pathlib import Path


def process_start(pid: int) -> float | None:
    """Clock ticks between boot and the process's start; None where it is dead or a zombie, 0 where not knowable."""
    if not Path("/proc/self/stat").exists():
        try:
            os.kill(pid, 0)
        except OSError:
            return None
        return 0.0
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] == "Z" else float(fields[19])
