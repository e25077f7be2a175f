"""Alpha fusion: its equation, its floor, and what starts inside the penalty."""

from __future__ import annotations

import pytest
import torch
from pydantic import ValidationError

from model.fusion.alpha import AlphaFusion, AlphaFusionConfig
from tests.model.samples import SIZES, normal


def _fusion(**settings: float) -> AlphaFusion:
    return AlphaFusionConfig(**settings).build(SIZES)


def test_the_output_computes_its_equation_from_the_share_that_was_asked_for() -> None:
    fusion, own, graph = _fusion(alpha_init=0.25), normal(2, 3, SIZES.hidden), normal(2, 3, SIZES.hidden, seed=1)
    torch.testing.assert_close(fusion.alpha, torch.tensor(0.25))
    torch.testing.assert_close(fusion(own, graph), 0.75 * own + 0.25 * graph)
    torch.testing.assert_close(fusion.share(own, graph), torch.full_like(own, 0.25))


def test_the_penalty_is_nothing_above_the_floor_and_grows_below_it() -> None:
    fusion = _fusion(alpha_init=0.5, alpha_min=0.2, alpha_penalty=3.0)
    for alpha, expected in ((0.5, 0.0), (0.2, 0.0), (0.1, 3 * 0.01), (0.05, 3 * 0.0225)):
        fusion.logit.data = torch.logit(torch.tensor(alpha))
        torch.testing.assert_close(fusion.penalties()["alpha_floor"], torch.tensor(expected), atol=1e-6, rtol=1e-4)


def test_the_penalty_pushes_alpha_up() -> None:
    fusion = _fusion(alpha_init=0.2, alpha_min=0.2)
    fusion.logit.data -= 1
    fusion.penalties()["alpha_floor"].backward()
    assert fusion.logit.grad < 0, "descending raises the share"


def test_a_start_below_the_floor_is_refused() -> None:
    with pytest.raises(ValidationError, match=r"alpha_init must be at least alpha_min, got 0\.2 and 0\.3"):
        AlphaFusionConfig(alpha_init=0.2, alpha_min=0.3)
    assert AlphaFusionConfig(alpha_init=0.3, alpha_min=0.3).alpha_init == 0.3
