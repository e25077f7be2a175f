"""The whole network: what may reach a score, what must, and what its parameters start from."""

from __future__ import annotations

import inspect

import pytest
import torch
from torch import Tensor

from data.config import DataConfig
from data.graph import EDGE_ATTRIBUTES
from data.loader import FoldBlocks
from data.store import MarketStore
from model.atft import ATFT
from model.augment.identity import IdentityAugmentConfig
from model.config import ModelConfig
from model.graph.identity import NoGraphBlockConfig
from model.graph.kinds import GATv2Config
from model.head.point import PointHeadConfig
from model.losses.pointwise import huber_by_horizon
from model.norm.fan import FANConfig
from model.protocols import BlockConfig, Sizes
from model.temporal.tft import TFTConfig
from tests.model.samples import (
    DAYS,
    REFERENCE,
    SIZES,
    SLOTS,
    STOCKS,
    Inputs,
    every_network,
    inputs,
    members,
    network,
    normal,
    variant,
)

L = SIZES.window
NO_GRAPH = variant(REFERENCE, graph=NoGraphBlockConfig())
NETWORKS = list(every_network())

each_network = pytest.mark.parametrize("config", [pytest.param(config, id=name) for name, config in NETWORKS])
PREDICTS_NOTHING = ("identity", "revin")
each_learning_norm = pytest.mark.parametrize(
    "norm",
    [member() for member in members("norm") if member().kind not in PREDICTS_NOTHING],
    ids=lambda norm: norm.kind,
)
HEARS_NOBODY = ("identity", "self")
each_graph_block = pytest.mark.parametrize(
    "member", [m for m in members("graph") if m().kind not in HEARS_NOBODY], ids=lambda m: m().kind
)


def _score(config: ModelConfig, given: Inputs) -> Tensor:
    with torch.no_grad():
        return network(config)(*given).score_BNK


def _permuted(given: Inputs, order: Tensor) -> Inputs:
    """The same block with stock order[n] in place n."""
    day, stock = given.edge_index // STOCKS, given.edge_index % STOCKS
    relabelled = day * STOCKS + order.argsort()[stock]
    by_stock = (each[:, order] for each in (given.x_TNF, given.observed_TN, given.eligible_BN, given.sector_BN))
    return Inputs(*by_stock, relabelled, given.edge_attr)


def _one_day(given: Inputs, day: int) -> Inputs:
    """The window of one day of a block, with its edges."""
    rows, here = slice(day, day + L), given.edge_index[0] // STOCKS == day
    index = given.edge_index[:, here] - day * STOCKS
    own = given.eligible_BN[day : day + 1], given.sector_BN[day : day + 1]
    return Inputs(given.x_TNF[rows], given.observed_TN[rows], *own, index, given.edge_attr[here])


# ---- what a prediction is --------------------------------------------------------------------------------------------


@each_network
def test_every_day_and_stock_gets_a_finite_score_per_horizon(config: ModelConfig) -> None:
    prediction = network(config)(*inputs())
    assert prediction.score_BNK.shape == (DAYS, STOCKS, SIZES.horizons)
    assert prediction.score_BNK.isfinite().all()
    assert prediction.auxiliary.shape == ()
    assert prediction.auxiliary.isfinite()


@each_network
def test_scores_differ_between_stocks_and_days(config: ModelConfig) -> None:
    score = _score(config, inputs())
    assert (score.std(dim=0) > 1e-4).all()
    assert (score.std(dim=1) > 1e-4).all()


@each_network
def test_a_network_gives_the_same_twice_in_evaluation(config: ModelConfig) -> None:
    net, given = network(config), inputs()
    first, second = net(*given), net(*given)
    assert torch.equal(first.score_BNK, second.score_BNK)
    assert torch.equal(first.auxiliary, second.auxiliary)


# ---- what may reach a score ------------------------------------------------------------------------------------------


@each_network
def test_permuting_stocks_permutes_predictions(config: ModelConfig) -> None:
    given, order = inputs(), torch.tensor([3, 0, 5, 1, 4, 2])
    expected = _score(config, given)[:, order]
    torch.testing.assert_close(_score(config, _permuted(given, order)), expected, atol=1e-5, rtol=1e-4)


@each_network
@pytest.mark.parametrize("day", range(DAYS - 1))
def test_nothing_after_a_day_changes_its_score(config: ModelConfig, day: int) -> None:
    given = inputs()
    x, observed = given.x_TNF.clone(), given.observed_TN.clone()
    x[day + L :] += 1 + normal(*x[day + L :].shape, seed=9)
    observed[day + L :] = ~observed[day + L :]
    before, after = _score(config, given), _score(config, given._replace(x_TNF=x, observed_TN=observed))
    assert torch.equal(before[: day + 1], after[: day + 1])
    assert ((before[day + 1 :] - after[day + 1 :]).abs().amax(dim=-1) > 1e-6).all()


@each_network
def test_a_block_of_days_is_scored_as_its_days_alone(config: ModelConfig) -> None:
    given = inputs()
    expected = torch.cat([_score(config, _one_day(given, day)) for day in range(DAYS)])
    torch.testing.assert_close(_score(config, given), expected, atol=1e-5, rtol=1e-4)


def test_the_last_row_of_a_days_window_is_the_day_itself() -> None:
    last_day = variant(REFERENCE, temporal={"kind": "identity"}, norm={"kind": "identity"})
    last_day = variant(last_day, graph=NoGraphBlockConfig())
    given = inputs()
    given.observed_TN[L - 1 :] = True  # a day that is missing is its window's mean
    for day in range(DAYS):
        x = given.x_TNF.clone()
        x[day + L - 1] += 1
        changed = (_score(last_day, given) != _score(last_day, given._replace(x_TNF=x))).flatten(1).any(dim=1)
        assert changed.nonzero().flatten().tolist() == [day]


def test_without_a_graph_block_the_presence_of_other_stocks_changes_nothing() -> None:
    given, few = inputs(), [1, 4]
    alone = Inputs(*(each[:, few] for each in given[:4]), given.edge_index, given.edge_attr)
    torch.testing.assert_close(_score(NO_GRAPH, alone), _score(NO_GRAPH, given)[:, few], atol=1e-5, rtol=1e-4)


def test_without_a_graph_block_no_other_stocks_values_reach_a_score() -> None:
    given = inputs()
    x, observed = given.x_TNF.clone(), given.observed_TN.clone()
    x[:, 1:], observed[:, 1:] = 3 * normal(len(x), STOCKS - 1, SIZES.features, seed=9), True
    other = _score(NO_GRAPH, given._replace(x_TNF=x, observed_TN=observed))
    assert torch.equal(other[:, 0], _score(NO_GRAPH, given)[:, 0])


def _with_permuted_edges(given: Inputs) -> Inputs:
    """Every edge gets the attributes of another, and every target another source of its day."""
    source, target = given.edge_index
    moved = source // STOCKS * STOCKS + (source + 1) % STOCKS
    return given._replace(edge_index=torch.stack([moved, target]), edge_attr=given.edge_attr.roll(5, dims=0))


def test_without_a_graph_block_permuted_edges_change_nothing() -> None:
    given = inputs()
    before, after = (network(NO_GRAPH)(*each) for each in (given, _with_permuted_edges(given)))
    assert torch.equal(before.score_BNK, after.score_BNK)
    assert torch.equal(before.auxiliary, after.auxiliary)


@each_graph_block
def test_with_a_graph_block_permuted_edges_change_every_score(member: type[BlockConfig]) -> None:
    config, given = variant(REFERENCE, graph=member()), inputs()
    moved = (_score(config, given) - _score(config, _with_permuted_edges(given))).abs()
    assert (moved.amax(dim=-1) > 1e-5).all()


@each_graph_block
def test_an_edge_speaks_to_its_target_on_its_day_alone(member: type[BlockConfig]) -> None:
    config, given = variant(REFERENCE, graph=member()), inputs()
    edge = 30
    attr = given.edge_attr.clone()
    attr[edge] += 2
    changed = (_score(config, given) != _score(config, given._replace(edge_attr=attr))).any(dim=-1)
    day, stock = divmod(given.edge_index[1, edge].item(), STOCKS)
    assert changed.nonzero().tolist() == [[day, stock]]


@each_graph_block
def test_with_a_graph_block_the_presence_of_a_neighbour_changes_those_who_hear_it(member: type[BlockConfig]) -> None:
    config, given, gone = variant(REFERENCE, graph=member()), inputs(), 2
    kept = (given.edge_index % STOCKS != gone).all(dim=0)
    without = given._replace(edge_index=given.edge_index[:, kept], edge_attr=given.edge_attr[kept])
    changed = (_score(config, given) - _score(config, without)).abs().amax(dim=-1) > 1e-6
    heard = torch.zeros(DAYS, STOCKS, dtype=torch.bool)
    for source, target in given.edge_index.T.tolist():
        heard[target // STOCKS, target % STOCKS] |= source % STOCKS == gone
    heard[:, gone] = True  # it hears nobody any more
    assert torch.equal(changed, heard)


def test_a_graph_block_without_edges_refuses() -> None:
    bare = inputs()._replace(
        edge_index=torch.empty(2, 0, dtype=torch.long), edge_attr=torch.empty(0, SIZES.edge_attributes)
    )
    with pytest.raises(ValueError, match="must get edges"):
        _score(REFERENCE, bare)
    assert _score(NO_GRAPH, bare).isfinite().all()


def test_a_stock_that_is_never_observed_is_no_nan_for_anybody() -> None:
    given = inputs()
    x, observed = given.x_TNF.clone(), given.observed_TN.clone()
    x[:, 2], observed[:, 2] = 0, False
    net = network(REFERENCE).train()
    prediction = net(*given._replace(x_TNF=x, observed_TN=observed))
    (prediction.score_BNK.square().sum() + prediction.auxiliary).backward()
    assert prediction.score_BNK.isfinite().all()
    assert all(parameter.grad.isfinite().all() for parameter in net.parameters() if parameter.grad is not None)


# ---- the order of the blocks ----------------------------------------------------------------------------------------


def _recorded(net: ATFT, patch: pytest.MonkeyPatch) -> list[tuple[str, tuple[Tensor, ...]]]:
    """Every call of a block of `net` from now on, with its arguments."""
    calls: list[tuple[str, tuple[Tensor, ...]]] = []
    for slot in ("selection", "projection", "augment", "temporal", "graph", "fusion", "head"):
        getattr(net, slot).register_forward_pre_hook(lambda _, args, slot=slot: calls.append((slot, args)))
    for name in ("normalize", "restore", "auxiliary_loss"):
        method = getattr(net.norm, name)
        patch.setattr(net.norm, name, lambda *args, n=name, m=method: calls.append((n, args)) or m(*args))
    return calls


def test_blocks_are_called_in_the_order_that_the_design_names(monkeypatch: pytest.MonkeyPatch) -> None:
    net = network().train()
    calls = _recorded(net, monkeypatch)
    net(*inputs())
    order = "selection projection normalize augment temporal restore graph fusion head auxiliary_loss"
    assert [name for name, _ in calls] == order.split()


def test_a_window_is_the_day_and_the_days_before_it_with_their_mask(monkeypatch: pytest.MonkeyPatch) -> None:
    net, given = network(), inputs()
    calls = _recorded(net, monkeypatch)
    net(*given)
    arguments = dict(calls)
    projected_TNH = net.projection(net.selection(given.x_TNF))
    (x_BNLH,), (_, mask_BNL, _) = arguments["normalize"], arguments["temporal"]
    for day in range(DAYS):
        rows = slice(day, day + L)
        observed = given.observed_TN[rows].T
        assert torch.equal(mask_BNL[day], observed)
        torch.testing.assert_close(x_BNLH[day][observed], projected_TNH[rows].transpose(0, 1)[observed])


def test_a_missing_day_is_the_mean_of_the_windows_observed_days(monkeypatch: pytest.MonkeyPatch) -> None:
    net, given = network(), inputs()
    calls = _recorded(net, monkeypatch)
    net(*given)
    (x_BNLH,) = dict(calls)["normalize"]
    projected_TNH = net.projection(net.selection(given.x_TNF))
    for day, stock in [(0, 0), (2, 3)]:
        window, observed = projected_TNH[day : day + L, stock], given.observed_TN[day : day + L, stock]
        assert not observed.all()
        expected = window[observed].mean(dim=0).expand(int((~observed).sum()), -1)
        torch.testing.assert_close(x_BNLH[day, stock][~observed], expected)


@pytest.mark.parametrize("kind", ["san", "revin"])
def test_missing_days_are_no_volatility(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A stock that stands still has no deviation, whether or not some of its days are missing."""
    net = network(variant(NO_GRAPH, norm={"kind": kind}))
    calls = _recorded(net, monkeypatch)
    given = inputs()
    x, observed = torch.full_like(given.x_TNF, 0.7), torch.ones_like(given.observed_TN)
    observed[5:9] = False
    x[5:9] = 0.0  # as the loader leaves a missing day
    net(*given._replace(x_TNF=x, observed_TN=observed))
    (windows,) = dict(calls)["normalize"]
    assert net.norm.removed(windows)["deviation"].max() < 0.011  # the floor


def test_the_fusion_gets_the_own_view_first_and_the_neighbours_second(monkeypatch: pytest.MonkeyPatch) -> None:
    net = network()
    calls = _recorded(net, monkeypatch)
    net(*inputs())
    arguments = dict(calls)
    own_BNH, graph_BNH = arguments["fusion"]
    assert torch.equal(own_BNH, arguments["graph"][0])
    assert torch.equal(graph_BNH, net.graph(*arguments["graph"])[0])


# ---- the scale regime ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("member", members("selection"), ids=lambda m: m().kind)
def test_the_scale_of_a_stocks_features_is_the_scale_of_its_window_at_the_norm(
    member: type[BlockConfig], monkeypatch: pytest.MonkeyPatch
) -> None:
    scales = torch.logspace(-1, 1, 40)
    x = normal(DAYS + L - 1, 1, SIZES.features) * scales.view(1, -1, 1)
    windows: list[Tensor] = []
    net = network(variant(NO_GRAPH, selection=member()))
    normalize = net.norm.normalize
    monkeypatch.setattr(net.norm, "normalize", lambda w: windows.append(w) or normalize(w))
    observed = torch.ones(x.shape[:2], dtype=torch.bool)
    sector = torch.zeros(DAYS, x.shape[1], dtype=torch.long)
    net(x, observed, observed[:DAYS], sector, *inputs()[4:])
    deviation = windows[0].std(dim=2).log().mean(dim=(0, 2))
    regime = scales.log() - scales.log().mean()
    slope = (regime * deviation).sum() / regime.square().sum()
    assert 0.9 < slope < 1.2


# ---- where parameters start ------------------------------------------------------------------------------------------


@each_network
def test_turning_one_block_leaves_the_start_of_the_others_alone(config: ModelConfig) -> None:
    turned = {slot for slot in SLOTS if getattr(config, slot) != getattr(REFERENCE, slot)}
    start, other = (network(each, seed=3).state_dict() for each in (REFERENCE, config))
    for slot in {"projection", *SLOTS} - turned:
        own = {name: value for name, value in start.items() if name.startswith(f"{slot}.")}
        assert own.keys() == {name for name in other if name.startswith(f"{slot}.")}
        assert all(torch.equal(value, other[name]) for name, value in own.items()), slot


def test_the_seed_decides_the_start_of_every_slot() -> None:
    one, same, other = (network(seed=seed).state_dict() for seed in (3, 3, 4))
    assert all(torch.equal(one[name], same[name]) for name in one)
    for slot in {name.split(".")[0] for name in one}:
        assert any(not torch.equal(one[name], other[name]) for name in one if name.startswith(f"{slot}."))


def test_no_two_slots_start_from_the_same_draws() -> None:
    """A layer of the same fan-in would repeat another's weights, were the slot's name no part of the seed."""
    net = network()
    first, second = net.selection.joint.embed.flatten(), net.projection.weight.flatten()
    assert (first[: len(second)] != second).all()


def test_building_a_network_draws_nothing_from_the_global_generator() -> None:
    before = torch.random.get_rng_state()
    network()
    assert torch.equal(torch.random.get_rng_state(), before)


def test_the_global_generator_does_not_move_the_start() -> None:
    torch.manual_seed(1)
    one = network(seed=3).state_dict()
    torch.manual_seed(2)
    other = network(seed=3).state_dict()
    assert all(torch.equal(one[name], other[name]) for name in one)


@each_network
def test_forward_creates_no_parameter_and_resizes_none(config: ModelConfig) -> None:
    net = network(config).train()
    before = {name: (id(value), value.shape) for name, value in net.named_parameters()}
    state = set(net.state_dict())
    for days in (1, DAYS):
        prediction = net(*inputs(days))
        (prediction.score_BNK.sum() + prediction.auxiliary).backward()
    assert {name: (id(value), value.shape) for name, value in net.named_parameters()} == before
    assert set(net.state_dict()) == state


@each_network
def test_a_saved_network_predicts_the_same_when_loaded(config: ModelConfig) -> None:
    saved, loaded = network(config, seed=1), network(config, seed=2)
    loaded.load_state_dict(saved.state_dict())
    assert torch.equal(loaded(*inputs()).score_BNK, saved(*inputs()).score_BNK)


def test_the_settings_of_the_blocks_arrive() -> None:
    config = ModelConfig(
        hidden=SIZES.hidden,
        norm=FANConfig(top_k=2),
        augment=IdentityAugmentConfig(),
        temporal=TFTConfig(heads=1, dropout=0.05),
        graph=GATv2Config(heads=2, temperature=0.5, dropout=0.15, edge_dropout=0.25),
        head=PointHeadConfig(dropout=0.45),
    )
    net = network(config)
    assert net.norm.top_k == 2
    assert (net.temporal.attention.heads, net.temporal.after_lstm.dropout.p) == (1, 0.05)
    operator = net.graph.operators[0]
    assert (operator.heads, operator.temperature) == (2, 0.5)
    assert (operator.dropout, net.graph.edge_dropout) == (0.15, 0.25)
    assert net.head.body.dense[2].p == 0.45


# ---- the auxiliary loss ----------------------------------------------------------------------------------------------


@each_learning_norm
def test_the_auxiliary_loss_compares_with_the_projection_of_the_next_observed_day(
    norm: BlockConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    net, given = network(variant(REFERENCE, norm=norm)), inputs()
    seen: list[tuple[Tensor, Tensor]] = []
    loss = net.norm.auxiliary_loss
    monkeypatch.setattr(net.norm, "auxiliary_loss", lambda s, x, m: seen.append((x, m)) or loss(s, x, m))
    net(*given)
    following_BNH, known_BN = seen[0]
    projected_TNH = net.projection(net.selection(given.x_TNF))
    assert not following_BNH.requires_grad
    for day in range(DAYS - 1):
        today, tomorrow = day + L - 1, day + L
        assert torch.equal(following_BNH[day], projected_TNH[tomorrow])
        assert torch.equal(known_BN[day], given.observed_TN[today] & given.observed_TN[tomorrow])
    assert not known_BN[-1].any()


@each_learning_norm
def test_the_auxiliary_loss_leaves_the_features_and_the_projection_alone(norm: BlockConfig) -> None:
    """Otherwise the projection would become easy to predict, and lose what it is there for."""
    net, given = network(variant(REFERENCE, norm=norm)), inputs()
    net(*given).auxiliary.backward()
    pulled = {name.split(".")[0] for name, value in net.named_parameters() if value.grad is not None}
    assert pulled == {"norm"}


@each_learning_norm
def test_a_row_after_the_block_is_seen_by_the_auxiliary_loss_alone(norm: BlockConfig) -> None:
    net, more = network(variant(REFERENCE, norm=norm)), inputs(days=DAYS + 1)
    given = inputs()._replace(x_TNF=more.x_TNF[:-1], observed_TN=more.observed_TN[:-1])
    longer = given._replace(x_TNF=more.x_TNF, observed_TN=more.observed_TN)
    before, after = net(*given), net(*longer)
    assert torch.equal(before.score_BNK, after.score_BNK)
    assert after.auxiliary > before.auxiliary


@each_learning_norm
def test_a_block_of_one_day_knows_no_next_day(norm: BlockConfig) -> None:
    net = network(variant(REFERENCE, norm=norm))
    auxiliary = net(*inputs(days=1)).auxiliary
    auxiliary.backward()
    assert auxiliary.item() == 0
    assert all((p.grad == 0).all() for p in net.parameters() if p.grad is not None)


@each_learning_norm
@pytest.mark.parametrize("observed", [True, False])
def test_the_auxiliary_loss_ignores_a_target_that_was_not_observed(norm: BlockConfig, observed: bool) -> None:
    net, given = network(variant(REFERENCE, norm=norm)), inputs()
    given.observed_TN[-2:, 0] = torch.tensor([True, observed])
    x = given.x_TNF.clone()
    x[-1, 0] += 5
    before, after = (net(*each).auxiliary for each in (given, given._replace(x_TNF=x)))
    assert torch.equal(before, after) is not observed


@each_learning_norm
def test_the_auxiliary_loss_teaches_the_norms_predictors(norm: BlockConfig) -> None:
    net = network(variant(REFERENCE, norm=norm))
    net(*inputs()).auxiliary.backward()
    moved = {name for name, value in net.norm.named_parameters() if value.grad is not None and value.grad.any()}
    assert moved == {name for name, _ in net.norm.named_parameters() if "restoring" not in name}


# ---- real blocks -----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def blocks(small_store: MarketStore, small_config: DataConfig) -> FoldBlocks:
    return FoldBlocks(small_store, small_store.splits(small_config).search, small_config, block_days=4)


def _reference(store: MarketStore, config: DataConfig) -> tuple[ModelConfig, ATFT]:
    reference = ModelConfig()
    sizes = Sizes(
        features=len(store.meta.features),
        hidden=reference.hidden,
        window=config.window,
        edge_attributes=len(EDGE_ATTRIBUTES),
        horizons=len(config.horizons),
        sectors=store.num_sectors,
    )
    return reference, ATFT(reference, sizes, seed=0)


def test_what_a_block_offers_is_in_the_order_of_the_networks_arguments(blocks: FoldBlocks) -> None:
    arguments = [name for name in inspect.signature(ATFT.forward).parameters if name != "self"]
    own = ["x_TNF", "observed_TN", "eligible_BN", "sector_BN", "edge_index_2E", "edge_attr_E4"]
    assert [name.removesuffix("_2E").removesuffix("_E4") for name in own] == arguments
    block = blocks.block(range(blocks.fold.train.start, blocks.fold.train.start + 4))
    assert all(given is getattr(block, name) for given, name in zip(block.inputs, own, strict=True))


def test_every_parameter_of_the_reference_learns_from_the_labels_of_a_real_block(
    blocks: FoldBlocks, small_store: MarketStore, small_config: DataConfig
) -> None:
    net = _reference(small_store, small_config)[1].train()
    start = blocks.fold.train.start
    block = blocks.block(range(start, start + 4))
    score = net(*block.inputs).score_BNK
    huber_by_horizon(score, block.target_BNK, block.label_mask_BNK, delta=1.0).sum().backward()
    for name, parameter in net.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
        assert parameter.grad.abs().sum() > 0, name


def test_the_reference_fits_one_real_block(
    blocks: FoldBlocks, small_store: MarketStore, small_config: DataConfig
) -> None:
    net = _reference(small_store, small_config)[1].eval()  # no dropout: can it learn at all?
    start = blocks.fold.train.start
    block = blocks.block(range(start, start + 4))
    optimiser = torch.optim.Adam(net.parameters(), lr=3e-3)
    losses = []
    for _ in range(60):
        score = net(*block.inputs).score_BNK
        loss = huber_by_horizon(score, block.target_BNK, block.label_mask_BNK, delta=1.0).mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < 0.5 * losses[0]


def test_every_scored_day_of_a_real_fold_gets_scores_that_rank(
    blocks: FoldBlocks, small_store: MarketStore, small_config: DataConfig
) -> None:
    net = _reference(small_store, small_config)[1].eval()
    with torch.no_grad():
        scores = [net(*b.inputs).score_BNK for b in blocks.in_order(blocks.fold.score)]
    score_BNK = torch.cat(scores)
    assert len(score_BNK) == len(blocks.fold.score)
    assert score_BNK.isfinite().all()
    assert (score_BNK.std(dim=1) > 1e-5).all()
