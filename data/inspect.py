"""`python -m data.inspect PANEL`: what is wrong, or looks wrong, with a panel, as a table; nothing is kept."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

from data.axes import Axes, read_axes
from data.columns import Columns
from data.config import DataConfig, NoGraphConfig, SplitConfig
from data.derive import derive
from data.errors import DataError
from data.findings import Finding, counted, error
from data.inspection import inspect_panel
from data.prepare import MEMORY_MIB, fill, make_plan, num_bytes, view
from data.progress import Progress, Silent
from data.settings import suited_to
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
    whole = base.model_copy(update={"splits": SplitConfig(holdout_days=0), "graph": NoGraphConfig()})
    plan = make_plan(panel, whole)
    axes = read_axes(plan.source, plan.columns, whole)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        refuse_full_disk(num_bytes(plan, axes), folder)
        faults = fill(plan, axes, None, folder, progress, memory_mib << 20, num_built_in=0)
        with progress.stage("inspecting"):
            derive(folder, plan.columns, axes, whole, (), 0, memory_mib << 20)
            findings = inspect_panel(view(plan, axes, faults, folder, num_built_in=0))
    summary = (
        f"{counted(plan.source.num_rows, 'row')} in {counted(len(plan.source.files), 'file')}: "
        f"{counted(len(axes.dates), 'day')} {axes.dates[0]} .. {axes.dates[-1]}, "
        f"{counted(len(axes.codes), 'stock')} {axes.codes[0]} .. {axes.codes[-1]}"
    )
    return Inspection(summary, _notes(plan.columns), _unsuited(base, plan.columns, axes) + findings)


def _unsuited(config: DataConfig, columns: Columns, axes: Axes) -> list[Finding]:
    """What a sweep would refuse before it reads a row: too short a history, a graph without its columns."""
    try:
        suited_to(config, columns, axes.all_dates)
    except DataError as refusal:
        law = "a sweep must be able to lay its folds, and to build its labels and its graph"
        return [error("settings", "(settings)", len(axes.all_dates), "day", "", law, str(refusal))]
    return []


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
        notes.append(f"features: {len(columns.built_in)} computed from open, high, low, close, volume")
    notes += [f"{name} is no feature: {why}" for name, why in list(columns.unused.items())[:20]]
    return notes


if __name__ == "__main__":
    from data.commands import inspect_app

    inspect_app()
