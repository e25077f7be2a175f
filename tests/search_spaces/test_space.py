"""Arms: the reference with one switch turned, on whatever market and budget, and never twice the same."""

from __future__ import annotations

from dataclasses import replace

import pytest

from data.config import SplitConfig
from model.graph.kinds import GATv2Config
from search_spaces import SPACES
from search_spaces.config import TrialConfig
from search_spaces.errors import SpaceError
from search_spaces.space import REFERENCE, Arm, SearchSpace

SPACE = SPACES["gat_ablation"]


def with_arms(**arms: Arm) -> SearchSpace:
    return replace(SPACE, arms=arms, knobs=())


def test_the_reference_comes_first_and_under_its_name() -> None:
    configs = with_arms(wide=Arm("wide", {"model.hidden": 64})).arm_configs(SPACE.reference)
    assert list(configs) == [REFERENCE, "wide"]
    assert [config.arm for config in configs.values()] == [REFERENCE, "wide"]
    assert configs[REFERENCE].hash == SPACE.reference.hash


def test_an_arm_changes_what_it_names_and_nothing_else() -> None:
    arm = with_arms(wide=Arm("wide", {"model.hidden": 64})).arm_configs(SPACE.reference)["wide"]
    assert arm == SPACE.reference.replace(**{"model.hidden": 64, "arm": "wide"})


def test_arms_stand_on_the_market_and_budget_of_the_base() -> None:
    base = SPACE.reference.replace(**{"data.splits": SplitConfig(search_days=33), "train.epochs": 2, "seed": 5})
    for config in with_arms(wide=Arm("wide", {"model.hidden": 64})).arm_configs(base).values():
        assert (config.data, config.train, config.seed) == (base.data, base.train, base.seed)


def test_an_arm_that_changes_nothing_is_refused() -> None:
    space = with_arms(same=Arm("nothing", {"model.graph": GATv2Config()}))
    with pytest.raises(SpaceError, match=r"'same' and 'reference' of space 'gat_ablation'.*changes nothing"):
        space.arm_configs(SPACE.reference)


def test_an_arm_that_changes_nothing_but_its_repetition_is_refused() -> None:
    with pytest.raises(SpaceError, match="'lucky' and 'reference'"):
        with_arms(lucky=Arm("another seed", {"seed": 1})).arm_configs(SPACE.reference)


def test_two_equal_arms_are_refused() -> None:
    space = with_arms(wide=Arm("wide", {"model.hidden": 64}), broad=Arm("also wide", {"model.hidden": 64}))
    with pytest.raises(SpaceError, match="'broad' and 'wide'"):
        space.arm_configs(SPACE.reference)


def test_an_arm_that_is_the_base_already_is_refused() -> None:
    space = with_arms(wide=Arm("wide", {"model.hidden": 64}))
    with pytest.raises(SpaceError, match="'wide' and 'reference'"):
        space.arm_configs(SPACE.reference.replace(**{"model.hidden": 64}))


@pytest.mark.parametrize("key", ["model.hiden", "modle.hidden"])
def test_an_arm_with_an_unknown_key_is_refused(key: str) -> None:
    with pytest.raises(SpaceError, match=f"no {key!r}"):
        with_arms(wide=Arm("wide", {key: 64})).arm_configs(SPACE.reference)


def test_an_arm_may_not_take_the_references_name() -> None:
    with pytest.raises(SpaceError, match="'reference'"):
        with_arms(reference=Arm("wide", {"model.hidden": 64})).arm_configs(SPACE.reference)


def test_a_space_without_arms_has_its_reference() -> None:
    assert with_arms().arm_configs(TrialConfig()) == {REFERENCE: TrialConfig(arm=REFERENCE)}


def test_an_arm_that_is_named_twice_is_refused() -> None:
    space = with_arms(wide=Arm("wide", {"model.hidden": 64}))
    with pytest.raises(SpaceError, match="wide is there twice"):
        space.with_arms(["wide", "wide"])
