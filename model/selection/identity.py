"""All features pass."""

from __future__ import annotations

from typing import Literal

from torch import nn

from model.protocols import BlockConfig, Sizes


class IdentitySelectionConfig(BlockConfig):
    kind: Literal["identity"] = "identity"

    def build(self, sizes: Sizes) -> nn.Module:
        return nn.Identity()
