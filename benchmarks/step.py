"""`python -m benchmarks.step`: one training day of the network against its textbook version, as ratios within one run.

256 stocks x window 20 x 182 features, hidden 64, two threads: forward and backward, ms per day. Then FAN by matrix
products against FAN by the FFT, what share of the machine's matrix-product peak a step reaches, and what health, the
averaged weights and logging take of a training's step. Where there is a GPU, the step on it too, in bf16 and compiled,
and the largest universe whose step fits.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import torch
import typer
from rich.console import Console
from rich.table import Table
from torch import Tensor
from torch.nn import functional
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.device import on_device, train_step
from benchmarks.measure import alternating, seconds
from benchmarks.overhead import overhead
from benchmarks.textbook import Textbook, fan_by_fft
from model.atft import ATFT
from model.config import ModelConfig
from model.memory import random_days
from model.norm.fan import FANConfig
from model.protocols import Sizes
from model.selection.full import FullSelectionConfig
from model.selection.grouped import GroupedSelectionConfig
from model.selection.light import LightSelectionConfig

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
STOCKS, WINDOW, FEATURES, HORIZONS, ATTRIBUTES = 256, 20, 182, 4, 4
PEAK_SIZE = 1024  # of the square matrices whose product is the machine's peak

Figures = dict[str, float]


@app.command()
def main(
    json_file: Annotated[Path | None, typer.Option("--json", help="Also write the figures to this file.")] = None,
    quick: Annotated[bool, typer.Option("--quick", help="A small network, to try the benchmark.")] = False,
    threads: Annotated[int, typer.Option(min=1, help="Torch threads.")] = 2,
    device: Annotated[str, typer.Option(help="Where the last part runs; auto: a GPU if there is one.")] = "auto",
    block_days: Annotated[int, typer.Option(min=1, help="Days per block, as in training.")] = 4,
) -> None:
    """Measure a training step against its textbook version."""
    torch.set_num_threads(threads)
    sizes = Sizes(FEATURES, 64, WINDOW, ATTRIBUTES, HORIZONS, sectors=12)
    if quick:
        sizes = sizes._replace(features=16, hidden=16)
    console, found = Console(highlight=False), {}
    for title, measure in _measures(sizes, block_days, quick).items():
        found[title] = measure()
        _print(console, title, found[title])
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else ""
    if device:
        found[f"on {device}"] = on_device(sizes, block_days, STOCKS, torch.device(device), 2 if quick else 10)
        _print(console, f"on {device}", found[f"on {device}"])
    else:
        console.print("there is no GPU here: nothing was measured on one")
    if json_file is not None:
        json_file.write_text(json.dumps(found, indent=1))
        console.print(f"figures: {json_file}")


def _measures(sizes: Sizes, block_days: int, quick: bool) -> dict[str, Callable[[], Figures]]:
    wide = sizes._replace(hidden=sizes.hidden * 4)
    return {
        "step, ms per day": lambda: _steps(sizes, block_days, 2 if quick else 5),
        "FAN, ms per block": lambda: _fan(sizes, block_days),
        f"matrix products, hidden {sizes.hidden}": lambda: _peak_share(sizes, block_days),
        f"matrix products, hidden {wide.hidden}": lambda: _peak_share(wide, block_days),
        "watching a training": lambda: overhead(sizes.hidden, 64 if quick else STOCKS, 1 if quick else 3),
    }


def _steps(sizes: Sizes, block_days: int, repeat: int) -> Figures:
    """The textbook's day and ours with each selection, in turn."""
    selections = {
        "light": LightSelectionConfig(),
        "grouped": GroupedSelectionConfig(),
        "full": FullSelectionConfig(width=sizes.hidden),
        "full, default width": FullSelectionConfig(),
    }
    ours = [_ours(ModelConfig(hidden=sizes.hidden, selection=each), sizes, block_days) for each in selections.values()]
    works = [_textbook(sizes), *ours]
    for work in works:
        work()
    first, *times = alternating(*works, repeat=repeat)
    figures = {"textbook": 1e3 * first}
    for name, time in zip(selections, times, strict=True):
        figures[name] = 1e3 * time / block_days
        figures[f"textbook / {name}"] = first / (time / block_days)
    return figures


def _textbook(sizes: Sizes) -> Callable[[], None]:
    torch.manual_seed(0)
    net = Textbook(sizes.features, sizes.hidden, sizes.edge_attributes, sizes.horizons).train()
    x_TNF, *_, index, attr = random_days(sizes, 1, STOCKS)
    x = x_TNF.transpose(0, 1).contiguous()  # the windows of one day
    target = torch.randn(STOCKS, sizes.horizons)

    def step() -> None:
        net.zero_grad(set_to_none=True)
        functional.huber_loss(net(x, index, attr), target).backward()

    return step


def _ours(config: ModelConfig, sizes: Sizes, days: int) -> Callable[[], None]:
    net, inputs = ATFT(config, sizes, seed=0).train(), random_days(sizes, days, STOCKS)
    return lambda: train_step(net, inputs)


def _fan(sizes: Sizes, days: int) -> Figures:
    """What FAN leaves of a block's windows, forward and backward, by matrix products and by the FFT."""
    fan = FANConfig().build(sizes)
    x = torch.randn(days * STOCKS, WINDOW, sizes.hidden, requires_grad=True)

    def by_products() -> Tensor:
        return x - fan.main_signal(x)

    def run(transform: Callable[[], Tensor]) -> Callable[[], None]:
        def work() -> None:
            x.grad = None
            transform().square().sum().backward()

        return work

    def by_fft() -> Tensor:
        return fan_by_fft(x, fan.top_k)

    ours, rival = alternating(run(by_products), run(by_fft), repeat=15)
    apart = float((by_products() - by_fft()).detach().abs().max())
    return {"products": 1e3 * ours, "FFT": 1e3 * rival, "FFT / products": rival / ours, "largest difference": apart}


def _peak_share(sizes: Sizes, days: int) -> Figures:
    """Floating-point operations of a step's matrix products per second, against one large product."""
    a = torch.randn(PEAK_SIZE, PEAK_SIZE)
    step = _ours(ModelConfig(hidden=sizes.hidden), sizes, days)
    with FlopCounterMode(display=False) as counter:
        step()
    operations = counter.get_total_flops() + _recurrent_operations(sizes, days)
    product, time = seconds(lambda: a @ a, 15), seconds(step, 7)
    peak = 2 * PEAK_SIZE**3 / product
    return {
        "peak, GFLOP/s": peak / 1e9,
        "step, GFLOP": operations / 1e9,
        "step, GFLOP/s": operations / time / 1e9,
        "share of peak": operations / time / peak,
    }


def _recurrent_operations(sizes: Sizes, days: int) -> int:
    """Of the LSTM, which torch does not count on a CPU: four gates of input and state, forward and twice that back."""
    return 3 * 2 * days * STOCKS * sizes.window * 4 * sizes.hidden * 2 * sizes.hidden


def _print(console: Console, title: str, figures: Figures) -> None:
    table = Table(title, "", show_header=True, box=None, title_justify="left")
    for name, value in figures.items():
        table.add_row(f" {name}", f"{value:,.3g}")
    console.print(table)


if __name__ == "__main__":
    app()
