"""In which numbers the forward pass computes: full, bfloat16, or float16 with a loss scaler. Off is an object too."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any, Literal, Protocol

import torch
from torch import Tensor

INITIAL_SCALE = 65_536.0  # 2^16
LEAST_SCALE = 1.0  # an overflow at this scale is no matter of the scale


class Precision(Protocol):
    """What the loop needs: a context for the forward pass, and the way from a loss to a step."""

    def forward(self) -> AbstractContextManager[Any]: ...

    def backward(self, loss: Tensor) -> None:
        """Adds gradients, in the scale of the precision."""

    def unscale(self, optimizer: torch.optim.Optimizer) -> None:
        """Brings the gradients to their own scale, so that they can be clipped and judged."""

    def step(self, optimizer: torch.optim.Optimizer) -> None:
        """Takes the step."""

    def overflowed(self) -> bool:
        """Told that the gradients are not finite: whether the scale was the cause, and has been lowered."""

    def state_dict(self) -> dict[str, float]: ...

    def load_state_dict(self, state: dict[str, float]) -> None: ...


class FullPrecision:
    """float32: nothing to scale, nothing to remember."""

    def forward(self) -> AbstractContextManager[Any]:
        return nullcontext()

    def backward(self, loss: Tensor) -> None:
        loss.backward()

    def unscale(self, optimizer: torch.optim.Optimizer) -> None:
        pass

    def step(self, optimizer: torch.optim.Optimizer) -> None:
        optimizer.step()

    def overflowed(self) -> bool:
        return False

    def state_dict(self) -> dict[str, float]:
        return {}

    def load_state_dict(self, state: dict[str, float]) -> None:
        pass


class BFloat16(FullPrecision):
    """bfloat16 where autocast thinks it safe; its range is float32's, so losses need no scale."""

    def __init__(self, device: torch.device) -> None:
        self.device = device

    def forward(self) -> AbstractContextManager[Any]:
        return torch.autocast(self.device.type, torch.bfloat16)


class Float16(FullPrecision):
    """float16 where autocast thinks it safe; the loss is scaled up, by less after each overflow (Micikevicius 2018)."""

    def __init__(self, device: torch.device) -> None:
        self.device, self.scaler = device, torch.amp.GradScaler(device.type, init_scale=INITIAL_SCALE)

    def forward(self) -> AbstractContextManager[Any]:
        return torch.autocast(self.device.type, torch.float16)

    def backward(self, loss: Tensor) -> None:
        self.scaler.scale(loss).backward()

    def unscale(self, optimizer: torch.optim.Optimizer) -> None:
        self.scaler.unscale_(optimizer)

    def step(self, optimizer: torch.optim.Optimizer) -> None:
        self.scaler.step(optimizer)
        self.scaler.update()

    def overflowed(self) -> bool:
        before = self.scaler.get_scale()
        self.scaler.update()
        return before > LEAST_SCALE

    def state_dict(self) -> dict[str, float]:
        return self.scaler.state_dict()

    def load_state_dict(self, state: dict[str, float]) -> None:
        self.scaler.load_state_dict(state)


def make_precision(name: Literal["fp32", "bf16", "fp16"], device: torch.device) -> Precision:
    """The precision of that name on a device."""
    if name == "fp32":
        return FullPrecision()
    return BFloat16(device) if name == "bf16" else Float16(device)
