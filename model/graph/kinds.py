"""The graph blocks whose operators are PyG's: their settings alone, since to import PyG takes longer than a refusal."""

from __future__ import annotations

from typing import Literal

from torch import nn

from model.graph.encoder import AttentionGraphConfig, GraphBlockConfig
from model.protocols import Sizes


class GATConfig(AttentionGraphConfig):
    kind: Literal["gat"] = "gat"

    def operator(self, sizes: Sizes) -> nn.Module:
        from model.graph.gat import GAT

        return GAT(sizes, self)


class GATv2Config(AttentionGraphConfig):
    kind: Literal["gatv2"] = "gatv2"

    def operator(self, sizes: Sizes) -> nn.Module:
        from model.graph.gatv2 import GATv2

        return GATv2(sizes, self)


class GINConfig(GraphBlockConfig):
    kind: Literal["gin"] = "gin"

    def operator(self, sizes: Sizes) -> nn.Module:
        from model.graph.gin import GIN

        return GIN(sizes, self)


class SAGEConfig(GraphBlockConfig):
    kind: Literal["sage"] = "sage"

    def operator(self, sizes: Sizes) -> nn.Module:
        from model.graph.sage import SAGE

        return SAGE(sizes, self)


class TransformerGraphConfig(AttentionGraphConfig):
    kind: Literal["transformer"] = "transformer"

    def operator(self, sizes: Sizes) -> nn.Module:
        from model.graph.transformer import GraphTransformer

        return GraphTransformer(sizes, self)
