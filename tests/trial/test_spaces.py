"""Every shipped space on a small market: its reference and a draw of it train for an epoch, and are read back."""

from __future__ import annotations

import math

import pytest

from data.loader import FoldBlocks
from search_spaces import SPACES
from search_spaces.config import TrialConfig, validated
from tests.search_spaces.helpers import new_study
from trial.fit import fit
from trial.state import new_state


@pytest.mark.parametrize("name", SPACES)
@pytest.mark.parametrize("drawn", [False, True], ids=["reference", "draw"])
def test_it_trains_for_an_epoch(name: str, drawn: bool, config: TrialConfig, blocks: FoldBlocks) -> None:
    space = SPACES[name]
    base = space.reference.replace(
        **{
            "data": config.data,
            "train.horizon_weights": config.train.horizon_weights,
            "train.epochs": 1,
            "train.days_per_epoch": 16,
        }
    )
    chosen = space.sample(new_study(seed=2).ask(), base) if drawn else base
    again = validated(chosen.model_dump(mode="json"))
    assert again == chosen
    (result,) = fit(new_state(again, blocks), blocks, again)
    assert result.is_last
    assert math.isfinite(result.value)
