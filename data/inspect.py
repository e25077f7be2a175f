"""`python -m data.inspect PANEL`: what is wrong, or looks wrong, with a panel, as a table; nothing is kept."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

from data.axes import read_axes
from data.columns import Columns
from data.config import DataConfig, SplitConfig
from data.derive import derive
from data.findings import Finding
from data.inspection import inspect_panel
from data.prepare import MEMORY_MIB, fill, make_plan, num_bytes, view
from data.progress import Progress, Silent
from data.workspace import refuse_full_disk


@dataclass(frozen=True)
class Inspection:
    """What a panel is, and what was found."""

    summary: str
    notes: list[str]  # how its columns were understood
    findings: list[Finding]  # errors first


def inspect(
    panel: Path, config: DataConfig | None = None, progress: Progress | None = None, memory_mib: int = MEMORY_MIB
) -> Inspection:
    """Reads the whole panel, hold-out included, into a temporary folder and runs every check.

    Raises:
        DataError: the panel cannot be read at all.
    """
    progress, base = progress or Silent(), config or DataConfig()
    whole = base.model_copy(update={"splits": SplitConfig(holdout_days=0)})
    plan = make_plan(panel, whole)
    axes = read_axes(plan.source, plan.columns, whole)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        refuse_full_disk(num_bytes(plan, axes), folder)
        faults = fill(plan, axes, None, folder, progress, memory_mib << 20, num_built_in=0)
        with progress.stage("inspecting"):
            derive(folder, plan.columns, axes, whole, 0, 0, memory_mib << 20)
            findings = inspect_panel(view(plan, axes, faults, folder, num_built_in=0))
    summary = (
        f"{plan.source.num_rows:,} rows in {len(plan.source.files):,} files: {len(axes.dates):,} days "
        f"{axes.dates[0]} .. {axes.dates[-1]}, {len(axes.codes):,} stocks"
    )
    return Inspection(summary, _notes(plan.columns), findings)


def _notes(columns: Columns) -> list[str]:
    told = [f"{role} is {name}" for role, name in columns.roles.items() if role != name]
    notes = [f"columns: {', '.join(told)}"] if told else []
    if columns.targets:
        notes.append("targets: " + ", ".join(f"{h}d is {name}" for h, name in columns.targets.items()))
    else:
        notes.append("targets: forward returns from the prices")
    if columns.own:
        lags = "".join(f", {group.name} lag {group.lag}" for group in columns.groups if group.name)
        notes.append(f"features: {len(columns.own)} of the panel's own columns{lags}")
    if columns.built_in:
        notes.append("features: computed from open, high, low, close, volume")
    notes += [f"{name} is no feature: {why}" for name, why in list(columns.unused.items())[:20]]
    return notes


if __name__ == "__main__":
    from data.commands import inspect_app

    inspect_app()
