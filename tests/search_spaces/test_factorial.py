"""A factorial design: balanced, all on first, of the resolution asked for, whose factors always mean something."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

from model.augment.identity import IdentityAugmentConfig
from model.fusion.identity import IdentityFusionConfig
from model.graph.identity import NoGraphBlockConfig
from search_spaces import SPACES
from search_spaces.config import TrialConfig
from search_spaces.errors import SpaceError
from search_spaces.factorial import MAX_FACTORS, MIN_FACTORS, TIMES, Factor, Factorial
from search_spaces.interactions import DESIGN
from search_spaces.space import REFERENCE

BASE = SPACES["gat_ablation"].reference
SIZES = [(number, resolution) for number in range(MIN_FACTORS, MAX_FACTORS + 1) for resolution in (4, 5)]


def design_of(number: int, resolution: Any) -> Factorial:
    return Factorial({f"f{place}": Factor("on", lambda config: config) for place in range(number)}, resolution)


def factor(**changes: Any) -> Factor:
    return Factor("on", lambda config: config.replace(**{key.replace("__", "."): v for key, v in changes.items()}))


@pytest.mark.parametrize(("number", "resolution"), SIZES)
class TestEveryDesign:
    def test_has_as_many_runs_on_as_off_for_every_factor_and_pair(self, number: int, resolution: int) -> None:
        levels_RF = np.array(design_of(number, resolution).levels)
        np.testing.assert_array_equal(levels_RF.T @ levels_RF, len(levels_RF) * np.eye(number))
        np.testing.assert_array_equal(levels_RF.sum(axis=0), 0)
        assert len({*map(tuple, levels_RF)}) == len(levels_RF)

    def test_begins_with_all_on(self, number: int, resolution: int) -> None:
        design = design_of(number, resolution)
        assert set(design.levels[0]) == {1}
        assert REFERENCE not in design.runs
        assert next(iter(design.plain()["levels"])) == REFERENCE

    def test_says_truly_what_cannot_be_told_apart(self, number: int, resolution: int) -> None:
        """Columns of aliases are the same; no two groups are; no pair is one with a factor, or at 5 with a pair."""
        design = design_of(number, resolution)
        levels = {
            name: np.array(column) for name, column in zip(design.factors, np.array(design.levels).T, strict=True)
        }

        def column(word: str) -> tuple[int, ...]:
            return tuple(np.prod([levels[name] for name in word.split(TIMES)], axis=0))

        groups = design.aliases
        assert all(len({*map(column, words)}) == 1 for words in groups)
        assert len({column(words[0]) for words in groups}) == len(groups)
        told = {word for words in groups for word in words if word.count(TIMES) <= 1}
        pairs = [TIMES.join(pair) for pair in itertools.combinations(design.factors, 2)]
        assert told == {*design.factors, *pairs}
        shortest = [len(words[0].split(TIMES)) + len(words[1].split(TIMES)) for words in groups if len(words) > 1]
        assert min(shortest, default=resolution) >= resolution


def test_sixteen_runs_tell_five_switches_and_their_pairs_apart() -> None:
    assert len(DESIGN.levels) == 16
    assert len(DESIGN.aliases) == 15


def test_four_factors_at_resolution_four_take_eight_runs() -> None:
    assert len(design_of(4, 4).levels) == 8
    assert ["f0 x f1", "f2 x f3"] in [words[:2] for words in design_of(4, 4).aliases]


def test_a_run_turns_off_what_its_name_says() -> None:
    config = SPACES["interactions"].arm_configs(BASE)["no_gat+no_fan"]
    assert config.model.graph == NoGraphBlockConfig()
    assert config.model.norm.kind == "san"
    assert config.model.augment == BASE.model.augment


def test_without_fan_and_san_nothing_is_normalised() -> None:
    assert SPACES["interactions"].arm_configs(BASE)["no_fan+no_san"].model.norm.kind == "identity"


def test_runs_are_not_retuned_nor_chosen_from() -> None:
    space = SPACES["interactions"]
    assert space.retuned == ()
    with pytest.raises(SpaceError, match="Leave --arms out"):
        space.with_arms(["no_gat+no_fan"])


def test_a_factor_that_means_nothing_without_another_is_refused() -> None:
    """One head or several: only where somebody listens."""
    gat = factor(model__graph=NoGraphBlockConfig(), model__fusion=IdentityFusionConfig())
    with pytest.raises(SpaceError, match="'heads' changes nothing where 'gat' is off"):
        Factorial({"gat": gat, "heads": factor(model__graph__heads=1)}).check(BASE)


def test_one_that_is_a_part_of_another_is_refused() -> None:
    off = factor(model__augment=IdentityAugmentConfig())
    with pytest.raises(SpaceError, match="'once' changes nothing where 'twice' is off"):
        Factorial({"once": off, "twice": off}).check(BASE)


def test_factors_whose_order_matters_are_refused() -> None:
    def double(config: TrialConfig) -> TrialConfig:
        return config.replace(**{"model.hidden": config.model.hidden * 2})

    with pytest.raises(SpaceError, match="in any order alike"):
        Factorial({"sixteen": factor(model__hidden=16), "double": Factor("on", double)}).check(BASE)


@pytest.mark.parametrize("number", [1, 8])
def test_too_few_or_too_many_factors_are_refused(number: int) -> None:
    with pytest.raises(SpaceError, match=rf"2 to 7 factors, got {number}"):
        design_of(number, 5)
