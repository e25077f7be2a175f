"""GraphSAGE (Hamilton, Ying & Leskovec 2017), mean aggregation, with edge attributes in the message as in GINE.

g_i = W_1 mean_j relu(h_j + W_e z_ij) + W_2 h_i + b
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional
from torch_geometric.nn import SAGEConv

from model.graph.encoder import Heard
from model.graph.kinds import SAGEConfig
from model.protocols import Sizes


class SAGE(SAGEConv):
    """PyG's operator with edge attributes: ([M, H], [2, E], [E, A]) -> Heard; without edges a stock hears itself."""

    def __init__(self, sizes: Sizes, config: SAGEConfig) -> None:
        super().__init__(sizes.hidden, sizes.hidden, aggr="mean")
        self.lin_edge = nn.Linear(config.edge_attributes(sizes), sizes.hidden)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, h_MH: Tensor, edge_index: Tensor, edge_attr: Tensor) -> Heard:
        # propagate_type: (x: OptPairTensor, edge_attr: Tensor)
        mean_MH = self.propagate(edge_index, x=(h_MH, h_MH), edge_attr=edge_attr)
        return Heard(self.dropout(self.lin_l(mean_MH) + self.lin_r(h_MH)), None)

    def message(self, x_j: Tensor, edge_attr: Tensor) -> Tensor:
        return functional.relu(x_j + self.lin_edge(edge_attr))
