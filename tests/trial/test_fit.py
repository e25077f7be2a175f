"""The training loop without Ray: resume bit for bit, accumulation, honest endings."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from data.loader import FoldBlocks
from data.workers import WorkerBlocks
from search_spaces import SPACES
from search_spaces.config import TrialConfig
from tests.trial.faulty import NaNHead
from trial.average import make_average
from trial.checkpoint import load_state, save_state
from trial.endings import TrialEnded
from trial.evaluate import EpochResult, evaluate, predict, weighted_rank_ic
from trial.feed import Feed
from trial.fit import fit
from trial.health import Health
from trial.state import TrainState, new_state

CPU = torch.device("cpu")


def still(state: TrainState) -> None:
    """Training mode, in which penalties are paid, without a random number in it."""
    state.model.train()
    for module in state.model.modules():
        if isinstance(module, torch.nn.Dropout) or module is state.model.augment:
            module.eval()
        for name in ("dropout", "edge_dropout"):
            if isinstance(getattr(module, name, None), float):
                setattr(module, name, 0.0)


def timeless(results: list[EpochResult]) -> list[dict[str, object]]:
    """Results without what a clock and the machine decide."""
    return [{k: v for k, v in r.to_dict().items() if k not in ("seconds", "peak_memory_mib")} for r in results]


def test_four_epochs_equal_two_and_resume_and_two(
    state: TrainState, blocks: FoldBlocks, config: TrialConfig, tmp_path: Path
) -> None:
    whole = list(fit(state, blocks, config))
    first = new_state(config, blocks)
    run = fit(first, blocks, config)
    next(run), next(run)
    save_state(first, config, tmp_path / "checkpoint")
    torch.manual_seed(12345)
    second = load_state(new_state(config, blocks), config, tmp_path / "checkpoint")
    rest = list(fit(second, blocks, config))
    assert timeless(second.results) == timeless(whole)
    assert len(rest) == 2
    for name, value in state.model.state_dict().items():
        assert torch.equal(value, second.model.state_dict()[name]), name


def test_the_same_seed_gives_the_same_results_and_another_seed_others(blocks: FoldBlocks, config: TrialConfig) -> None:
    def run(seed: int) -> list[dict[str, object]]:
        seeded = config.replace(seed=seed)
        return timeless(list(fit(new_state(seeded, blocks), blocks, seeded)))

    assert run(0) == run(0)
    assert run(0) != run(1)


def test_blocks_made_by_workers_train_to_the_same_bits(blocks: FoldBlocks, config: TrialConfig) -> None:
    """Dropout included: the workers draw no random number of this process."""
    workers = WorkerBlocks(blocks.store, blocks.fold, config.data, config.train.block_days, num_workers=2)
    short = config.replace(**{"train.epochs": 2})
    alone, helped = (list(fit(new_state(short, source), source, short)) for source in (blocks, workers))
    assert timeless(helped) == timeless(alone)


@pytest.mark.parametrize("arm", ["reference", *SPACES["gat_ablation"].arms])
def test_a_network_writes_nothing_into_its_block(blocks: FoldBlocks, config: TrialConfig, arm: str) -> None:
    """The buffer is used again, and days that it holds are not scaled again."""
    changed = SPACES["gat_ablation"].arm_configs(config)[arm]
    state, block = new_state(changed, blocks), blocks.block(blocks.fold.score[:4])
    before = block.x_TNF.clone()
    state.model.train()
    parts = changed.build_loss()(state.model(*block.inputs), block.target_BNK, block.label_mask_BNK)
    parts["total"].backward()
    assert torch.equal(block.x_TNF, before)


@pytest.mark.parametrize("days", [1, 2, 3])
def test_a_block_in_pieces_has_the_gradients_of_the_whole(
    state: TrainState, blocks: FoldBlocks, config: TrialConfig, days: int
) -> None:
    """Without dropout, and with every part of the loss: the auxiliary and the penalties too."""
    still(state)
    loss, block = config.build_loss(), blocks.block(blocks.fold.train[:4])
    whole = loss(state.model(*block.inputs), block.target_BNK, block.label_mask_BNK)
    whole["total"].backward()
    wanted = {name: p.grad.clone() for name, p in state.model.named_parameters() if p.grad is not None}
    state.model.zero_grad()
    sums = dict.fromkeys(whole, 0.0)
    for piece in block.pieces(days):
        parts = loss(state.model(*piece.inputs), piece.target_BNK, piece.label_mask_BNK)
        (parts["total"] * len(piece.days) / 4).backward()
        sums = {name: sums[name] + float(value.detach()) * len(piece.days) / 4 for name, value in parts.items()}
    assert sums == pytest.approx({name: float(value.detach()) for name, value in whole.items()}, rel=1e-4)
    assert {"auxiliary", "edge_weight", "attention_entropy"} <= sums.keys()
    for name, parameter in state.model.named_parameters():
        torch.testing.assert_close(parameter.grad, wanted.get(name), atol=1e-6, rtol=1e-3)


@pytest.mark.parametrize("stocks", [1, 7, 39])
def test_the_pointwise_stage_for_some_stocks_at_once_has_the_gradients_of_all(
    state: TrainState, blocks: FoldBlocks, config: TrialConfig, stocks: int
) -> None:
    still(state)
    loss, block, gradients = config.build_loss(), blocks.block(blocks.fold.train[:4]), []
    for at_once in (state.model.stocks_at_once, stocks):
        state.model.stocks_at_once = at_once
        state.model.zero_grad()
        loss(state.model(*block.inputs), block.target_BNK, block.label_mask_BNK)["total"].backward()
        gradients.append([p.grad.clone() for p in state.model.parameters() if p.grad is not None])
    for mine, theirs in zip(*gradients, strict=True):
        torch.testing.assert_close(mine, theirs, atol=1e-6, rtol=1e-3)


def test_training_lowers_the_loss(state: TrainState, blocks: FoldBlocks, config: TrialConfig) -> None:
    longer = config.replace(**{"train.epochs": 12, "train.days_per_epoch": 144, "train.learning_rate": 0.01})
    results = list(fit(state, blocks, longer))
    assert results[-1].losses["huber"] < results[0].losses["huber"]
    assert [r.is_last for r in results] == [False] * 11 + [True]
    assert results[-1].best_so_far == max(r.value for r in results)


def test_a_nan_block_ends_the_trial_as_diverged(state: TrainState, blocks: FoldBlocks, config: TrialConfig) -> None:
    state.model.head = NaNHead(2)
    state.average = make_average(state.model, config.train.ema_decay)
    with pytest.raises(TrialEnded, match="non-finite") as end:
        list(fit(state, blocks, config))
    assert end.value.reason == "diverged"
    assert not state.results


def test_constant_predictions_are_no_skill(state: TrainState, blocks: FoldBlocks, config: TrialConfig) -> None:
    class Constant(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.level = torch.nn.Parameter(torch.zeros(2))

        def forward(self, h_BNH: torch.Tensor) -> torch.Tensor:
            return (self.level.expand(*h_BNH.shape[:2], 2) + 0 * h_BNH.sum()).unsqueeze(-1)

    state.model.head = Constant()
    state.average = make_average(state.model, config.train.ema_decay)
    ignoring = config.replace(**{"train.health.dead_block": "ignore"})
    state.health = Health(ignoring.train.health)
    with pytest.raises(TrialEnded) as end:
        list(fit(state, blocks, ignoring))
    assert end.value.reason == "constant_predictions"


def test_a_day_without_a_ranking_is_one_without_skill(
    state: TrainState, blocks: FoldBlocks, config: TrialConfig
) -> None:
    """Who speaks on every second day alone is worth half, and a day without labels is none."""
    scores = predict(state.model, blocks, blocks.fold.score)
    scores.mask[0] = False
    whole = evaluate(scores, blocks, config)
    score = scores.score.copy()
    score[1::2] = 0.7
    silent = evaluate(scores._replace(score=score), blocks, config)
    for k, horizon in enumerate(config.data.horizons):
        daily = [row[k] for row in whole.daily_rank_ic.values()]
        assert [place for place, value in enumerate(daily) if value is None] == [0]
        spoken = sum(value for value in daily[2::2] if value is not None)
        assert silent.metrics[f"valid/rank_ic/{horizon}"] == pytest.approx(spoken / (len(daily) - 1))
    assert {row[0] for row in [*silent.daily_rank_ic.values()][1::2]} == {None}
    assert silent.value == pytest.approx(weighted_rank_ic(scores._replace(score=score), config))


def test_evaluation_has_no_dropout(state: TrainState, blocks: FoldBlocks) -> None:
    state.model.train()
    first, second = (predict(state.model, blocks, blocks.fold.score) for _ in range(2))
    assert (first.score == second.score).all()


def test_the_value_is_the_mean_over_all_scored_days(state: TrainState, blocks: FoldBlocks, config: TrialConfig) -> None:
    result = next(fit(state, blocks, config))
    assert len(result.daily_rank_ic) == len(blocks.fold.score)
    for k, horizon in enumerate(config.data.horizons):
        daily = [row[k] for row in result.daily_rank_ic.values() if row[k] is not None]
        assert result.metrics[f"valid/rank_ic/{horizon}"] == pytest.approx(sum(daily) / len(daily))
    assert result.value == pytest.approx(
        (result.metrics["valid/rank_ic/1"] + 0.8 * result.metrics["valid/rank_ic/5"]) / 1.8
    )


def test_the_loop_does_not_import_ray() -> None:
    code = "import sys, trial.fit, trial.state, trial.evaluate; sys.exit('ray' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


# --- out of memory


class Cramped(torch.nn.Module):
    """A head on a machine where no more than so many days fit at once."""

    def __init__(self, head: torch.nn.Module, fits: int, error: BaseException) -> None:
        super().__init__()
        self.head, self.levels, self.fits, self.error = head, head.levels, fits, error
        self.seen: list[int] = []

    def forward(self, h_BNH: torch.Tensor) -> torch.Tensor:
        if torch.is_grad_enabled():  # scoring takes no gradients, and less
            self.seen.append(len(h_BNH))
            if len(h_BNH) > self.fits:
                raise self.error
        return self.head(h_BNH)


LACK = [
    torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
    RuntimeError("[enforce fail at alloc_cpu.cpp:124] . DefaultCPUAllocator: can't allocate memory: you tried to"),
    MemoryError(),
]


def _cramped(state: TrainState, fits: int, error: BaseException = LACK[0]) -> Cramped:
    state.model.head = Cramped(state.model.head, fits, error)
    return state.model.head


@pytest.mark.parametrize("error", LACK, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize(("fits", "expected"), [(4, 4), (3, 2), (2, 2), (1, 1)])
def test_a_step_that_does_not_fit_is_taken_in_smaller_pieces_with_the_same_gradient(
    state: TrainState, blocks: FoldBlocks, config: TrialConfig, error: BaseException, fits: int, expected: int
) -> None:
    steps, loss = blocks.steps(0, 0, 16, 48), config.build_loss()
    still(state)
    whole = Feed(state, blocks, steps, loss, recover=False).take(0)
    wanted = [p.grad.clone() for p in state.model.parameters() if p.grad is not None]
    state.optimizer.zero_grad()
    _cramped(state, fits, error)
    feed = Feed(state, blocks, steps, loss, recover=True)
    parts = feed.take(0)
    assert state.micro_batch == expected
    assert parts == pytest.approx(whole, rel=1e-4)
    for given, gradient in zip((p.grad for p in state.model.parameters() if p.grad is not None), wanted, strict=True):
        torch.testing.assert_close(given, gradient, atol=1e-6, rtol=1e-3)
    feed.take(1)
    assert state.model.head.seen[-4 * len(steps[1]) // expected :] == [expected] * (4 * len(steps[1]) // expected)
    assert [event.kind for event in state.events] == ["oom"] * (fits < 4) * (1 if expected == 2 else 2)


def test_a_step_that_is_taken_again_draws_the_same_random_numbers(
    state: TrainState, blocks: FoldBlocks, config: TrialConfig
) -> None:
    """The first piece that fails has drawn some; a step that fits on its second attempt is as if it were the first."""
    steps, loss = blocks.steps(0, 0, 16, 48), config.build_loss()
    state.model.train()
    state.micro_batch = 2
    torch.manual_seed(7)
    Feed(state, blocks, steps, loss, recover=True).take(0)
    wanted = [p.grad.clone() for p in state.model.parameters() if p.grad is not None]
    state.optimizer.zero_grad()
    state.micro_batch = 4
    _cramped(state, fits=2)
    torch.manual_seed(7)
    Feed(state, blocks, steps, loss, recover=True).take(0)
    given = [p.grad for p in state.model.parameters() if p.grad is not None]
    assert all(torch.equal(a, b) for a, b in zip(given, wanted, strict=True))


class CrampedSelection(torch.nn.Module):
    """A selection on a machine where no more than so many stocks fit at once."""

    def __init__(self, selection: torch.nn.Module, fits: int) -> None:
        super().__init__()
        self.selection, self.fits = selection, fits

    def forward(self, x_TNF: torch.Tensor) -> torch.Tensor:
        if torch.is_grad_enabled() and x_TNF.shape[1] > self.fits:
            raise LACK[0]
        return self.selection(x_TNF)


def test_where_one_day_does_not_fit_its_stocks_are_taken_in_turn(
    state: TrainState, blocks: FoldBlocks, config: TrialConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("trial.feed.LEAST_STOCKS", 6)
    num_stocks = len(blocks.store.codes)
    state.model.selection = CrampedSelection(state.model.selection, fits=num_stocks - 1)
    state.average = make_average(state.model, config.train.ema_decay)
    result = next(fit(state, blocks, config, recover_oom=True))
    assert state.model.stocks_at_once == num_stocks // 2
    assert [event["kind"] for event in result.events] == ["oom"] * 3, "two days, one day, half of the stocks"
    assert "stocks at once" in result.events[-1]["sentence"]
    save_state(state, config, tmp_path / "state")
    again = new_state(config, blocks)
    again.model.selection = CrampedSelection(again.model.selection, fits=num_stocks)
    again.average = make_average(again.model, config.train.ema_decay)
    assert load_state(again, config, tmp_path / "state").model.stocks_at_once == num_stocks // 2


def test_the_micro_batch_that_fitted_is_kept_and_told(
    state: TrainState, blocks: FoldBlocks, config: TrialConfig, tmp_path: Path
) -> None:
    head = _cramped(state, fits=2)
    state.average = make_average(state.model, config.train.ema_decay)
    result = next(fit(state, blocks, config, recover_oom=True))
    assert result.micro_batch == 2
    assert [event["kind"] for event in result.events] == ["oom"]
    assert "step 1 did not fit in memory; taken again with 2 days at once" in result.events[0]["sentence"]
    assert head.seen.count(4) == 1, "what did not fit is not tried again"
    save_state(state, config, tmp_path / "state")
    again = new_state(config, blocks)
    _cramped(again, fits=9)
    assert load_state(again, config, tmp_path / "state").micro_batch == 2


@pytest.mark.parametrize("recover", [True, False])
def test_one_day_that_does_not_fit_in_any_piece_is_the_end(
    state: TrainState, blocks: FoldBlocks, config: TrialConfig, recover: bool
) -> None:
    _cramped(state, fits=0)
    with pytest.raises(torch.OutOfMemoryError):
        next(fit(state, blocks, config, recover_oom=recover))


def test_another_error_is_no_lack_of_memory(state: TrainState, blocks: FoldBlocks, config: TrialConfig) -> None:
    _cramped(state, fits=2, error=RuntimeError("the injected block gave up"))
    with pytest.raises(RuntimeError, match="gave up"):
        next(fit(state, blocks, config, recover_oom=True))
    assert state.micro_batch == config.train.block_days
