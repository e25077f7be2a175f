"""GAT (Velickovic et al. 2018) with a temperature on the attention logits and directed edge attributes.

e_ij = LeakyReLU(a_s^T W h_j + a_t^T W h_i + a_e^T W_e z_ij) / temperature,    g_i = sum_j softmax_j(e_ij) W h_j + b
"""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional
from torch_geometric.nn import GATConv
from torch_geometric.utils import softmax

from model.graph.kinds import GATConfig
from model.graph.tempered import TemperedSum, listen
from model.protocols import Sizes


class GAT(TemperedSum, GATConv):
    """PyG's operator with tempered logits: ([M, H], [2, E], [E, A]) -> Heard; without edges a stock gets the bias."""

    def __init__(self, sizes: Sizes, config: GATConfig) -> None:
        super().__init__(sizes, config, add_self_loops=False)
        listen(self.lin_edge.weight, self.att_edge)

    def edge_update(
        self,
        alpha_j: Tensor,
        alpha_i: Tensor,
        edge_attr: Tensor,
        index: Tensor,
        ptr: Tensor | None,
        dim_size: int | None,
    ) -> Tensor:
        """Attention weight per edge and head: [E, heads]."""
        edge = self.lin_edge(edge_attr).view(-1, self.heads, self.out_channels)
        logits = functional.leaky_relu(alpha_j + alpha_i + (edge * self.att_edge).sum(dim=-1), self.negative_slope)
        return softmax(logits / self.temperature, index, ptr, dim_size)
