"""The slots of the network: what a block must be to stand in one.

Shapes: B days, N stocks, M = B*N nodes, T = B + L - 1 days with their history, L window, F features, H hidden,
K horizons, Q quantiles, E edges.
"""

from __future__ import annotations

from typing import Any, ClassVar, NamedTuple, Protocol

from pydantic import BaseModel, ConfigDict
from torch import Tensor

Penalties = dict[str, Tensor]
"""Name -> scalar that is added to the loss, its weight included. Empty in evaluation."""


class BlockConfig(BaseModel):
    """Base of every block's settings: immutable, unknown keys refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class NormBlockConfig(BlockConfig):
    """Base of the normalisers' settings."""

    predicts: ClassVar[bool] = True  # has an auxiliary loss: an error about the day to come


class Sizes(NamedTuple):
    """What every block is built from; it comes from the store's schema and the model's hidden size."""

    features: int
    hidden: int
    window: int
    edge_attributes: int
    horizons: int
    sectors: int = 1  # codes 0 .. sectors - 1; 0 is a stock of no known sector


class Selection(Protocol):
    """Weighs features pointwise, per (day, stock): [T, N, F] -> [T, N, F]."""

    def __call__(self, x_TNF: Tensor) -> Tensor: ...

    def weights(self, x_TNF: Tensor) -> Tensor:
        """What each feature is multiplied by: [T, N, F], mean one over features."""
        ...


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

    def removed(self, x_BNLH: Tensor) -> dict[str, Tensor]:
        """What `normalize` takes out of windows, by name, for a person to look at."""
        ...


class Augment(Protocol):
    """Perturbs windows in training, is the identity otherwise: [B, N, L, H] -> [B, N, L, H]."""

    def __call__(self, x_BNLH: Tensor) -> Tensor: ...


class TemporalEncoder(Protocol):
    """Reads a window: ([B, N, L, H], observed [B, N, L], sector code [B, N]) -> [B, N, H]."""

    def __call__(self, x_BNLH: Tensor, mask_BNL: Tensor, sector_BN: Tensor) -> Tensor: ...


class GraphEncoder(Protocol):
    """What the neighbours of the same day say.

    ([B, N, H], in the day's universe [B, N], [2, E], [E, A]) -> ([B, N, H], penalties). Node n of day b is b*N + n.
    """

    def __call__(
        self, h_BNH: Tensor, eligible_BN: Tensor, edge_index: Tensor, edge_attr: Tensor
    ) -> tuple[Tensor, Penalties]: ...


class Fusion(Protocol):
    """Joins the own and the neighbours' representation: ([B, N, H], [B, N, H]) -> [B, N, H]."""

    def __call__(self, own_BNH: Tensor, graph_BNH: Tensor) -> Tensor: ...

    def penalties(self) -> Penalties:
        """What its own parameters cost."""
        ...

    def share(self, own_BNH: Tensor, graph_BNH: Tensor) -> Tensor | None:
        """How much of the neighbours' view is let in, 0 to 1: [B, N, H]; None where nothing weighs it."""
        ...


class Head(Protocol):
    """Predicts all horizons: [B, N, H] -> [B, N, K, Q]; Q = 1 is a point, more are quantiles in ascending order."""

    levels: tuple[float, ...]  # of the quantiles, ascending, 0.5 among them; (0.5,) for a point

    def __call__(self, h_BNH: Tensor) -> Tensor: ...
