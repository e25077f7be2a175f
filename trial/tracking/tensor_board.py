"""TensorBoard: scalars, histograms of weights, gradients and activations, attention, distance to the EMA."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from torch import Tensor, nn

from data.batch import DayBlock
from data.loader import FoldBlocks
from model.atft import ATFT
from model.losses.config import Loss
from trial.evaluate import EpochResult
from trial.order import TrialOrder
from trial.state import TrainState
from trial.tracking import EVENT_FILES, Tracker, TrackerError


class TensorBoardTracker:
    """Writes event files into the attempt's folder."""

    def __init__(self, order: TrialOrder) -> None:
        from torch.utils.tensorboard import SummaryWriter  # optional: only where the machine's settings ask for it

        try:
            self._writer: Any = SummaryWriter(order.folder / EVENT_FILES)
        except OSError as error:
            raise TrackerError(str(error)) from error
        self._loss = order.config.build_loss()

    def log(self, result: EpochResult, state: TrainState, blocks: FoldBlocks) -> None:
        try:
            for name, value in scalars(result, state).items():
                self._writer.add_scalar(name, value, result.epoch)
            for name, values in histograms(state.model, blocks.block(blocks.last_train_days), self._loss).items():
                self._writer.add_histogram(name, values, result.epoch)
        except OSError as error:
            raise TrackerError(str(error)) from error

    def finish(self) -> None:
        try:
            self._writer.close()
        except OSError as error:
            raise TrackerError(str(error)) from error


def open_tracker(order: TrialOrder) -> Tracker:
    """Raises TrackerError where it cannot begin."""
    return TensorBoardTracker(order)


def scalars(result: EpochResult, state: TrainState) -> dict[str, float]:
    """Losses by part, metrics, rate, gradient norm, attention, distance to the averaged weights."""
    vitals = result.vitals
    told = {
        "value": result.value,
        "train/learning_rate": result.learning_rate,
        "train/gradient_norm": result.gradient_norm,
        "train/seconds": result.seconds,
        "train/ema_distance": ema_distance(state),
        "gat/attention_entropy": vitals.get("attention_entropy"),
        "gat/edge_count": vitals.get("num_edges"),
        "gat/avg_attention": vitals.get("mean_attention"),
        "gat/neighbours_share": vitals.get("neighbours_share"),
        "valid/watched_rank_ic": result.validation,
    }
    told |= {f"loss/{name}": value for name, value in result.losses.items()} | result.metrics
    return {name: float(value) for name, value in told.items() if value is not None}


def ema_distance(state: TrainState) -> float:
    """Norm of the difference between trained and averaged weights, over the norm of the trained ones."""
    own, averaged = state.model.state_dict(), state.average.weights(state.model)
    names = [name for name, value in own.items() if value.dtype.is_floating_point]
    difference = sum(float((own[name] - averaged[name]).square().sum()) for name in names)
    size = sum(float(own[name].square().sum()) for name in names)
    return float((difference / size) ** 0.5) if size > 0 else 0.0


def histograms(model: ATFT, block: DayBlock, loss: Loss) -> dict[str, Tensor]:
    """Weights, and gradients and activations of one block in evaluation; leaves the network as it was."""
    found = {f"weights/{name}": value.detach().cpu() for name, value in model.named_parameters()}
    was_training = model.training
    activations: dict[str, Tensor] = {}
    model.eval()
    with _listening(model, activations):
        parts = loss(model(*block.inputs), block.target_BNK, block.label_mask_BNK)
    parts["total"].backward()
    for name, parameter in model.named_parameters():
        if parameter.grad is not None:
            found[f"gradients/{name}"] = parameter.grad.detach().cpu()
    model.zero_grad(set_to_none=True)
    model.train(was_training)
    return found | {f"activations/{name}": value for name, value in activations.items()}


@contextmanager
def _listening(model: nn.Module, heard: dict[str, Tensor]) -> Iterator[None]:
    """Keeps what each leaf module says."""

    def hook(name: str) -> Any:
        def keep(_: nn.Module, __: Any, output: Any) -> None:
            if isinstance(output, Tensor):
                heard[name] = output.detach().float().cpu()

        return keep

    leaves = [(name, module) for name, module in model.named_modules() if not any(True for _ in module.children())]
    handles = [module.register_forward_hook(hook(name)) for name, module in leaves if name]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
