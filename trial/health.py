"""Health of a training: dead blocks, even attention, shut gates, flat predictions.

Looked at closely in the first steps, cheaply after.

Each finding is an event with a reason code and a sentence; `train.health` says which ones end the trial. A finding is
told once.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import torch
from torch import nn

from data.batch import DayBlock
from model.atft import ATFT
from model.vitals import Vitals, spread, vitals
from search_spaces.health import HealthConfig
from trial.endings import TrialEnded
from trial.events import Event


class Health:
    """What has been seen of a trial so far."""

    def __init__(self, config: HealthConfig) -> None:
        self.config = config
        self.told: set[str] = set()  # codes, with the block that they are about
        self.alive: set[str] = set()  # blocks that have had a gradient since they began to learn
        self.looks = 0  # at the gradients, since the phase began
        self.first_loss = 0.0  # the least of the first steps: one of them may explode already
        self.first_losses = 0

    def begin_phase(self) -> None:
        """Other blocks learn now: who had a gradient before does not count."""
        self.alive, self.looks = set(), 0

    def wants_gradients(self, position: int) -> bool:
        """Whether this step of the phase is one to look at."""
        return self.looks < self.config.first_steps or position % self.config.every_steps == 0

    def hear_loss(self, total: float) -> None:
        """The first steps' losses are what later ones are compared with."""
        if self.first_losses < self.config.first_steps:
            self.first_loss = min(total, self.first_loss) if self.first_losses else total
            self.first_losses += 1

    def look_at_gradients(self, model: ATFT) -> list[Event]:
        """Blocks without a gradient, and those with a vanishing one. Call before the step, after unscaling.

        Raises:
            TrialEnded: as the configuration answers.
        """
        sizes = gradient_sizes(model)
        self.looks += 1
        self.alive |= {slot for slot, size in sizes.items() if size > 0}
        found: list[Event] = []
        if self.looks >= self.config.first_steps:
            found += [self._dead(slot) for slot in sorted(sizes.keys() - self.alive)]
        largest = max(sizes.values(), default=0.0)
        least = self.config.vanishing_ratio * largest
        found += [self._vanishing(slot, size, largest) for slot, size in sorted(sizes.items()) if 0 < size < least]
        return self._answered(found)

    def look_at_epoch(
        self, model: ATFT, block: DayBlock, total_loss: float, is_last: bool
    ) -> tuple[Vitals, list[Event]]:
        """After an epoch, on its last block of days, with the weights that are evaluated.

        Raises:
            TrialEnded: as the configuration answers.
        """
        seen = vitals(model, block.inputs, block.label_mask_BNK)
        found = [*self._loss(total_loss), *self._spread_gap(model, block, seen)]
        if is_last:
            target_spread = max(spread(block.target_BNK, block.label_mask_BNK))
            found += [*self._attention(seen), *self._gate(seen), *self._flat(seen, target_spread)]
        return seen, self._answered(found)

    def _dead(self, slot: str) -> Event:
        return Event(
            "dead_block",
            f"block {slot!r} has had no gradient in the first {self.looks} steps: it is configured, but learns nothing",
            slot,
        )

    def _vanishing(self, slot: str, size: float, largest: float) -> Event:
        return Event(
            "vanishing_gradient",
            f"the gradient of block {slot!r} is tiny: root mean square {size:.1e}, where the largest block has "
            f"{largest:.1e}",
            slot,
        )

    def _loss(self, total: float) -> Iterator[Event]:
        if self.first_losses and total > self.config.explosion_factor * max(self.first_loss, 1e-12):
            yield Event(
                "exploding_loss",
                f"the epoch's mean loss is {total:.3g}, {total / self.first_loss:.3g} times the least of the first "
                f"{self.first_losses} steps",
            )

    def _attention(self, seen: Vitals) -> Iterator[Event]:
        if seen.attention_entropy is not None and seen.attention_entropy >= self.config.even_attention:
            yield Event(
                "uniform_attention",
                f"attention over neighbours is even at the end of training: its entropy is "
                f"{seen.attention_entropy:.4f} of the largest, so the graph block is an average",
            )

    def _gate(self, seen: Vitals) -> Iterator[Event]:
        share, margin = seen.neighbours_share, self.config.gate_margin
        if share is not None and not margin <= share <= 1 - margin:
            what = "shuts the neighbours out" if share < margin else "lets all of the neighbours' message in"
            yield Event("saturated_gate", f"the fusion {what}: its mean share is {share:.4f}")

    def _flat(self, seen: Vitals, target_spread: float) -> Iterator[Event]:
        if max(seen.spread_K) < self.config.least_spread * target_spread:
            yield Event(
                "flat_predictions",
                f"predictions hardly differ between stocks: daily deviation {max(seen.spread_K):.1e}, that of the "
                f"targets {target_spread:.2g}",
            )

    def _spread_gap(self, model: ATFT, block: DayBlock, seen: Vitals) -> Iterator[Event]:
        if isinstance(model.augment, nn.Identity):
            return
        ratio = _training_spread(model, block) / max(sum(seen.spread_K), 1e-12)
        if not 1 / self.config.spread_ratio <= ratio <= self.config.spread_ratio:
            yield Event(
                "spread_gap",
                f"under augmentation and dropout predictions spread {ratio:.2f} times as wide as without: what is "
                f"learned is not what is evaluated",
            )

    def _answered(self, found: list[Event]) -> list[Event]:
        """Those that are new and not ignored; raises where one ends the trial."""
        new = []
        for event in found:
            answer, key = getattr(self.config, event.kind), f"{event.kind}/{event.about}"
            if answer == "ignore" or key in self.told:
                continue
            if answer == "end":
                raise TrialEnded(event.kind, event.sentence)
            self.told.add(key)
            new.append(event)
        return new

    def state_dict(self) -> dict[str, Any]:
        return {
            "told": sorted(self.told),
            "alive": sorted(self.alive),
            "looks": self.looks,
            "first_loss": self.first_loss,
            "first_losses": self.first_losses,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.told, self.alive = set(state["told"]), set(state["alive"])
        self.looks, self.first_losses = state["looks"], state["first_losses"]
        self.first_loss = state["first_loss"]


def gradient_sizes(model: ATFT) -> dict[str, float]:
    """Slot -> root mean square of its gradient, of the slots that learn. A parameter without a gradient counts as 0."""
    sizes: dict[str, float] = {}
    for slot, block in model.named_children():
        learning = [p for p in block.parameters() if p.requires_grad]
        if not learning:
            continue
        gradients = [p.grad for p in learning if p.grad is not None]
        norms = torch._foreach_norm(gradients) if gradients else []
        square = float(torch.stack(list(norms)).square().sum()) if norms else 0.0
        sizes[slot] = math.sqrt(square / sum(p.numel() for p in learning))
    return sizes


@torch.no_grad()
def _training_spread(model: ATFT, block: DayBlock) -> float:
    """Sum over horizons of the spread with dropout and augmentation on; draws from a generator of its own."""
    devices = [block.x_TNF.device] if block.x_TNF.is_cuda else []
    with torch.random.fork_rng(devices=devices):
        model.train()
        score_BNK = model(*block.inputs).score_BNK
        model.eval()
    return sum(spread(score_BNK, block.label_mask_BNK))
