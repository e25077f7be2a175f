"""Parameter groups: by block, and within a block by what decays.

Matrices decay; biases, norms, embeddings and factors do not. Every parameter is in exactly one group.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field
from torch import nn

from model.protocols import BlockConfig

Slot = Literal["selection", "projection", "norm", "temporal", "graph", "fusion", "head"]  # that can have parameters

NEVER_DECAY = ("bias", "scale", "place_LH")  # how the names of stacked biases, factors and places end


class GroupConfig(BlockConfig):
    """How a block learns, relative to the rest."""

    learning_rate: float = Field(1.0, ge=0, description="multiplier; 0 freezes the block")
    weight_decay: float = Field(1.0, ge=0, description="multiplier")


def parameter_groups(model: nn.Module, weight_decay: float, groups: Mapping[Slot, GroupConfig]) -> list[dict[str, Any]]:
    """Groups for a torch optimiser: `params`, `weight_decay`, `multiplier` of the learning rate, and `name`.

    Args:
        model: a network whose children are its slots.
        weight_decay: of matrices, before the block's multiplier.
        groups: multipliers of the blocks that have some; those of the others are 1.

    Raises:
        ValueError: multipliers for a block that has no parameters.
    """
    multipliers = {str(slot): group for slot, group in groups.items()}
    found: list[dict[str, Any]] = []
    for slot, block in model.named_children():
        matrices, others = _split(block)
        if not matrices and not others:
            continue
        own = multipliers.pop(slot, GroupConfig())
        decay = weight_decay * own.weight_decay
        found.append(_group(f"{slot}/matrices", matrices, decay, own.learning_rate))
        found.append(_group(f"{slot}/others", others, 0.0, own.learning_rate))
    if multipliers:
        raise ValueError(
            f"train.groups must name blocks that have parameters, but {', '.join(multipliers)} has none in this "
            f"network. Leave it out."
        )
    return [group for group in found if group["params"]]


def _group(name: str, params: list[nn.Parameter], weight_decay: float, multiplier: float) -> dict[str, Any]:
    return {"name": name, "params": params, "weight_decay": weight_decay, "multiplier": multiplier}


def _split(block: nn.Module) -> tuple[list[nn.Parameter], list[nn.Parameter]]:
    """What decays, and what does not."""
    matrices: list[nn.Parameter] = []
    others: list[nn.Parameter] = []
    for module in block.modules():
        for name, parameter in module.named_parameters(recurse=False):
            decays = parameter.ndim > 1 and not isinstance(module, nn.Embedding) and not name.endswith(NEVER_DECAY)
            (matrices if decays else others).append(parameter)
    return matrices, others
