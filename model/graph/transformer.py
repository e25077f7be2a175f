"""Graph transformer operator (Shi et al. 2021) with a temperature on the attention logits and edge attributes.

e_ij = (W_q h_i) . (W_k h_j + W_e z_ij) / (sqrt(d) temperature)
g_i = W_s h_i + sum_j softmax_j(e_ij) (W_v h_j + W_e z_ij)
"""

from __future__ import annotations

import math

from torch import Tensor
from torch.nn import functional
from torch_geometric.nn import TransformerConv
from torch_geometric.utils import softmax

from model.graph.kinds import TransformerGraphConfig
from model.graph.tempered import Tempered
from model.protocols import Sizes


class GraphTransformer(Tempered, TransformerConv):
    """PyG's operator with tempered logits: ([M, H], [2, E], [E, A]) -> Heard; without edges a stock hears itself.

    It has no biases: one on the keys would shift all logits of a node alike and never learn.
    """

    def __init__(self, sizes: Sizes, config: TransformerGraphConfig) -> None:
        super().__init__(sizes, config, bias=False)

    def message(
        self,
        query_i: Tensor,
        key_j: Tensor,
        value_j: Tensor,
        edge_attr: Tensor,
        index: Tensor,
        ptr: Tensor | None,
        size_i: int | None,
    ) -> Tensor:
        edge = self.lin_edge(edge_attr).view(-1, self.heads, self.out_channels)
        logits = (query_i * (key_j + edge)).sum(dim=-1) / math.sqrt(self.out_channels)
        self._alpha = softmax(logits / self.temperature, index, ptr, size_i)
        weight = functional.dropout(self._alpha, p=self.dropout, training=self.training)
        return (value_j + edge) * weight.unsqueeze(-1)
