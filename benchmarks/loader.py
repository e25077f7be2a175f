"""`OMP_NUM_THREADS=1 python -m benchmarks.loader`: the data path against its rivals, as ratios within one run.

On 500 stocks x 1,250 days x 182 features, windows of 20 and 60: (a) a file per stock, read and scaled in every pass,
(b) all windows in memory, (c) ours. Then what scaling costs against a copy, preparing against decoding, and a graph
against its matrix products.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
import typer
from rich.console import Console
from rich.table import Table

from benchmarks.measure import alternating, in_fresh_process, seconds
from benchmarks.rivals import gathered_batches, materialised, materialised_batches, per_file_windows
from data.config import CorrelationGraphConfig, DataConfig, NoGraphConfig, SplitConfig
from data.edges import correlation_edges
from data.graph import build_graphs
from data.loader import FoldBlocks
from data.prepare import prepare
from data.residence import Mapped

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
SPLITS = SplitConfig(search_days=100, confirm_days=20, confirm_folds=1, holdout_days=0)
RESIDENT_STOCKS = 100  # of 500: all windows of 60 days of the whole market would be 26 GB
FILES = 40  # of 500 that the per-file rival reads; its rate per window does not depend on their number


class Sizes:
    """The market that is measured on."""

    def __init__(self, quick: bool) -> None:
        self.stocks, self.days, self.features = (60, 400, 32) if quick else (500, 1250, 182)
        self.resident = min(RESIDENT_STOCKS, self.stocks)
        self.graph_stocks = 300 if quick else 2000
        self.repeat = 3 if quick else 5


@app.command()
def main(
    json_file: Annotated[Path | None, typer.Option("--json", help="Also write the figures to this file.")] = None,
    quick: Annotated[bool, typer.Option("--quick", help="A small market, to try the benchmark.")] = False,
    folder: Annotated[Path | None, typer.Option(help="Keep the generated panels here. (default: temporary)")] = None,
) -> None:
    """Measure the data path against its rivals."""
    if os.environ.get("OMP_NUM_THREADS") != "1":
        raise typer.BadParameter("figures are per thread, but NumPy may use several. Set OMP_NUM_THREADS=1.")
    torch.set_num_threads(1)
    sizes, console = Sizes(quick), Console()
    work = folder or Path(tempfile.mkdtemp(prefix="loader-"))
    work.mkdir(parents=True, exist_ok=True)
    figures: dict[str, Any] = {"market": f"{sizes.stocks} stocks x {sizes.days} days x {sizes.features} features"}
    try:
        with console.status("generating the market"):
            panel, files = _market(work, sizes, 1), _per_stock(work, sizes)
        parts: list[tuple[str, Callable[[], dict[str, Any]]]] = [
            *((f"window {w}", lambda w=w: _loading(panel, files, work, sizes, w)) for w in (20, 60)),
            ("scaling", lambda: _scaling(panel, work, sizes)),
            ("preparing", lambda: _preparing(work, sizes)),
            ("graph", lambda: _graph(sizes)),
        ]
        for title, part in parts:
            with console.status(f"measuring: {title}"):
                figures[title] = part()
            _show(title, figures[title], console)
    finally:
        if folder is None:
            shutil.rmtree(work, ignore_errors=True)
    if json_file is not None:
        json_file.write_text(json.dumps(figures, indent=2))
        console.print(f"figures: {json_file}")


def _config(window: int) -> DataConfig:
    return DataConfig(window=window, splits=SPLITS, graph=NoGraphConfig())


def _columns(sizes: Sizes) -> list[str]:
    return [f"f{number:03d}" for number in range(sizes.features)]


def _market(work: Path, sizes: Sizes, times: int) -> Path:
    """A panel of random features and targets, sorted by date; `times` as many days."""
    path = work / f"market-{sizes.stocks}-{sizes.days * times}-{sizes.features}.parquet"
    if path.exists():
        return path
    dates = np.busday_offset("2005-01-03", np.arange(sizes.days * times), roll="forward").astype("datetime64[D]")
    codes = np.array([str(1301 + number) for number in range(sizes.stocks)])
    writer = None
    for first in range(0, len(dates), 250):
        rng = np.random.default_rng([first, 1])
        days = dates[first : first + 250]
        table = _table(rng, np.repeat(days, len(codes)), np.tile(codes, len(days)), sizes)
        writer = writer or pq.ParquetWriter(path, table.schema, compression="zstd")
        writer.write_table(table, row_group_size=1 << 17)
    assert writer is not None
    writer.close()
    return path


def _table(rng: np.random.Generator, dates: np.ndarray, codes: np.ndarray, sizes: Sizes) -> pa.Table:
    columns: dict[str, Any] = {
        "date": dates,
        "code": codes,
        "sector": np.array(["x", "y", "z"])[np.arange(len(codes)) % 3],
    }
    for name in _columns(sizes):
        values = rng.standard_normal(len(codes), dtype=np.float32)
        values[rng.random(len(codes), dtype=np.float32) < 0.01] = np.nan
        columns[name] = pa.array(values, from_pandas=True)
    for horizon in (1, 5, 10, 20):
        columns[f"target_{horizon}d"] = rng.standard_normal(len(codes), dtype=np.float32) * 0.02
    return pa.table(columns)


def _per_stock(work: Path, sizes: Sizes) -> Path:
    """The same kind of rows, a file per stock."""
    folder = work / f"stocks-{sizes.days}-{sizes.features}"
    folder.mkdir(exist_ok=True)
    dates = np.busday_offset("2005-01-03", np.arange(sizes.days), roll="forward").astype("datetime64[D]")
    for stock in range(min(FILES, sizes.stocks)):
        path = folder / f"{1301 + stock}.parquet"
        if not path.exists():
            rng = np.random.default_rng([stock, 2])
            pq.write_table(_table(rng, dates, np.full(len(dates), str(1301 + stock)), sizes), path, compression="zstd")
    return folder


def _loading(panel: Path, files: Path, work: Path, sizes: Sizes, window: int) -> dict[str, Any]:
    """Windows per second of one pass, time to the first batch, private memory, of the three designs."""
    config = _config(window)
    store = prepare(panel, work / "prepared", config)
    blocks = FoldBlocks(store, store.splits(config).search, config, block_days=4)
    steps = blocks.steps(0, 0, 16, 10**6)
    windows = materialised(np.nan_to_num(np.array(store.features[:, : sizes.resident])), window)
    labels = torch.from_numpy(np.array(store.labels[window - 1 :, : sizes.resident])).flatten(0, 1)
    paths = sorted(files.glob("*.parquet"))
    count_a = sum(len(part) for part in per_file_windows(paths, _columns(sizes), window))
    count_c = sum(len(days) for step in steps for days in step) * sizes.stocks
    times = alternating(
        lambda: [None for _ in per_file_windows(paths, _columns(sizes), window)],
        lambda: [None for _ in materialised_batches(windows, labels)],
        lambda: [None for _ in gathered_batches(windows, labels)],
        lambda: [None for _ in blocks.stream([days for step in steps for days in step])],
        repeat=sizes.repeat,
    )
    rates = [count / took for count, took in zip((count_a, len(windows), len(windows), count_c), times, strict=True)]
    arguments = {"store": store.folder, "config": config.model_dump(mode="json"), "window": window}
    c = in_fresh_process("benchmarks.tasks", "ours", **arguments)
    a = in_fresh_process(
        "benchmarks.tasks", "per_file", folder=files, columns=_columns(sizes), window=window, num_files=len(paths)
    )
    b = in_fresh_process("benchmarks.tasks", "all_windows", **arguments, num_stocks=sizes.resident)
    return {
        "(a) files, windows/s": rates[0],
        "(b) in memory, windows/s": rates[1],
        "(b) in memory by gathers, windows/s": rates[2],
        "(c) ours, windows/s": rates[3],
        "ours / (a)": rates[3] / rates[0],
        "ours / (b)": rates[3] / rates[1],
        "ours / (b) by gathers": rates[3] / rates[2],
        "(a) first batch, s": a["first_batch"],
        f"(b) first batch, s, {sizes.resident} stocks": b["first_batch"],
        "(c) first batch, s": c["first_batch"],
        "(a) peak private, MiB": a["peak_private"],
        f"(b) peak private, MiB, {sizes.resident} stocks": b["peak_private"],
        "(c) private per extra trial, MiB": c["peak_private"],
        "(c) the block itself, MiB": 4 * (4 + window - 1) * sizes.stocks * sizes.features / 2**20,
    }


def _scaling(panel: Path, work: Path, sizes: Sizes) -> dict[str, Any]:
    """One pass over all blocks, scaled and clipped, against a copy of the same bytes into the same buffer."""
    result: dict[str, Any] = {}
    for window in (20, 60):
        config = _config(window)
        store = prepare(panel, work / "prepared", config)
        blocks = FoldBlocks(store, store.splits(config).search, config, block_days=4)
        shuffled = [days for step in blocks.steps(0, 0, 16, 10**6) for days in step]
        for order, days in (
            ("order of training", shuffled),
            ("calendar order", sorted(shuffled, key=lambda d: d.start)),
        ):
            rows = [slice(d.start - window + 1, d.stop) for d in days]
            mapped = Mapped(store.features, blocks.scaler, blocks.device, window + 3)
            buffer = np.empty_like(mapped.buffer)
            copied, scaled = alternating(
                lambda rows=rows, buffer=buffer, store=store: [np.copyto(buffer, store.features[r]) for r in rows],
                lambda rows=rows, mapped=mapped: [None for _ in mapped.stream(rows)],
                repeat=sizes.repeat,
            )
            gigabytes = len(rows) * buffer.nbytes / 1e9
            result[f"window {window}, {order}: copy, GB/s"] = gigabytes / copied
            result[f"window {window}, {order}: scaled / copy"] = scaled / copied
    return result


def _preparing(work: Path, sizes: Sizes) -> dict[str, Any]:
    """Preparing against decoding the Parquet alone; peak memory when the panel grows fourfold."""
    result: dict[str, Any] = {}
    for times in (1, 4):
        panel = _market(work, sizes, times)
        in_fresh_process("benchmarks.tasks", "decoding", panel=panel)  # into the page cache, for both
        decoded, prepared, private, resident = [], [], [], []
        for attempt in range(3):
            decoded.append(in_fresh_process("benchmarks.tasks", "decoding", panel=panel)["seconds"])
            folder = work / f"fresh-{times}-{attempt}"
            arguments = {
                "panel": panel,
                "folder": folder,
                "config": _config(20).model_dump(mode="json"),
                "memory_mib": 512,
            }
            one = in_fresh_process("benchmarks.tasks", "preparing", **arguments)
            shutil.rmtree(folder)
            prepared.append(one["seconds"])
            private.append(one["peak_private"])
            resident.append(one["peak_resident"])
        name = f"x{times}"
        result[f"{name} rows"] = pq.read_metadata(panel).num_rows
        result[f"{name} decode, s"] = float(np.median(decoded))
        result[f"{name} prepare, s"] = float(np.median(prepared))
        result[f"{name} prepare / decode"] = float(np.median(prepared) / np.median(decoded))
        result[f"{name} peak private, MiB"] = float(np.median(private))
        result[f"{name} peak with mapped pages, MiB"] = float(np.median(resident))
    return result


def _graph(sizes: Sizes) -> dict[str, Any]:
    """One date's graph against its matrix products, and against reading it from the cache."""
    rng, stocks, days = np.random.default_rng(0), sizes.graph_stocks, 502
    market = rng.normal(size=(days, 8)) @ rng.normal(size=(8, stocks)) * 0.5
    returns = ((market + rng.normal(size=(days, stocks))) * 0.02).astype(np.float32)
    sector, industry = rng.integers(1, 12, stocks), rng.integers(1, 60, stocks)
    everyone, result = np.ones(stocks, bool), {}
    for window in (60, 120, 250):
        config = CorrelationGraphConfig(window=window)
        x, lead, lag = (np.ascontiguousarray(part.T) for part in (returns[-window:], returns[-500:-1], returns[-499:]))
        whole, correlation, lead_lag = alternating(
            lambda config=config: correlation_edges(returns, everyone, sector, industry, config),
            lambda x=x: x @ x.copy().T,
            lambda lead=lead, lag=lag: lead @ lag.T,
            repeat=4 * sizes.repeat,
        )
        result[f"window {window}: graph, ms"] = 1e3 * whole
        result[f"window {window}: correlation product, ms"] = 1e3 * correlation
        result[f"window {window}: lead-lag product, ms"] = 1e3 * lead_lag
        result[f"window {window}: graph / its two products"] = whole / (correlation + lead_lag)
        result[f"window {window}: graph / the correlation product"] = whole / correlation
    labels = [np.broadcast_to(values, returns.shape) for values in (sector, industry)]
    eligible = np.ones(returns.shape, bool)
    graphs = build_graphs(returns, eligible, *labels, CorrelationGraphConfig(window=250, refresh_days=1))
    built = seconds(lambda: correlation_edges(returns, everyone, sector, industry, CorrelationGraphConfig()), 5)
    cached = seconds(lambda: [np.array(part) for part in graphs.at(days - 1)], 50)
    result["built / from the cache"] = built / cached
    result["mean degree"] = graphs.mean_degree
    return result


def _show(title: str, figures: dict[str, Any], console: Console) -> None:
    table = Table(title=title, title_justify="left", show_header=False, box=None)
    for name, value in figures.items():
        table.add_row(name, f"{value:,.3g}" if isinstance(value, float) and abs(value) < 1000 else f"{value:,.0f}")
    console.print(table)


if __name__ == "__main__":
    app()
