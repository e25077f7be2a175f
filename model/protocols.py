"""The slots of the network: what a block must be to stand in one.

Shapes: B days, N stocks, M = B*N nodes, T = B + L - 1 days with their history, L window, F features, H hidden,
K horizons, E edges.
"""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol

from pydantic import BaseModel, ConfigDict
from torch import Tensor


class BlockConfig(BaseModel):
    """Base of every block's settings: immutable, unknown keys refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Sizes(NamedTuple):
    """What every block is built from; it comes from the store's schema and the model's hidden size."""

    features: int
    hidden: int
    window: int
    edge_attributes: int
    horizons: int


class Selection(Protocol):
    """Weighs features pointwise, per (day, stock): [T, N, F] -> [T, N, F]."""

    def __call__(self, x_TNF: Tensor) -> Tensor: ...


class SeriesNorm(Protocol):
    """Removes what is not stationary from each window and gives its prediction back to the representation."""

    def normalize(self, x_BNLH: Tensor) -> tuple[Tensor, Any]:
        """Returns (y_BNLH, statistics of the window, the predicted next step's among them)."""
        ...

    def restore(self, h_BNH: Tensor, stats: Any) -> Tensor:
        """Adds a learned linear map of the predicted one-step-ahead statistics: [B, N, H] -> [B, N, H]."""
        ...

    def auxiliary_loss(self, stats: Any, next_BNH: Tensor, mask_BN: Tensor) -> Tensor:
        """Scalar: how far the predicted statistics are from the projection of day t + 1, where it is known."""
        ...


class Augment(Protocol):
    """Perturbs windows in training, is the identity otherwise: [B, N, L, H] -> [B, N, L, H]."""

    def __call__(self, x_BNLH: Tensor) -> Tensor: ...


class TemporalEncoder(Protocol):
    """Reads a window: ([B, N, L, H], observed [B, N, L]) -> [B, N, H]."""

    def __call__(self, x_BNLH: Tensor, mask_BNL: Tensor) -> Tensor: ...


class GraphEncoder(Protocol):
    """Reads the neighbours of the same day: ([M, H], [2, E], [E, 4]) -> [M, H]."""

    def __call__(self, h_MH: Tensor, edge_index: Tensor, edge_attr: Tensor) -> Tensor: ...


class Fusion(Protocol):
    """Joins the own and the neighbours' representation: ([B, N, H], [B, N, H]) -> [B, N, H]."""

    def __call__(self, own_BNH: Tensor, graph_BNH: Tensor) -> Tensor: ...


class Head(Protocol):
    """Predicts all horizons: [B, N, H] -> [B, N, K]."""

    def __call__(self, h_BNH: Tensor) -> Tensor: ...
