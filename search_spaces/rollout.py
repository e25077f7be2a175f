"""The staged roll-out of the predecessor's improvements: three cumulative stages, everything together, each one alone.

The stages are those of its migration note: first the small head and Huber (its temperature of 1 changes nothing), then
averaged weights and the streaming scaler as well, then FreqDropout as well. 'everything' has softer attention besides.
What belongs to the machine (W&B, recovery from lack of memory) changes no result, and has no arm.
"""

from __future__ import annotations

from typing import Any

from search_spaces.improvements import OFF, sample, turned_on
from search_spaces.improvements import SPACE as IMPROVEMENTS
from search_spaces.space import Arm, SearchSpace

FIRST: dict[str, Any] = {"output_head_small_init": True, "huber_loss": True}
SECOND: dict[str, Any] = {**FIRST, "use_ema": True, "online_normalization": True}
THIRD: dict[str, Any] = {**SECOND, "freq_dropout_p": 0.1}
EVERYTHING: dict[str, Any] = {**THIRD, "gat_temperature": 2.0}
STAGES = {
    "stage_1": Arm("small-init head and Huber", turned_on(**FIRST)),
    "stage_2": Arm("stage 1, averaged weights and streaming scaler", turned_on(**SECOND)),
    "stage_3": Arm("stage 2 and FreqDropout 0.1", turned_on(**THIRD)),
    "everything": Arm("stage 3 and attention logits divided by 2", turned_on(**EVERYTHING)),
}

SPACE = SearchSpace(
    name="rollout",
    summary="the predecessor's improvements in its three cumulative stages, all together, and each alone",
    reference=OFF,
    sample=sample,
    arms={**STAGES, **IMPROVEMENTS.arms},
    first_points=IMPROVEMENTS.first_points,
    budget=IMPROVEMENTS.budget,
    knobs=IMPROVEMENTS.knobs,
)
