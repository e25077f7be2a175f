"""TrialConfig: one validated point, from YAML, a sampler or an arm; its hash says which trials are the same."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from data.config import DataConfig, NoGraphConfig
from data.rules import broken_rules, load_yaml
from model.config import ModelConfig
from model.losses.config import Loss
from search_spaces.errors import SpaceError
from search_spaces.train import TrainConfig, weights_for

IDENTITY_OF_A_RUN = ("seed", "fold", "arm")  # which repetition it is, not what is tried


class TrialConfig(BaseModel):
    """Everything that a trial's result depends on, besides the market."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    data: DataConfig = DataConfig()
    model: ModelConfig = ModelConfig()
    train: TrainConfig = TrainConfig()
    seed: int = Field(0, ge=0, description="initial weights, data order, dropout")
    fold: str = Field("search", pattern="^(search|confirm-[1-9][0-9]*)$", description="or 'confirm-1', 'confirm-2', ..")
    arm: str = Field("search", description="name of the ablation arm; 'search' outside an ablation")

    @model_validator(mode="before")
    @classmethod
    def _weights_follow_the_horizons(cls, content: Any) -> Any:
        """Where horizons are given and their weights are not, the usual ones, as many."""
        data = content.get("data") if isinstance(content, dict) else None
        horizons = data.get("horizons") if isinstance(data, dict) else None
        train = content.get("train", {}) if isinstance(content, dict) else None
        if not isinstance(horizons, list | tuple) or not isinstance(train, dict) or "horizon_weights" in train:
            return content
        return content | {"train": train | {"horizon_weights": weights_for(len(horizons), ())}}

    @model_validator(mode="after")
    def _sections_agree(self) -> TrialConfig:
        if len(self.train.horizon_weights) != len(self.data.horizons):
            raise ValueError(
                f"train.horizon_weights must have one weight per horizon {self.data.horizons}, got "
                f"{self.train.horizon_weights}. Give as many weights as horizons."
            )
        if self.model.needs_given_edges and isinstance(self.data.graph, NoGraphConfig):
            raise ValueError(
                f"model.graph {self.model.graph.kind!r} needs edges, but data.graph is {self.data.graph.kind!r}. Set "
                "data.graph to {kind: sector} or {kind: correlation}, model.graph.edges to {kind: knn}, or model.graph "
                "to identity."
            )
        with_parameters = self.model.check(self.data.window, len(self.data.horizons))
        if idle := sorted(self.train.groups.keys() - with_parameters):
            raise ValueError(
                f"train.groups must name blocks that have parameters, but {', '.join(idle)} has none in this network. "
                f"Leave it out."
            )
        self._phases_name_blocks_that_learn(with_parameters)
        refresh_days = getattr(getattr(self.model.graph, "edges", None), "refresh_days", 1)
        if self.train.block_days % refresh_days:
            raise ValueError(
                f"model.graph.edges.refresh_days must divide train.block_days {self.train.block_days}, within which "
                f"neighbours are kept, but it is {refresh_days}. Choose one of its divisors."
            )
        self.train.loss.refuse_head(self.model.head.levels)
        return self

    def _phases_name_blocks_that_learn(self, with_parameters: set[str]) -> None:
        learning = {slot for phase in self.train.phases for slot in phase.learns}
        if self.train.phases and (never := sorted(with_parameters - learning)):
            raise ValueError(
                f"train.phases must let every block with parameters learn in some phase, but {', '.join(never)} never "
                f"does: it would keep its random start. Name it in a phase's learns."
            )
        for phase in self.train.phases:
            if not with_parameters & set(phase.learns):
                raise ValueError(
                    f"a phase must let a block with parameters learn, but in {phase.name!r} none of "
                    f"{', '.join(phase.learns)} has any in this network. Name another, or leave the phase out."
                )

    @property
    def hash(self) -> str:
        """Equal for equal configurations, whatever their seed, fold and arm. A block that is off has no settings."""
        content = self.model_dump(mode="json", exclude=set(IDENTITY_OF_A_RUN))
        if not self.model.norm.predicts:
            del content["train"]["loss"]["auxiliary_weight"]
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:12]

    @property
    def resumable_hash(self) -> str:
        """Equal for runs of which one can go on from the other's checkpoint."""
        return f"{self.hash}-{self.seed}-{self.fold}"

    def build_loss(self) -> Loss:
        """What the trial minimises."""
        return self.train.loss.build(self.data.horizons, self.train.horizon_weights, self.model.head.levels)

    def replace(self, **changes: Any) -> TrialConfig:
        """A copy with dotted keys changed: `replace(**{"train.epochs": 4, "model.graph": GATv2Config()})`.

        Raises:
            SpaceError: an unknown key, or a value that breaks a rule.
        """
        content = self.model_dump()
        for key, value in changes.items():
            *path, last = key.split(".")
            section: Any = content
            for name in path:
                section = section.get(name) if isinstance(section, dict) else None
            if not isinstance(section, dict) or last not in section:
                raise SpaceError(f"a setting must exist to be changed, but there is no {key!r}.")
            section[last] = value.model_dump() if isinstance(value, BaseModel) else value
        return validated(content)

    def to_yaml(self) -> str:
        """Reads back to an equal value with `from_yaml`."""
        return yaml.safe_dump(self.model_dump(mode="json"), sort_keys=False)

    @classmethod
    def from_yaml(cls, text: str) -> TrialConfig:
        """Raises SpaceError where the text is no valid configuration."""
        try:
            content = load_yaml(text)
        except yaml.MarkedYAMLError as error:
            where = f"in line {error.problem_mark.line + 1}" if error.problem_mark else "it"
            raise SpaceError(f"a configuration must be YAML, but {where}: {error.problem}.") from error
        except (ValueError, yaml.YAMLError) as error:
            raise SpaceError(f"a configuration must be YAML: {error}") from error
        if not isinstance(content, dict):
            held = "is empty" if content is None else f"holds {content!r}"
            raise SpaceError(f"a configuration must be a mapping such as 'model: {{hidden: 32}}', but it {held}.")
        return validated(content)


def validated(content: Any) -> TrialConfig:
    """`TrialConfig` of plain content, with pydantic's complaints turned into one readable message."""
    try:
        return TrialConfig.model_validate(content)
    except ValidationError as error:
        broken = broken_rules(error, TrialConfig, "it")
        raise SpaceError(f"the configuration breaks a rule: {broken}") from error
