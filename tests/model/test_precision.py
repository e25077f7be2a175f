"""Half precision, gradient checkpointing and torch.compile: no NaN, and the same numbers."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from model.config import SLOTS, ModelConfig
from model.losses.config import HuberLossConfig, QuantileLossConfig, RankTerm, SpreadTerm
from tests.model.samples import DAYS, REFERENCE, SIZES, STOCKS, Inputs, every_network, inputs, network, normal, variant

NETWORKS = [pytest.param(config, id=name) for name, config in every_network()]
each_network = pytest.mark.parametrize("config", NETWORKS)
HORIZONS, WEIGHTS = (1, 5), (1.0, 0.8)


def _loss(
    config: ModelConfig, given: Inputs, dtype: torch.dtype | None = None, **options: object
) -> tuple[Tensor, dict]:
    """Loss of a training pass and the gradients of every parameter."""
    torch.manual_seed(0)
    net = network(config, **options).train()
    kind = QuantileLossConfig if len(config.head.levels) > 1 else HuberLossConfig
    loss = kind(rank=RankTerm(), spread=SpreadTerm()).build(HORIZONS, WEIGHTS, config.head.levels)
    with torch.autocast("cpu", dtype=dtype or torch.bfloat16, enabled=dtype is not None):
        out = net(*given)
    total = loss(out, normal(DAYS, STOCKS, 2, seed=8), given.eligible_BN.unsqueeze(-1).expand(-1, -1, 2))["total"]
    total.backward()
    return total.detach(), {name: p.grad for name, p in net.named_parameters()}


def _hard(given: Inputs) -> Inputs:
    """A stock that was never there, one that stands still, and values at the clip."""
    x, observed = given.x_TNF.clone(), given.observed_TN.clone()
    x[:, 0], observed[:, 0] = 0.0, False
    x[:, 1], observed[:, 1] = 1.5, True
    x[:, 2] = 8 * x[:, 2].sign()
    return given._replace(x_TNF=x, observed_TN=observed)


@each_network
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=["bf16", "fp16"])
def test_half_precision_gives_no_nan_and_nearly_the_same_loss(config: ModelConfig, dtype: torch.dtype) -> None:
    given = _hard(inputs())
    full, _ = _loss(config, given)
    half, gradients = _loss(config, given, dtype)
    assert half.isfinite()
    assert (half - full).abs() < 0.1 * full.abs() + 0.05
    assert all(grad is None or grad.isfinite().all() for grad in gradients.values())


@each_network
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=["bf16", "fp16"])
def test_half_precision_scores_are_finite_in_evaluation(config: ModelConfig, dtype: torch.dtype) -> None:
    with torch.no_grad(), torch.autocast("cpu", dtype=dtype):
        assert network(config)(*_hard(inputs())).level_BNKQ.isfinite().all()


@pytest.mark.parametrize("slots", [*((slot,) for slot in SLOTS), SLOTS], ids=lambda slots: "+".join(slots))
def test_checkpointing_a_slot_changes_no_number_dropout_included(slots: tuple[str, ...]) -> None:
    whole, gradients = _loss(REFERENCE, inputs())
    again, others = _loss(REFERENCE, inputs(), checkpointed=slots)
    assert torch.equal(whole, again)
    assert all(torch.equal(gradients[name], others[name]) for name in gradients)


def test_checkpointing_keeps_less() -> None:
    def kept(slots: tuple[str, ...]) -> int:
        sizes: list[int] = []
        net = network(REFERENCE, checkpointed=slots).train()
        with torch.autograd.graph.saved_tensors_hooks(lambda t: sizes.append(t.nbytes) or t, lambda t: t):
            net(*inputs())
        return sum(sizes)

    assert kept(("norm", "temporal")) < 0.6 * kept(())


def test_an_unknown_slot_cannot_be_checkpointed() -> None:
    with pytest.raises(ValueError, match=r"checkpointed must name slots of .*, got gate"):
        network(REFERENCE, checkpointed=("gate",))


@pytest.mark.long
@pytest.mark.parametrize("without", [(), ("graph", "temporal", "selection", "augment")])
def test_a_compiled_network_gives_the_same_scores_and_keeps_its_names(without: tuple[str, ...]) -> None:
    """Traced by dynamo and differentiated ahead of time; the code generator is the machine's to have."""
    config = variant(REFERENCE, **{slot: {"kind": "identity"} for slot in without})
    plain, compiled = network(config), network(config)
    compiled.compile(backend="aot_eager")
    assert compiled.state_dict().keys() == plain.state_dict().keys()
    for days in (DAYS, DAYS - 1):
        given = inputs(days)
        torch.testing.assert_close(compiled(*given).score_BNK, plain(*given).score_BNK, atol=1e-5, rtol=1e-4)
    plain.train()(*inputs()).score_BNK.square().sum().backward()
    compiled.train()(*inputs()).score_BNK.square().sum().backward()
    for name, parameter in compiled.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name


def test_the_sizes_are_those_of_the_samples() -> None:
    assert inputs().eligible_BN.shape == (DAYS, STOCKS)
    assert inputs().x_TNF.shape == (DAYS + SIZES.window - 1, STOCKS, SIZES.features)
