"""GIN (Xu et al. 2019) with edge attributes (GINE: Hu et al. 2020).

g_i = MLP((1 + eps) h_i + sum_j relu(h_j + W_e z_ij))

The sum grows with the degree, so the MLP begins with a LayerNorm; the scale of a window was the normaliser's to keep.
"""

from __future__ import annotations

from torch import Tensor, nn
from torch_geometric.nn import GINEConv

from model.graph.encoder import Heard
from model.graph.kinds import GINConfig
from model.protocols import Sizes


class GIN(nn.Module):
    """PyG's operator: ([M, H], [2, E], [E, A]) -> Heard; without edges a stock hears itself."""

    def __init__(self, sizes: Sizes, config: GINConfig) -> None:
        super().__init__()
        hidden = sizes.hidden
        self.conv = GINEConv(nn.Linear(hidden, hidden), train_eps=True, edge_dim=config.edge_attributes(sizes))
        self.conv.nn = nn.Sequential(
            nn.LayerNorm(hidden),
            nn.Linear(hidden, hidden),
            nn.GELU(),
            nn.Dropout(config.dropout),
            nn.Linear(hidden, hidden),
        )

    def forward(self, h_MH: Tensor, edge_index: Tensor, edge_attr: Tensor) -> Heard:
        return Heard(self.conv(h_MH, edge_index, edge_attr), None)
