"""ModelConfig: one block per slot. The union of a slot's configs is its registry."""

from __future__ import annotations

from functools import lru_cache
from typing import Annotated, Any, Literal, get_args

import torch
from pydantic import Field, model_validator

from model.augment.feature_dropout import FeatureDropoutConfig
from model.augment.freq_dropout import FreqDropoutConfig
from model.augment.identity import IdentityAugmentConfig
from model.augment.jitter import JitterConfig
from model.augment.sequence import AugmentSequenceConfig
from model.augment.time_masking import TimeMaskingConfig
from model.fusion.alpha import AlphaFusionConfig
from model.fusion.concat import ConcatFusionConfig
from model.fusion.gated import GatedFusionConfig
from model.fusion.identity import IdentityFusionConfig
from model.graph.encoder import GraphBlockConfig
from model.graph.identity import NoGraphBlockConfig
from model.graph.kinds import GATConfig, GATv2Config, GINConfig, SAGEConfig, TransformerGraphConfig
from model.graph.self_only import SelfOnlyConfig
from model.head.identity import IdentityHeadConfig
from model.head.point import PointHeadConfig
from model.head.quantile import QuantileHeadConfig
from model.norm.fan import FANConfig
from model.norm.fan_san import FANSANConfig
from model.norm.identity import IdentityNormConfig
from model.norm.revin import RevINConfig
from model.norm.san import SANConfig
from model.protocols import BlockConfig, Sizes
from model.selection.full import FullSelectionConfig
from model.selection.grouped import GroupedSelectionConfig
from model.selection.identity import IdentitySelectionConfig
from model.selection.light import LightSelectionConfig
from model.temporal.attention import AttentionConfig
from model.temporal.conv_rnn import ConvRNNConfig
from model.temporal.identity import LastDayConfig
from model.temporal.lstm import LSTMConfig
from model.temporal.tft import TFTConfig

SelectionConfig = Annotated[
    LightSelectionConfig | GroupedSelectionConfig | FullSelectionConfig | IdentitySelectionConfig,
    Field(discriminator="kind"),
]
NormConfig = Annotated[
    FANSANConfig | FANConfig | SANConfig | RevINConfig | IdentityNormConfig, Field(discriminator="kind")
]
AugmentConfig = Annotated[
    FreqDropoutConfig
    | FeatureDropoutConfig
    | JitterConfig
    | TimeMaskingConfig
    | AugmentSequenceConfig
    | IdentityAugmentConfig,
    Field(discriminator="kind"),
]
TemporalConfig = Annotated[
    TFTConfig | LSTMConfig | AttentionConfig | ConvRNNConfig | LastDayConfig, Field(discriminator="kind")
]
GraphConfig = Annotated[
    GATv2Config | GATConfig | SAGEConfig | GINConfig | TransformerGraphConfig | SelfOnlyConfig | NoGraphBlockConfig,
    Field(discriminator="kind"),
]
FusionConfig = Annotated[
    GatedFusionConfig | AlphaFusionConfig | ConcatFusionConfig | IdentityFusionConfig, Field(discriminator="kind")
]
HeadConfig = Annotated[PointHeadConfig | QuantileHeadConfig | IdentityHeadConfig, Field(discriminator="kind")]

CheckpointedSlot = Literal["selection", "norm", "augment", "temporal", "graph", "fusion", "head"]
SMALL = 512  # channels, and days of a window: a block of so many is built in a moment and in little memory
SLOTS: tuple[CheckpointedSlot, ...] = get_args(CheckpointedSlot)
WITHOUT_NEIGHBOURS = ("identity", "concat")  # fusions that make sense of a message of zeros


class ModelConfig(BlockConfig):
    """The whole network. Rules between fields are checked here, before anything starts."""

    hidden: int = Field(32, ge=4, description="channels of every representation (H)")
    selection: SelectionConfig = LightSelectionConfig()
    norm: NormConfig = FANSANConfig()
    augment: AugmentConfig = FreqDropoutConfig()
    temporal: TemporalConfig = TFTConfig()
    graph: GraphConfig = GATv2Config()
    fusion: FusionConfig = GatedFusionConfig()
    head: HeadConfig = PointHeadConfig()

    @model_validator(mode="after")
    def _heads_divide_hidden(self) -> ModelConfig:
        for slot in (self.temporal, self.graph):
            heads = getattr(slot, "heads", 1)
            if self.hidden % heads:
                raise ValueError(
                    f"{slot.kind} heads must divide hidden={self.hidden}, got heads={heads}. Choose heads among its "
                    f"divisors: {', '.join(str(n) for n in range(1, self.hidden + 1) if self.hidden % n == 0)}."
                )
        return self

    @model_validator(mode="after")
    def _fusion_has_something_to_fuse(self) -> ModelConfig:
        if self.graph.kind == "identity" and self.fusion.kind not in WITHOUT_NEIGHBOURS:
            raise ValueError(
                f"fusion must be 'identity' or 'concat' where graph is 'identity', got {self.fusion.kind!r}: it would "
                f"have no neighbours to weigh. Set fusion to {{kind: identity}}."
            )
        return self

    @property
    def needs_given_edges(self) -> bool:
        """Whether the graph block hears over edges that come with the day."""
        edges = getattr(self.graph, "edges", None)
        return edges is not None and edges.kind != "knn"

    def check(self, window: int, horizons: int) -> set[str]:
        """Builds the blocks, so that what one refuses is refused before anything starts.

        Returns:
            The blocks that have parameters, the projection among them.

        Raises:
            ValueError: a block does not go with the window or the horizons.
        """
        sizes = Sizes(features=2, hidden=self.hidden, window=window, edge_attributes=4, horizons=horizons)
        return {"projection"} | {slot for slot in SLOTS if _has_parameters(getattr(self, slot), sizes)}


@lru_cache(maxsize=1024)
def _has_parameters(config: Any, sizes: Sizes) -> bool:
    """Built once per block: a sweep makes many networks that have most of their blocks in common.

    A large one is built without memory. That imports torch's compiler, and a graph's operator all of PyG; each takes as
    long as everything else here, which whoever asks for a command's help would wait for.
    """
    if isinstance(config, GraphBlockConfig):
        return True
    is_small = max(sizes.hidden, sizes.window) <= SMALL
    with torch.device("cpu" if is_small else "meta"), torch.random.fork_rng(devices=[]):
        return any(True for _ in config.build(sizes).parameters())
