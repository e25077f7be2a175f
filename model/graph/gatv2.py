"""GATv2 (Brody, Alon & Yahav 2022) with a temperature on the attention logits and directed edge attributes.

e_ij = a^T LeakyReLU(W_l h_j + W_r h_i + W_e z_ij) / temperature,    g_i = sum_j softmax_j(e_ij) W_l h_j + b
"""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional
from torch_geometric.nn import GATv2Conv
from torch_geometric.utils import softmax

from model.graph.kinds import GATv2Config
from model.graph.tempered import TemperedSum, listen
from model.protocols import Sizes


class GATv2(TemperedSum, GATv2Conv):
    """PyG's operator with tempered logits: ([M, H], [2, E], [E, A]) -> Heard; without edges a stock gets the bias."""

    def __init__(self, sizes: Sizes, config: GATv2Config) -> None:
        super().__init__(sizes, config, add_self_loops=False)
        listen(self.lin_edge.weight, self.att)

    def edge_update(
        self,
        x_j: Tensor,
        x_i: Tensor,
        edge_attr: Tensor,
        index: Tensor,
        ptr: Tensor | None,
        dim_size: int | None,
    ) -> Tensor:
        """Attention weight per edge and head: [E, heads]."""
        pair = x_i + x_j + self.lin_edge(edge_attr).view(-1, self.heads, self.out_channels)
        logits = (functional.leaky_relu(pair, self.negative_slope) * self.att).sum(dim=-1)
        return softmax(logits / self.temperature, index, ptr, dim_size)
