"""What every block of every slot must do: a new member of a union in `model/config.py` is tested by existing."""

from __future__ import annotations

import io
from collections.abc import Callable

import pytest
import torch
from pydantic import TypeAdapter, ValidationError
from torch import Tensor, nn

from model.config import ModelConfig
from model.protocols import BlockConfig, Sizes
from tests.model.samples import DAYS, SIZES, SLOTS, STOCKS, edges, members, normal, sectors, uniform

WIDE = Sizes(features=5, hidden=16, window=25, edge_attributes=4, horizons=3, sectors=3)

SAME_FOR_EVERY_SEED = ("logit",)  # a single factor that starts where its config says

BLOCKS = [pytest.param(slot, member, id=f"{slot}-{member().kind}") for slot in SLOTS for member in members(slot)]
each_block = pytest.mark.parametrize(("slot", "member"), BLOCKS)
each_size = pytest.mark.parametrize("sizes", [SIZES, WIDE], ids=["even-window", "odd-window"])


def _of_selection(block: nn.Module, x: Tensor, sizes: Sizes) -> tuple[Tensor, ...]:
    return (block(x),)


def _of_norm(block: nn.Module, x: Tensor, sizes: Sizes) -> tuple[Tensor, ...]:
    y, stats = block.normalize(x)
    mask = uniform(DAYS, STOCKS, seed=5) < 0.7
    following = normal(DAYS, STOCKS, sizes.hidden, seed=6)
    return y, block.restore(y[:, :, -1], stats), block.auxiliary_loss(stats, following, mask)


def _of_augment(block: nn.Module, x: Tensor, sizes: Sizes) -> tuple[Tensor, ...]:
    return (block(x),)


def _of_temporal(block: nn.Module, x: Tensor, sizes: Sizes) -> tuple[Tensor, ...]:
    return (block(x, uniform(DAYS, STOCKS, sizes.window, seed=5) < 0.7, sectors()),)


def _of_graph(block: nn.Module, x: Tensor, sizes: Sizes) -> tuple[Tensor, ...]:
    message, penalties = block(x, uniform(DAYS, STOCKS, seed=5) < 0.9, *edges())
    return message, *penalties.values()


def _of_fusion(block: nn.Module, x: Tensor, sizes: Sizes) -> tuple[Tensor, ...]:
    return block(normal(DAYS, STOCKS, sizes.hidden, seed=5), x), *block.penalties().values()


def _of_head(block: nn.Module, x: Tensor, sizes: Sizes) -> tuple[Tensor, ...]:
    return (block(x),)


CALLS: dict[str, Callable[[nn.Module, Tensor, Sizes], tuple[Tensor, ...]]] = {
    "selection": _of_selection,
    "norm": _of_norm,
    "augment": _of_augment,
    "temporal": _of_temporal,
    "graph": _of_graph,
    "fusion": _of_fusion,
    "head": _of_head,
}


def _batch(slot: str, sizes: Sizes) -> Tensor:
    """Random main input of a slot."""
    window = (DAYS, STOCKS, sizes.window, sizes.hidden)
    vector = (DAYS, STOCKS, sizes.hidden)
    shape = {
        "selection": (DAYS + sizes.window - 1, STOCKS, sizes.features),
        "norm": window,
        "augment": window,
        "temporal": window,
        "graph": vector,
        "fusion": vector,
        "head": vector,
    }[slot]
    return normal(*shape, seed=4)


def _main_shapes(slot: str, sizes: Sizes, block: nn.Module) -> tuple[tuple[int, ...], ...]:
    """Of the outputs that are no penalties."""
    vector = (DAYS, STOCKS, sizes.hidden)
    own = tuple(_batch(slot, sizes).shape)
    if slot == "head":
        return ((DAYS, STOCKS, sizes.horizons, len(block.levels)),)
    return {"norm": (own, vector), "temporal": (vector,)}.get(slot, (own,))


def _build(member: type[BlockConfig], sizes: Sizes = SIZES, seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    return member().build(sizes)


def test_every_slot_of_the_network_is_called_here() -> None:
    assert set(CALLS) == set(SLOTS)


@each_block
@each_size
def test_a_block_gives_the_shape_and_type_of_its_slot(slot: str, member: type[BlockConfig], sizes: Sizes) -> None:
    block = _build(member, sizes)
    outputs = CALLS[slot](block, _batch(slot, sizes), sizes)
    shapes = tuple(tuple(output.shape) for output in outputs)
    main = _main_shapes(slot, sizes, block)
    assert shapes == main + ((),) * (len(shapes) - len(main))
    assert all(output.dtype == torch.float32 for output in outputs)
    assert all(output.isfinite().all() for output in outputs)


@each_block
def test_a_block_gives_the_same_twice_in_evaluation(slot: str, member: type[BlockConfig]) -> None:
    block, x = _build(member).eval(), _batch(slot, SIZES)
    first, second = CALLS[slot](block, x, SIZES), CALLS[slot](block, x, SIZES)
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))


@each_block
def test_a_block_leaves_its_input_as_it_was(slot: str, member: type[BlockConfig]) -> None:
    x = _batch(slot, SIZES)
    CALLS[slot](_build(member).train(), x, SIZES)
    assert torch.equal(x, _batch(slot, SIZES))


@each_block
def test_a_saved_block_computes_the_same_when_loaded(slot: str, member: type[BlockConfig]) -> None:
    saved, loaded = _build(member, seed=1).eval(), _build(member, seed=2).eval()
    file = io.BytesIO()
    torch.save(saved.state_dict(), file)
    file.seek(0)
    loaded.load_state_dict(torch.load(file, weights_only=True))
    x = _batch(slot, SIZES)
    pairs = zip(CALLS[slot](saved, x, SIZES), CALLS[slot](loaded, x, SIZES), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)


@each_block
def test_a_block_starts_from_the_seed_alone(slot: str, member: type[BlockConfig]) -> None:
    one, same, other = (_build(member, seed=seed).state_dict() for seed in (1, 1, 2))
    assert all(torch.equal(one[name], same[name]) for name in one)
    drawn = [name for name in one if name not in SAME_FOR_EVERY_SEED]
    assert not drawn or any(not torch.equal(one[name], other[name]) for name in drawn)


@each_block
def test_the_input_and_every_parameter_get_a_gradient(slot: str, member: type[BlockConfig]) -> None:
    block, x = _build(member).train(), _batch(slot, SIZES).requires_grad_()
    outputs = CALLS[slot](block, x, SIZES)
    loss = sum(((output * normal(*output.shape, seed=7)).sum() for output in outputs), 0 * x.sum())
    loss.backward()
    if (slot, member().kind) == ("graph", "identity"):
        assert not x.grad.any(), "nothing passes where nobody is heard"
        return
    for name, tensor in [("input", x), *block.named_parameters()]:
        assert tensor.grad is not None, name
        assert tensor.grad.isfinite().all(), name
        assert tensor.grad.abs().sum() > 0, name


@each_block
def test_a_block_moves_whole_to_another_device(slot: str, member: type[BlockConfig]) -> None:
    """Nothing that it computes with stays behind: no tensor outside its parameters and buffers."""
    block = _build(member).to("meta")
    for tensor in (*block.parameters(), *block.buffers()):
        assert tensor.is_meta
    for module in block.modules():
        assert not [name for name, value in vars(module).items() if isinstance(value, Tensor)]


@each_block
def test_a_block_says_what_it_is(slot: str, member: type[BlockConfig]) -> None:
    block = _build(member)
    said = repr(block)
    assert type(block).__name__ in said
    children = [name for name, _ in block.named_children()]
    assert all(f"({name})" in said for name in children)


@each_block
def test_a_config_is_frozen(slot: str, member: type[BlockConfig]) -> None:
    config = member()
    for name in type(config).model_fields:
        with pytest.raises(ValidationError, match="frozen"):
            setattr(config, name, getattr(config, name))


@each_block
def test_a_config_refuses_an_unknown_key(slot: str, member: type[BlockConfig]) -> None:
    with pytest.raises(ValidationError, match="no_such_setting"):
        member.model_validate({"no_such_setting": 1})


@each_block
def test_a_config_is_the_same_after_json(slot: str, member: type[BlockConfig]) -> None:
    union = TypeAdapter(ModelConfig.model_fields[slot].rebuild_annotation())
    config = member()
    for again in (union.validate_python(config.model_dump()), union.validate_json(config.model_dump_json())):
        assert type(again) is member
        assert again == config


@each_block
def test_a_block_is_chosen_by_its_kind_alone(slot: str, member: type[BlockConfig]) -> None:
    union = TypeAdapter(ModelConfig.model_fields[slot].rebuild_annotation())
    assert union.validate_python({"kind": member().kind}) == member()
