"""What a confirmed network looks at and what its normalisers take out, on three scored days, with its last epoch."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import numpy as np

from data.batch import DayBlock
from data.loader import FoldBlocks
from model.atft import ATFT
from model.explain import EdgeAttention, Explanation, edge_importance, evaluating, explain
from reports.daily import primary_horizon

PLACES = (1 / 6, 1 / 2, 5 / 6)  # of the scored days
MOST_FEATURES, MOST_PAIRS, MOST_SECTORS, MOST_EDGES = 15, 20, 12, 20


def look_inside(model: ATFT, blocks: FoldBlocks) -> dict[str, Any]:
    """Plain values.

    Returns:
        dates: ISO, of the days that were looked at.
        features: name -> weight, the largest first; 1 is an equal share.
        neighbours_share: what of the fused state comes from neighbours, 0 to 1; None where nothing weighs them.
        pairs: [source, target, mean weight over heads, hops and days, number of days], those of most days first, then
            the largest.
        sectors: names, and mass [target][source]: mean share of the attention of a sector's stocks, by source's sector.
        edges: of the last day, a spread from the most to the least heard: [source, target, weight, moved], by how
            much the day's scores at the primary horizon move without it, in standard deviations of those scores.
        removed: by the normalisers' names: mean over stocks (and channels), per frequency or slice.
    """
    names, codes = blocks.store.meta.features, blocks.store.codes.tolist()
    found: list[tuple[DayBlock, Explanation]] = []
    pairs, mass = _Pairs(), _Sectors(["unknown", *blocks.store.meta.vocabularies.get("sector", ())])
    edges: list[list[Any]] = []
    dates = []
    for day in _days(blocks):
        block = blocks.block(range(day, day + 1))
        told = explain(model, block.inputs, names, codes)
        found.append((block, told))
        dates.append(str(blocks.store.dates[day]))
        if told.edges is not None:
            pairs.add(told.edges)
            mass.add(told.edges, dict(zip(codes, block.sector_BN[0].tolist(), strict=True)))
            edges = _moved(model, block, told.edges, blocks.config.horizons)
    shares = [float(one.neighbours_share.mean()) for _, one in found if one.neighbours_share is not None]
    return {
        "dates": dates,
        "features": _largest([one.feature_weight for _, one in found]),
        "neighbours_share": float(np.mean(shares)) if shares else None,
        "pairs": pairs.largest(),
        "sectors": mass.plain(),
        "edges": edges,
        "removed": _removed(found),
    }


def _days(blocks: FoldBlocks) -> list[int]:
    known = [day for day in blocks.fold.score if blocks.has_enough_stocks(day)]
    return list(dict.fromkeys(known[int(place * len(known))] for place in PLACES))


def _largest(weights: list[dict[str, float]]) -> dict[str, float]:
    means = {name: float(np.mean([one[name] for one in weights])) for name in weights[0]}
    return dict(sorted(means.items(), key=lambda item: -item[1])[:MOST_FEATURES])


class _Pairs:
    """Attention by (source, target) over days."""

    def __init__(self) -> None:
        self._weights: dict[tuple[str, str], list[float]] = defaultdict(list)

    def add(self, edges: EdgeAttention) -> None:
        for source, target, weight in zip(edges.source, edges.target, _weight(edges), strict=True):
            self._weights[str(source), str(target)].append(float(weight))

    def largest(self) -> list[list[Any]]:
        means = [[*pair, float(np.mean(own)), len(own)] for pair, own in self._weights.items() if pair[0] != pair[1]]
        return sorted(means, key=_days_then_weight, reverse=True)[:MOST_PAIRS]


def _days_then_weight(row: list[Any]) -> tuple[int, float]:
    return row[3], row[2]


class _Sectors:
    """Whom the stocks of a sector hear, by sector."""

    def __init__(self, names: list[str]) -> None:
        self._names, self._mass = names, np.zeros((len(names), len(names)))

    def add(self, edges: EdgeAttention, sector: dict[str, int]) -> None:
        for source, target, weight in zip(edges.source, edges.target, _weight(edges), strict=True):
            self._mass[sector[str(target)], sector[str(source)]] += weight

    def plain(self) -> dict[str, Any]:
        size = self._mass.sum(axis=1)
        kept = [int(code) for code in np.argsort(-size, kind="stable")[:MOST_SECTORS] if size[code] > 0]
        share = self._mass[kept] / size[kept, None]
        return {"names": [self._names[code] for code in kept], "mass": np.round(share[:, kept], 4).tolist()}


def _weight(edges: EdgeAttention) -> np.ndarray:
    """[E] mean over hops and heads."""
    return edges.weight_LEA.mean(axis=(0, 2))


def _moved(model: ATFT, block: DayBlock, edges: EdgeAttention, horizons: tuple[int, ...]) -> list[list[Any]]:
    weight_E, k = _weight(edges), horizons.index(primary_horizon(horizons))
    others = np.flatnonzero(edges.source != edges.target)
    ranked = others[np.argsort(-weight_E[others], kind="stable")]
    spread = _spread(model, block, k)
    if not len(ranked) or spread == 0:
        return []
    picked = ranked[np.unique(np.linspace(0, len(ranked) - 1, MOST_EDGES).astype(int))]
    moved = edge_importance(model, block.inputs, picked.tolist())[:, k]
    return [
        [str(edges.source[e]), str(edges.target[e]), float(weight_E[e]), float(each) / spread]
        for e, each in zip(picked, moved, strict=True)
    ]


def _spread(model: ATFT, block: DayBlock, k: int) -> float:
    with evaluating(model):
        score_N = model(*block.inputs).score_BNK[0, :, k][block.eligible_BN[0]]
    return float(score_N.std())


def _removed(found: list[tuple[DayBlock, Explanation]]) -> dict[str, list[float]]:
    """Mean over the stocks of the universe, and over channels where the normaliser tells by channel."""
    parts: dict[str, list[np.ndarray]] = defaultdict(list)
    for block, told in found:
        here_BN = block.eligible_BN.cpu().numpy()
        for name, values in told.removed.items():
            own = np.abs(values[here_BN])
            parts[name].append(own.mean(axis=0) if name == "frequency" else own.mean(axis=(0, own.ndim - 1)))
    return {name: np.round(np.atleast_1d(np.mean(own, axis=0)), 5).tolist() for name, own in parts.items()}
