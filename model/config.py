"""ModelConfig: one block per slot. The union of a slot's configs is its registry."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, model_validator

from model.augment.freq_dropout import FreqDropoutConfig
from model.augment.identity import IdentityAugmentConfig
from model.fusion.gated import GatedFusionConfig
from model.fusion.identity import IdentityFusionConfig
from model.graph.gatv2 import GATv2Config
from model.graph.identity import NoGraphBlockConfig
from model.head.identity import IdentityHeadConfig
from model.head.point import PointHeadConfig
from model.norm.fan import FANConfig
from model.norm.fan_san import FANSANConfig
from model.norm.identity import IdentityNormConfig
from model.norm.san import SANConfig
from model.protocols import BlockConfig
from model.selection.identity import IdentitySelectionConfig
from model.selection.light import LightSelectionConfig
from model.temporal.identity import LastDayConfig
from model.temporal.tft import TFTConfig

SelectionConfig = Annotated[LightSelectionConfig | IdentitySelectionConfig, Field(discriminator="kind")]
NormConfig = Annotated[FANSANConfig | FANConfig | SANConfig | IdentityNormConfig, Field(discriminator="kind")]
AugmentConfig = Annotated[FreqDropoutConfig | IdentityAugmentConfig, Field(discriminator="kind")]
TemporalConfig = Annotated[TFTConfig | LastDayConfig, Field(discriminator="kind")]
GraphBlockConfig = Annotated[GATv2Config | NoGraphBlockConfig, Field(discriminator="kind")]
FusionConfig = Annotated[GatedFusionConfig | IdentityFusionConfig, Field(discriminator="kind")]
HeadConfig = Annotated[PointHeadConfig | IdentityHeadConfig, Field(discriminator="kind")]


class ModelConfig(BlockConfig):
    """The whole network. Rules between fields are checked here, before anything starts."""

    hidden: int = Field(32, ge=4, description="channels of every representation (H)")
    selection: SelectionConfig = LightSelectionConfig()
    norm: NormConfig = FANSANConfig()
    augment: AugmentConfig = FreqDropoutConfig()
    temporal: TemporalConfig = TFTConfig()
    graph: GraphBlockConfig = GATv2Config()
    fusion: FusionConfig = GatedFusionConfig()
    head: HeadConfig = PointHeadConfig()

    @model_validator(mode="after")
    def _heads_divide_hidden(self) -> ModelConfig:
        for slot in (self.temporal, self.graph):
            heads = getattr(slot, "heads", 1)
            if self.hidden % heads:
                raise ValueError(f"{slot.kind} heads must divide hidden={self.hidden}, got heads={heads}")
        return self

    @model_validator(mode="after")
    def _fusion_has_something_to_fuse(self) -> ModelConfig:
        if self.graph.kind == "identity" and self.fusion.kind != "identity":
            raise ValueError(
                f"fusion must be 'identity' where graph is 'identity', got {self.fusion.kind!r}: its gate would "
                f"have no neighbours to weigh"
            )
        return self
