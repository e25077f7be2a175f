"""Panel -> MarketStore, once: streamed from Parquet, computed by stretches of days, inspected, and swapped in whole."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from data.axes import Axes, read_axes
from data.columns import Columns, settle_columns
from data.config import DataConfig, NoGraphConfig, SectorGraphConfig
from data.derive import Derived, derive, first_known_day
from data.errors import DataError
from data.findings import Finding, counted, refuse_errors
from data.graph import carry_graphs
from data.ingest import Files, Ingest, Pass, RowFaults
from data.inspection import inspect_panel
from data.inspection.panel import Panel
from data.keys import cells_key, key_columns, panel_key, settings_key, store_key
from data.migrations import SCHEMA_VERSION
from data.progress import Progress, Silent
from data.reuse import Manifest, Reuse, find_reuse, has_changed_throughout
from data.source import Source
from data.store import MarketStore, StoreMeta
from data.universe import check_universe
from data.workspace import alone, refuse_full_disk, remove_orphans, scratch_folder

MEMORY_MIB = 1024  # default bound of what a preparation holds in memory
BYTES_PER_EDGE = 24  # two ends of 4 bytes and four attributes


@dataclass(frozen=True)
class Plan:
    """A panel whose columns are settled and whose bytes are known; nothing has been written."""

    source: Source
    columns: Columns
    config: DataConfig
    digests: np.ndarray
    key_columns: list[str]
    panel_key: str
    settings_key: str

    @property
    def num_built_in(self) -> int:
        return len(self.columns.built_in)

    @property
    def features(self) -> list[str]:
        return [*self.columns.built_in, *self.columns.own]

    @property
    def store_key(self) -> str:
        return store_key(self.panel_key, self.config)


def prepare(
    panel: Path,
    prepared: Path,
    config: DataConfig,
    progress: Progress | None = None,
    memory_mib: int = MEMORY_MIB,
) -> MarketStore:
    """Opens the store of (panel bytes, settings) under `prepared`, making it first if it is not there.

    The last `holdout_days` days are cut off before anything is computed, so no array of the store knows them. A second
    process waits for the first; a killed one, or a full disk, leaves nothing that looks finished. What an earlier store
    of the same settings already has, days or columns, is copied.

    Raises:
        DataError: a panel that breaks a law (see `inspect_panel`), too few days or stocks, too little disk.
    """
    progress = progress or Silent()
    plan = make_plan(panel, config)
    folder = prepared / plan.store_key
    if not (folder / "meta.json").exists():
        with alone(prepared / f".{folder.name}.lock", progress):
            if not (folder / "meta.json").exists():
                _build(plan, folder, progress, memory_mib << 20)
    return MarketStore.open(folder)


def make_plan(panel: Path, config: DataConfig) -> Plan:
    """Opens the files, settles the columns and hashes the bytes; raises DataError as `prepare` does."""
    source = Source.open(panel)
    columns = settle_columns(source, config)
    names = key_columns(source, columns)
    digests = source.digests(names)
    return Plan(source, columns, config, digests, names, panel_key(digests, names), settings_key(config))


def _build(plan: Plan, folder: Path, progress: Progress, budget: int) -> None:
    remove_orphans(folder)
    with progress.stage("reading dates and codes"):
        axes = read_axes(plan.source, plan.columns, plan.config)
    _refuse_small(axes, plan.config)
    manifest = Manifest(plan.key_columns, plan.digests, axes.group_days)
    reuse = find_reuse(folder.parent, plan.settings_key, manifest, plan.columns, axes)
    progress.say(_announcement(plan, axes, reuse))
    if reuse is None and has_changed_throughout(folder.parent, plan.settings_key, axes):
        progress.say(
            "nothing is copied from the earlier store of this market: its columns, or all of its row groups, differ; a "
            "panel that is sorted by date, or has a file per day, grows faster"
        )
    with scratch_folder(folder) as scratch:
        refuse_full_disk(num_bytes(plan, axes), scratch)
        faults = fill(plan, axes, reuse, scratch, progress, budget, plan.num_built_in)
        with progress.stage("computing features and labels"):
            first = reuse.base if reuse else 0
            derived = derive(scratch, plan.columns, axes, plan.config, plan.columns.built_in, first, budget)
        with progress.stage("inspecting"):
            findings = inspect_panel(view(plan, axes, faults, scratch, plan.num_built_in))
        refuse_errors(findings, plan.source.path)
        manifest.save(scratch)
        if reuse is not None:
            carry_graphs(reuse.folder, scratch, reuse.base, axes.positions(reuse.meta.codes))
        _write_meta(plan, axes, derived, findings, scratch, folder.name)
        _swap_in(scratch, folder)


def _swap_in(scratch: Path, folder: Path) -> None:
    """Another process may have been as fast: a refusal takes the lock away, and one who waited for it holds the old."""
    try:
        scratch.rename(folder)
    except OSError:
        if not (folder / "meta.json").exists():
            raise


def _refuse_small(axes: Axes, config: DataConfig) -> None:
    num_days, num_stocks = len(axes.dates), len(axes.codes)
    if len(axes.all_codes) < config.min_stocks or num_stocks < config.min_stocks:
        raise DataError(
            f"a panel needs at least {config.min_stocks} stocks to rank, but this one has {num_stocks}. Add stocks, or "
            f"lower min_stocks."
        )
    if num_days <= config.window + config.purge:
        raise DataError(
            f"a panel needs more days than hold-out {len(axes.all_dates) - num_days} + window {config.window} + purge "
            f"{config.purge}, but this one has {len(axes.all_dates)}. Bring a longer panel."
        )


def num_bytes(plan: Plan, axes: Axes) -> int:
    """Disk that the store takes, with the targets and the graph that are computed beside it."""
    flags_and_labels = 3 + 8 + 2 * max(2, len(plan.columns.labels))  # present, eligible, seen; returns, volatility
    per_cell = 4 * len(plan.features) + 8 * len(plan.config.horizons) + 8 * len(plan.columns.bars) + flags_and_labels
    graph = plan.config.graph
    edges = 0
    if not isinstance(graph, NoGraphConfig):  # a neighbour need not choose back, but in a sector's ring it does
        degree = graph.k if isinstance(graph, SectorGraphConfig) else 2 * (graph.k + graph.lead_lag_k)
        edges = min(degree, len(axes.codes)) * BYTES_PER_EDGE // graph.refresh_days
    return len(axes.dates) * len(axes.codes) * (per_cell + edges) + (1 << 20)


def _announcement(plan: Plan, axes: Axes, reuse: Reuse | None) -> str:
    size = num_bytes(plan, axes) / 2**30
    kept = f"; {counted(reuse.base, 'day')} copied from an earlier store" if reuse is not None else ""
    return (
        f"{counted(plan.source.num_rows, 'row')} become {counted(len(axes.dates), 'day')} x "
        f"{counted(len(axes.codes), 'stock')} x {counted(len(plan.features), 'feature')}, {size:.2f} GiB on disk{kept}"
    )


def fill(
    plan: Plan,
    axes: Axes,
    reuse: Reuse | None,
    folder: Path,
    progress: Progress,
    budget: int,
    num_built_in: int,
) -> RowFaults:
    """Copies what an earlier store has and reads the rest."""
    has_turnover = "turnover" in plan.columns.roles or {"close", "volume"} <= plan.columns.roles.keys()
    check_universe(plan.config.universe, axes.labels, has_turnover)
    files = Files.make(folder, plan.columns, axes, num_built_in, budget)
    jobs = [Pass(tuple(plan.columns.own), True, plan.source.row_groups, 0, 0)]
    if reuse is not None:
        with progress.stage("copying what an earlier store has"):
            reuse.copy(files, plan.columns, axes, num_built_in)
        jobs = reuse.passes(plan.source, plan.columns, axes)
    seen = np.lib.format.open_memmap(
        folder / "seen.npy", mode="w+", dtype=np.bool_, shape=(len(axes.all_dates), len(axes.all_codes))
    )
    ingest = Ingest(plan.source, plan.columns, axes, files, num_built_in, seen)
    with progress.rows("reading rows", sum(group.num_rows for job in jobs for group in job.groups)) as tick:
        for job in jobs:
            ingest.run(job, budget, tick)
    pa.default_memory_pool().release_unused()  # what decoding held; what follows needs its own
    del seen
    (folder / "seen.npy").unlink()
    _blank_missing(files, plan, reuse, num_built_in)
    return ingest.faults


def _blank_missing(files: Files, plan: Plan, reuse: Reuse | None, num_built_in: int) -> None:
    """Cells that no row has written are missing, not zero; a lagged cell needs a row on the day it is about."""
    missing = ~np.asarray(np.load(files.present.path, mmap_mode="r"))
    for file, first in ((files.bars, reuse.base if reuse else 0), (files.targets, reuse.targets if reuse else 0)):
        if file is not None:
            file.blank(missing, start=first)
    for group, place in zip(plan.columns.groups, plan.columns.slices(num_built_in), strict=True):
        late = missing.copy()
        late[group.lag :] |= missing[: max(0, len(missing) - group.lag)]
        late[: group.lag] = True
        first = min((reuse.own[name] for name in group.columns), default=0) if reuse else 0
        files.features.blank(late, place, start=first)


def view(plan: Plan, axes: Axes, faults: RowFaults, folder: Path, num_built_in: int) -> Panel:
    """The arrays of a store in the making, as the inspection reads them."""
    arrays = {
        name: np.load(folder / f"{name}.npy", mmap_mode="r") for name in ("present", "eligible", "features", "labels")
    }
    bars = {}
    if plan.columns.bars:
        table = np.load(folder / "bars.npy", mmap_mode="r")
        bars = {role: table[..., number] for number, role in enumerate(plan.columns.bars)}
    return Panel(axes, plan.columns, plan.config, faults, plan.features, num_built_in, bars=bars, **arrays)


def _write_meta(plan: Plan, axes: Axes, derived: Derived, findings: list[Finding], folder: Path, key: str) -> None:
    dates, codes = [str(date) for date in axes.dates], axes.codes.tolist()
    meta = StoreMeta(
        schema_version=SCHEMA_VERSION,
        store_key=key,
        settings_key=plan.settings_key,
        panel_key=plan.panel_key,
        cells_key=cells_key(folder, [dates, codes, plan.features]),
        market={
            "first_date": str(axes.dates[0]),
            "last_date": str(axes.dates[-1]),
            "num_codes": len(axes.codes),
            "sketch": derived.sketch.to_dict(),
        },
        dates=dates,
        codes=codes,
        features=plan.features,
        built_in=bool(plan.columns.built_in),
        bars=plan.columns.bars,
        vocabularies={role: list(values) for role, values in axes.labels.items()},
        roles=plan.columns.roles,
        targets={str(h): name for h, name in plan.columns.targets.items()},
        lags={group.name: group.lag for group in plan.columns.groups},
        horizons=list(plan.config.horizons),
        delay=plan.config.delay,
        first_known=first_known_day(folder),
        num_untradable=derived.num_untradable,
        holdout_from=axes.holdout_from,
        held_out_through=axes.held_out_through,
        doubts=[finding.sentence for finding in findings],
    )
    (folder / "findings.json").write_text(json.dumps([finding.to_dict() for finding in findings]))
    (folder / "meta.json").write_text(json.dumps(asdict(meta)))


if __name__ == "__main__":
    from data.commands import prepare_app

    prepare_app()
