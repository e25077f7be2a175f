"""TrialConfig: what is accepted, what two configurations have to share to be the same, how one is changed."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterator
from functools import reduce
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from data.config import DataConfig, NoGraphConfig, SplitConfig
from model.augment.identity import IdentityAugmentConfig
from model.fusion.identity import IdentityFusionConfig
from model.graph.edges import KNNEdgesConfig
from model.graph.identity import NoGraphBlockConfig
from model.graph.kinds import GATv2Config
from model.head.identity import IdentityHeadConfig
from model.head.quantile import QuantileHeadConfig
from model.norm.fan import FANConfig
from model.norm.fan_san import FANSANConfig
from model.norm.identity import IdentityNormConfig
from model.norm.san import SANConfig
from model.selection.identity import IdentitySelectionConfig
from model.temporal.identity import LastDayConfig
from search_spaces import SPACES
from search_spaces.config import TrialConfig, validated
from search_spaces.errors import SpaceError
from search_spaces.train import weights_for
from tests.search_spaces.helpers import draw_random

REFERENCE = TrialConfig()
NO_GRAPH = {"model.graph": NoGraphBlockConfig(), "model.fusion": IdentityFusionConfig()}


def sections(config: BaseModel, path: str = "") -> Iterator[str]:
    """Dotted paths of all sections, the whole configuration's '' first."""
    yield path
    for name in type(config).model_fields:
        if isinstance(section := getattr(config, name), BaseModel):
            yield from sections(section, f"{path}.{name}".lstrip("."))


def section_at(content: Any, path: str) -> Any:
    """The part of a configuration, or of its plain content, at a dotted path."""
    step = getattr if isinstance(content, BaseModel) else dict.__getitem__
    return reduce(step, filter(None, path.split(".")), content)


def leaves(content: dict[str, Any], path: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in content.items():
        inner = f"{path}.{name}".lstrip(".")
        if isinstance(value, dict):
            yield from leaves(value, inner)
        else:
            yield inner, value


SECTIONS = list(sections(REFERENCE))
SETTINGS = {
    path: value
    for path, value in leaves(REFERENCE.model_dump())
    if path not in ("seed", "fold", "arm", "model.graph.waived_penalties") and not path.endswith(".kind")
}


ANSWERS = ("end", "warn")  # to a finding of health
OTHERS: dict[str, Any] = {  # where doubling, halving and switching are no choice
    "train.schedule.warmup_steps": 100,
    "data.calendar": "XNYS",
    "data.scaler": "streaming",
    "data.columns.features": "own",
    "data.labels.source": "prices",
    "data.labels.price": "open",
    "data.labels.centre": "sector",
    "data.labels.shape": "raw",
    "data.splits.holdout_from": dt.date(2020, 1, 2),
    "data.splits.train_days": 100,
    "data.graph.method": "rank",
    "data.delay": 2,
    "model.graph.edges.kind": "both",
    "model.head.layer_scale": 0.1,
    "train.loss.rank": {"weight": 0.3},
    "train.loss.spread": {"weight": 0.1},
    "train.precision": "bf16",
    "train.phases": [{"name": "all", "epochs": REFERENCE.train.epochs, "learning_rate": 1e-3}],
}
TOGETHER = {  # that are refused one without the other
    "train.validation_days": {"train.validation_days": 40, "train.early_stopping": {"patience": 3}},
    "train.early_stopping": {"train.validation_days": 40, "train.early_stopping": {"patience": 3}},
}


def another(path: str, value: Any) -> Any:
    """A different value that breaks no rule of the reference: doubled, halved, switched, or named."""
    if path in OTHERS:
        return OTHERS[path]
    if value is None:
        return "a_column"
    if value == ():
        return ("something",)
    if value in ANSWERS:
        return "ignore"
    return changed(value)


def changed(value: Any) -> Any:
    if isinstance(value, tuple):
        return (*value[:-1], changed(value[-1]))
    if isinstance(value, bool):
        return not value
    return value * 2 or 1 if isinstance(value, int) else value / 2 or 0.25


def reordered(content: Any) -> Any:
    """The same content, the keys of every section the other way round."""
    if not isinstance(content, dict):
        return content
    return {name: reordered(value) for name, value in reversed(content.items())}


class TestYaml:
    @settings(deadline=None, max_examples=50)
    @given(name=st.sampled_from(sorted(SPACES)), seed=st.integers(0, 2**32 - 1))
    def test_reads_back_equal(self, name: str, seed: int) -> None:
        (drawn,) = draw_random(SPACES[name], number=1, seed=seed)
        config = drawn.config.replace(seed=seed, arm="no_gat", fold="confirm-1")
        again = TrialConfig.from_yaml(config.to_yaml())
        assert again == config
        assert again.hash == config.hash

    def test_may_leave_out_what_is_default(self) -> None:
        config = TrialConfig.from_yaml("train: {epochs: 3}\nmodel: {graph: {kind: gatv2, heads: 8}}")
        assert config == REFERENCE.replace(**{"train.epochs": 3, "model.graph.heads": 8})

    def test_holds_nothing_but_plain_content(self) -> None:
        assert yaml.safe_load(REFERENCE.to_yaml()) == REFERENCE.model_dump(mode="json")

    @pytest.mark.parametrize("text", ["train: [", "", "- 1\n- 2", "just a sentence"])
    def test_that_is_no_configuration_is_refused(self, text: str) -> None:
        with pytest.raises(SpaceError, match="configuration"):
            TrialConfig.from_yaml(text)


class TestSections:
    @pytest.mark.parametrize("path", SECTIONS)
    def test_refuse_an_unknown_key(self, path: str) -> None:
        content = REFERENCE.model_dump()
        section_at(content, path)["no_such_setting"] = 1
        with pytest.raises(SpaceError, match=r"no_such_setting is no setting"):
            validated(content)

    @pytest.mark.parametrize("path", SECTIONS)
    def test_are_frozen(self, path: str) -> None:
        section = section_at(REFERENCE, path)
        name = next(iter(type(section).model_fields))
        with pytest.raises(ValidationError, match="frozen"):
            setattr(section, name, getattr(section, name))

    @pytest.mark.parametrize("value", [float("inf"), float("nan")])
    @pytest.mark.parametrize("path", [path for path, value in SETTINGS.items() if isinstance(value, float)])
    def test_refuse_what_is_not_finite(self, path: str, value: float) -> None:
        with pytest.raises(SpaceError, match=path.rpartition(".")[2]):
            REFERENCE.replace(**{path: value})


class TestHash:
    @pytest.mark.parametrize(("path", "value"), SETTINGS.items(), ids=SETTINGS)
    def test_changes_with_every_setting(self, path: str, value: Any) -> None:
        other = REFERENCE.replace(**(TOGETHER.get(path) or {path: another(path, value)}))
        assert section_at(other.model_dump(), path) != value
        assert other.hash != REFERENCE.hash

    def test_changes_with_every_block(self) -> None:
        changes: list[dict[str, Any]] = [
            {},
            NO_GRAPH,
            {"model.fusion": IdentityFusionConfig()},
            {"model.norm": FANConfig()},
            {"model.norm": SANConfig()},
            {"model.norm": IdentityNormConfig()},
            {"model.augment": IdentityAugmentConfig()},
            {"model.temporal": LastDayConfig()},
            {"model.selection": IdentitySelectionConfig()},
            {"model.head": IdentityHeadConfig()},
        ]
        assert len({REFERENCE.replace(**change).hash for change in changes}) == len(changes)

    @pytest.mark.parametrize("change", [{"seed": 7}, {"fold": "confirm-2"}, {"arm": "no_gat"}])
    def test_ignores_which_repetition_it_is(self, change: dict[str, Any]) -> None:
        changed = REFERENCE.replace(**change)
        assert changed != REFERENCE
        assert changed.hash == REFERENCE.hash

    def test_ignores_the_order_of_keys(self) -> None:
        content = reordered(REFERENCE.model_dump(mode="json"))
        assert next(iter(content)) == "arm"
        assert validated(content).hash == REFERENCE.hash

    def test_ignores_how_a_number_is_written(self) -> None:
        assert TrialConfig.from_yaml("train: {loss: {kind: huber, delta: 1}, clip_norm: 1e0}").hash == REFERENCE.hash

    def test_of_a_block_that_is_off_has_no_settings(self) -> None:
        off = [REFERENCE.replace(**{"model.graph.heads": heads}).replace(**NO_GRAPH) for heads in (2, 8)]
        assert off[0].hash == off[1].hash

    def test_is_short_and_plain(self) -> None:
        assert len(REFERENCE.hash) == 12
        assert int(REFERENCE.hash, 16) >= 0


class TestReplace:
    def test_changes_one_setting_and_leaves_the_original(self) -> None:
        changed = REFERENCE.replace(**{"train.epochs": 4})
        assert changed.train.epochs == 4
        assert REFERENCE.train.epochs == TrialConfig().train.epochs
        assert changed.replace(**{"train.epochs": REFERENCE.train.epochs}) == REFERENCE

    def test_takes_several_settings_of_any_depth(self) -> None:
        changed = REFERENCE.replace(**{"seed": 5, "data.splits.search_days": 40, "model.norm.fan.top_k": 2})
        assert (changed.seed, changed.data.splits.search_days) == (5, 40)
        assert changed.model.norm == FANSANConfig(fan=FANConfig(top_k=2))

    def test_takes_a_whole_section(self) -> None:
        changed = REFERENCE.replace(**{"model.graph": GATv2Config(heads=8), "data": DataConfig(clip=4.0)})
        assert changed.model.graph == GATv2Config(heads=8)
        assert changed.data == DataConfig(clip=4.0)

    def test_of_nothing_is_equal(self) -> None:
        assert REFERENCE.replace() == REFERENCE

    @pytest.mark.parametrize(
        "key",
        [
            "sede",
            "train.epoch",
            "model.graph.temprature",
            "modle.hidden",
            "data.split.search_days",
            "seed.value",
            "train.epochs.first",
            "train.horizon_weights.0",
            "",
        ],
    )
    def test_of_an_unknown_key_is_refused_naming_it(self, key: str) -> None:
        with pytest.raises(SpaceError, match=f"no {key!r}"):
            REFERENCE.replace(**{key: 1})

    def test_by_a_value_that_breaks_a_rule_is_refused(self) -> None:
        with pytest.raises(SpaceError, match=r"train\.epochs"):
            REFERENCE.replace(**{"train.epochs": 0})


class TestRulesBetweenSections:
    def test_every_horizon_has_a_weight(self) -> None:
        with pytest.raises(SpaceError, match=r"one weight per horizon \(1, 5\)"):
            REFERENCE.replace(**{"data.horizons": (1, 5)})
        both = REFERENCE.replace(**{"data.horizons": (1, 5), "train.horizon_weights": (1.0, 0.5)})
        assert len(both.data.horizons) == len(both.train.horizon_weights)

    def test_a_graph_block_has_edges(self) -> None:
        with pytest.raises(SpaceError, match=r"model\.graph 'gatv2' needs edges, but data\.graph is 'none'"):
            REFERENCE.replace(**{"data.graph": NoGraphConfig()})
        without = REFERENCE.replace(**{"data.graph": NoGraphConfig()} | NO_GRAPH)
        assert without.model.graph.kind == "identity"

    @pytest.mark.parametrize("norm", [SANConfig(slice_length=5), FANSANConfig(san=SANConfig(slice_length=5))])
    def test_slices_fill_the_window(self, norm: SANConfig | FANSANConfig) -> None:
        with pytest.raises(SpaceError, match="slice_length must divide the window 12 into two slices or more, got 5"):
            REFERENCE.replace(**{"data.window": 12, "model.norm": norm})
        assert REFERENCE.replace(**{"data.window": 15, "model.norm": norm}).data.window == 15

    @pytest.mark.parametrize("norm", [FANConfig(), IdentityNormConfig()])
    def test_without_slices_any_window_will_do(self, norm: FANConfig | IdentityNormConfig) -> None:
        assert REFERENCE.replace(**{"data.window": 13, "model.norm": norm}).data.window == 13

    @pytest.mark.parametrize("block", ["norm", "fusion"])
    def test_multipliers_are_for_blocks_that_learn(self, block: str) -> None:
        off = REFERENCE.replace(**{"model.norm": IdentityNormConfig()} | NO_GRAPH)
        with pytest.raises(SpaceError, match=rf"must name blocks that have parameters, but {block} has none"):
            off.replace(**{"train.groups": {block: {"learning_rate": 0.5}}})
        assert REFERENCE.replace(**{"train.groups": {block: {"learning_rate": 0.5}}}).train.groups

    def test_neighbours_are_kept_within_a_block(self) -> None:
        with pytest.raises(SpaceError, match=r"refresh_days must divide train\.block_days 4.*but it is 3"):
            REFERENCE.replace(**{"model.graph.edges": KNNEdgesConfig(refresh_days=3)})
        assert REFERENCE.replace(**{"model.graph.edges": KNNEdgesConfig(refresh_days=2)}).hash != REFERENCE.hash

    def test_neighbours_in_the_hidden_state_need_no_given_edges(self) -> None:
        config = REFERENCE.replace(**{"data.graph": NoGraphConfig(), "model.graph.edges": KNNEdgesConfig()})
        assert config.model.graph.edges.kind == "knn"

    def test_the_order_of_waivers_makes_no_difference(self) -> None:
        names = ("edge_weight_penalty", "attention_entropy_penalty")
        zero = dict.fromkeys(names, 0.0)
        one, other = (GATv2Config(**zero, waived_penalties=order) for order in (names, names[::-1]))
        assert one == other

    def test_a_weight_of_a_loss_that_the_network_has_not_is_no_setting(self) -> None:
        off = REFERENCE.replace(**{"model.norm": IdentityNormConfig()})
        assert off.replace(**{"train.loss.auxiliary_weight": 0.5}).hash == off.hash
        assert REFERENCE.replace(**{"train.loss.auxiliary_weight": 0.5}).hash != REFERENCE.hash

    def test_a_quantile_head_has_the_quantile_loss(self) -> None:
        with pytest.raises(SpaceError, match=r"Set train\.loss to \{kind: quantile\}, or model\.head"):
            REFERENCE.replace(**{"model.head": QuantileHeadConfig()})

    def test_heads_divide_the_hidden_size(self) -> None:
        with pytest.raises(SpaceError, match="heads must divide hidden=36"):
            REFERENCE.replace(**{"model.hidden": 36, "model.graph.heads": 8})

    def test_nothing_is_fused_without_a_graph(self) -> None:
        with pytest.raises(SpaceError, match="fusion must be 'identity' or 'concat' where graph is 'identity'"):
            REFERENCE.replace(**{"model.graph": NoGraphBlockConfig()})


class TestMessage:
    @pytest.fixture
    def message(self) -> str:
        with pytest.raises(SpaceError) as refusal:
            validated(
                {
                    "train": {"epochs": 0},
                    "model": {"hidden": "big", "graph": {"kind": "gatv2", "hedas": 8}},
                    "data": {"splits": {"search_days": 1}},
                    "sede": 3,
                }
            )
        return str(refusal.value)

    @pytest.mark.parametrize(
        "path", [r"train\.epochs", r"model\.hidden", r"model\.graph\S*\.hedas", r"data\.splits\.search_days", "sede"]
    )
    def test_names_every_offence_at_once(self, message: str, path: str) -> None:
        assert re.search(rf" {path} (is|must)", message)

    def test_is_one_line_without_the_librarys_own_words(self, message: str) -> None:
        assert len(message.splitlines()) == 1
        assert "pydantic" not in message
        assert message.startswith("the configuration breaks a rule: ")

    def test_is_a_value_error(self) -> None:
        with pytest.raises(ValueError, match="breaks a rule"):
            validated({"seed": -1})


def test_the_folds_of_any_market_make_a_configuration() -> None:
    for num_days in (260, 1274, 1597, 5000):
        config = REFERENCE.replace(**{"data.splits": SplitConfig.for_market(num_days)})
        assert config.data.splits.holdout_days < num_days


@pytest.mark.parametrize(
    ("num", "weights"), [(1, (1.0,)), (2, (1.0, 0.8)), (4, (9.0, 1, 1, 1)), (6, (1, 0.8, 0.7, 0.5, 0.3, 0.3))]
)
def test_other_horizons_get_the_usual_weights(num: int, weights: tuple[float, ...]) -> None:
    assert weights_for(num, (9.0, 1, 1, 1)) == weights


def test_a_list_that_lost_its_wrong_member_is_one_offence() -> None:
    phases = [{"name": "a", "epochs": 1, "learning_rate": 1e-3, "learns": ["nosuch"]}]
    with pytest.raises(SpaceError) as caught:
        validated({"train": {"epochs": 1, "phases": phases}})
    assert str(caught.value).count("learns") == 1
    assert "too" not in str(caught.value)
    assert "at least 1" not in str(caught.value)
