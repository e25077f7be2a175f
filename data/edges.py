"""The edges of one date: strongest correlations, sectors, or either one shuffled."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from data.config import CorrelationGraphConfig, SectorGraphConfig

MIN_COVERAGE = 0.8  # share of the window a stock must have been observed to get edges
BLOCK = 512  # rows of the correlation matrix that exist at once
NO_VARIATION = 1e-5  # deviation relative to the size of the values below which it is rounding
PIECE = 1024  # edges whose lead-lag correlations are summed at once, so that their rows stay in the cache


@dataclass(frozen=True, eq=False)
class Edges:
    """Directed edges of one date, both directions of every pair, no self loop, no duplicate."""

    index: np.ndarray  # [2, E] int32, source row 0, target row 1
    attr: np.ndarray  # [E, 4] float32: correlation, lead-lag i->j, same sector, same industry

    @property
    def count(self) -> int:
        return self.index.shape[1]


def correlation_edges(
    history_TN: np.ndarray,
    eligible_N: np.ndarray,
    sector_N: np.ndarray,
    industry_N: np.ndarray,
    config: CorrelationGraphConfig,
) -> Edges:
    """The strongest neighbours of every covered stock by correlation and by lead-lag, made symmetric.

    Leaders are looked for among all stocks: where moves spill over without moving together (Lo, MacKinlay 1990, Review
    of Financial Studies 3(2)), the k most correlated neighbours hold no more of them than chance.

    Args:
        history_TN: returns up to and with the date, at least as long as the longer window where there is history.
        eligible_N: bool, may be ranked on the date.
        sector_N, industry_N: int, 0 where unknown.
        config: method, windows, threshold, k.
    """
    recent = history_TN[-config.window :]
    nodes = _covered(recent, eligible_N)
    if len(nodes) < 2:
        return _none()
    x_NT = _unit_rows(recent[:, nodes], config)
    pair, correlation = _strongest_pairs(x_NT, config)
    moves = _lead_and_lag(history_TN[:, nodes], config)
    leading = _leading_pairs(*moves, min(config.lead_lag_k, len(nodes) - 1))
    pair, correlation = _joined(pair, correlation, leading, x_NT, config)
    return _with_attributes(pair, correlation, moves, nodes, sector_N, industry_N)


def sector_edges(
    history_TN: np.ndarray,
    eligible_N: np.ndarray,
    sector_N: np.ndarray,
    industry_N: np.ndarray,
    config: SectorGraphConfig,
    windows: CorrelationGraphConfig,
) -> Edges:
    """Every stock and its nearest in a ring of its sector's stocks; attributes over the windows of `windows`, 0 where a
    stock has no returns in them."""
    recent = history_TN[-windows.window :]
    nodes = np.flatnonzero(eligible_N & (sector_N > 0))
    pairs = []
    for sector in np.unique(sector_N[nodes]):
        ring = np.flatnonzero(sector_N[nodes] == sector)
        for step in range(1, config.k // 2 + 1):
            if 2 * step <= len(ring):
                other = np.roll(ring, -step)
                pairs.append(np.stack([np.minimum(ring, other), np.maximum(ring, other)]))
    if not pairs:
        return _none()
    pair = np.unique(np.concatenate(pairs, axis=1), axis=1)
    x_NT = _unit_rows(recent[:, nodes], windows)
    correlation = _products(x_NT, x_NT, *pair)
    moves = _lead_and_lag(history_TN[:, nodes], windows)
    return _with_attributes(pair, correlation, moves, nodes, sector_N, industry_N)


def shuffled(edges: Edges, seed: int) -> Edges:
    """The placebo: every stock keeps its degree and loses its neighbours; attributes stay with their edge's place."""
    half = edges.count // 2  # the first half holds each pair once, the second its reverse
    source, target = edges.index[0, :half].astype(np.int64), edges.index[1, :half].astype(np.int64)
    rng = np.random.default_rng([seed, 0x5F0E])
    new = _permuted(source, target, rng)
    if new is None:  # a small or dense graph, where few permutations are graphs
        source, new = _swapped(source, target, rng)
    index = np.stack([np.concatenate([source, new]), np.concatenate([new, source])])
    return Edges(index.astype(np.int32), edges.attr)


def _permuted(source: np.ndarray, target: np.ndarray, rng: np.random.Generator) -> np.ndarray | None:
    """The targets permuted among the edges, loops and repeated pairs mended by further swaps; None if some stay."""
    target = target[rng.permutation(len(target))]
    for _ in range(50):
        bad = np.flatnonzero(_is_no_edge(source, target))
        if not len(bad):
            return target
        for edge, other in zip(bad, rng.integers(0, len(target), len(bad)), strict=True):
            target[edge], target[other] = target[other], target[edge]
    return None


def _swapped(source: np.ndarray, target: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Ends of random pairs of edges exchanged, one swap after the other, none that makes a loop or a double edge."""
    pairs = [tuple(sorted(pair)) for pair in zip(source.tolist(), target.tolist(), strict=True)]
    taken = set(pairs)
    for one, other in rng.integers(0, len(pairs), (20 * len(pairs), 2)).tolist():
        (a, b), (c, d) = pairs[one], pairs[other]
        new = (tuple(sorted((a, d))), tuple(sorted((c, b))))
        if len({a, b, c, d}) == 4 and new[0] not in taken and new[1] not in taken:
            taken -= {pairs[one], pairs[other]}
            taken |= set(new)
            pairs[one], pairs[other] = new
    ends = np.array(pairs, np.int64).reshape(-1, 2)
    return ends[:, 0], ends[:, 1]


def _is_no_edge(source: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Self loops, and the second and later of equal pairs."""
    low, high = np.minimum(source, target), np.maximum(source, target)
    key = low * (high.max(initial=0) + 1) + high
    repeated = np.ones(len(key), bool)
    repeated[np.unique(key, return_index=True)[1]] = False
    return repeated | (source == target)


def _none() -> Edges:
    return Edges(np.empty((2, 0), np.int32), np.empty((0, 4), np.float32))


def _covered(recent_TN: np.ndarray, eligible_N: np.ndarray) -> np.ndarray:
    """Positions of the stocks that are there on the date and in most of the window."""
    known = np.isfinite(recent_TN)
    return np.flatnonzero((known.mean(axis=0) >= MIN_COVERAGE) & known[-1] & eligible_N)


def _unit_rows(window_TN: np.ndarray, config: CorrelationGraphConfig) -> np.ndarray:
    """[n, T] float32 whose inner products are the correlations of the chosen kind; a constant stock is a zero row."""
    x = window_TN.astype(np.float32)
    if config.method == "rank":
        x = pd.DataFrame(x).rank().to_numpy(np.float32)  # missing values stay so
    weight = np.ones((len(x), 1), np.float32)
    if config.method == "exponential":
        weight = (0.5 ** (np.arange(len(x))[::-1, None] / config.half_life)).astype(np.float32)
    return _unit(x, weight)


def _unit(x_TN: np.ndarray, weight_T1: np.ndarray) -> np.ndarray:
    """Rows centred and scaled to unit length, missing values at their mean: [n, T] float32."""
    known = np.isfinite(x_TN)
    complete = known.all()
    filled = x_TN if complete else np.where(known, x_TN, 0)
    total = weight_T1.sum() if complete else np.maximum((known * weight_T1).sum(axis=0), 1e-12)
    centred = filled - (filled * weight_T1).sum(axis=0) / total
    size = np.sqrt(np.einsum("tn,tn->n", filled, filled))
    if not complete:
        centred *= known
    centred *= np.sqrt(weight_T1)
    length = np.sqrt(np.einsum("tn,tn->n", centred, centred))
    centred /= np.where(length > NO_VARIATION * size, length, np.inf)
    return np.ascontiguousarray(centred.T, dtype=np.float32)


def _strongest_pairs(x_NT: np.ndarray, config: CorrelationGraphConfig) -> tuple[np.ndarray, np.ndarray]:
    """(pairs [2, P] i < j, correlation [P]): the union of everybody's k strongest neighbours above the threshold."""
    num = len(x_NT)
    k = min(config.k, num - 1)
    mean = _mean_correlation(x_NT) if config.shrinkage else 0.0
    keys, scores = [], []
    for start in range(0, num, BLOCK):
        row, column, score, place = _top_of_block(x_NT[start : start + BLOCK] @ x_NT.T, start, k)
        score = (1 - config.shrinkage) * score + config.shrinkage * mean
        kept = (score > config.min_correlation) | (place < config.min_degree)
        row, column = row[kept], column[kept]
        keys.append(np.minimum(row, column) * num + np.maximum(row, column))
        scores.append(score[kept])
    key, first = np.unique(np.concatenate(keys), return_index=True)
    return np.stack([key // num, key % num]), np.concatenate(scores)[first]


def _leading_pairs(lead_NT: np.ndarray, lag_NT: np.ndarray, k: int) -> np.ndarray:
    """[2, P] pairs i < j: everybody, and the k whose moves its own follow most."""
    num = len(lead_NT)
    if k < 1:
        return np.empty((2, 0), np.int64)
    keys = []
    for start in range(0, num, BLOCK):
        row, column, score, _ = _top_of_block(lag_NT[start : start + BLOCK] @ lead_NT.T, start, k)
        row, column = row[score > 0], column[score > 0]
        keys.append(np.minimum(row, column) * num + np.maximum(row, column))
    return np.stack(np.divmod(np.unique(np.concatenate(keys)), num))


def _joined(
    pair_2P: np.ndarray,
    correlation_P: np.ndarray,
    more_2P: np.ndarray,
    x_NT: np.ndarray,
    config: CorrelationGraphConfig,
) -> tuple[np.ndarray, np.ndarray]:
    """Both sets of pairs, each pair once, with their correlations."""
    num = len(x_NT)
    new = more_2P[:, ~np.isin(more_2P[0] * num + more_2P[1], pair_2P[0] * num + pair_2P[1])]
    mean = _mean_correlation(x_NT) if config.shrinkage else 0.0
    score = (1 - config.shrinkage) * _products(x_NT, x_NT, *new) + config.shrinkage * mean
    pair, correlation = np.concatenate([pair_2P, new], axis=1), np.concatenate([correlation_P, score])
    order = np.lexsort(pair[::-1])
    return pair[:, order], correlation[order]


def _top_of_block(block: np.ndarray, start: int, k: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """(row, column, correlation, place from 0) of the k strongest of each row of a block [rows, n] from row `start`.

    Columns are put into groups; the k-th largest group maximum is a bound that the k strongest reach and few others.
    """
    inside = np.arange(len(block))
    block[inside, start + inside] = -np.inf
    depth = max(1, block.shape[1] // (6 * k))
    width = block.shape[1] // depth
    best = block[:, : depth * width].reshape(len(block), depth, width).max(axis=1)
    bound = np.partition(best, width - k, axis=1)[:, width - k, None]
    found = np.flatnonzero(block >= bound)
    row, column = np.divmod(found, block.shape[1])
    score = block.ravel()[found]
    order = np.lexsort((-score, row))
    row, column, score = row[order], column[order], score[order]
    place = np.arange(len(row)) - np.searchsorted(row, inside)[row]
    top = place < k
    return row[top] + start, column[top], score[top], place[top]


def _mean_correlation(x_NT: np.ndarray) -> float:
    """Mean over all pairs: the target of the constant-correlation shrinkage (Ledoit & Wolf 2004)."""
    num = int((x_NT**2).sum(axis=1).round().sum())
    total = float((x_NT.sum(axis=0) ** 2).sum())
    return (total - num) / max(num * (num - 1), 1)


def _with_attributes(
    pair_2P: np.ndarray,
    correlation_P: np.ndarray,
    moves: tuple[np.ndarray, np.ndarray],
    nodes: np.ndarray,
    sector_N: np.ndarray,
    industry_N: np.ndarray,
) -> Edges:
    """Both directions of each pair, first all i -> j, then all j -> i."""
    i, j = pair_2P
    source, target = np.concatenate([i, j]), np.concatenate([j, i])
    attr = np.empty((len(source), 4), np.float32)
    attr[:, 0] = np.clip(np.tile(correlation_P, 2), -1, 1)
    attr[:, 1] = np.clip(_products(*moves, source, target), -1, 1)
    attr[:, 2] = _same(sector_N[nodes], source, target)
    attr[:, 3] = _same(industry_N[nodes], source, target)
    return Edges(np.stack([nodes[source], nodes[target]]).astype(np.int32), attr)


def _lead_and_lag(history_TN: np.ndarray, config: CorrelationGraphConfig) -> tuple[np.ndarray, np.ndarray]:
    """([N, T] what leads, [N, T] what follows one day later): rows of length one, whose inner products are lead-lag
    correlations. A market-demeaned return follows; such returns lead, each fading by `lead_lag_decay` a day."""
    recent_TN = history_TN[-config.lead_lag_window :].astype(np.float32)
    known = np.isfinite(recent_TN)
    complete = known.all()
    filled = recent_TN if complete else np.where(known, recent_TN, 0)
    demeaned = recent_TN - filled.sum(axis=1, keepdims=True) / np.maximum(known.sum(axis=1, keepdims=True), 1)
    faded = demeaned.copy() if complete else np.where(known, demeaned, 0)
    for day in range(1, len(faded)):
        faded[day] += np.float32(config.lead_lag_decay) * faded[day - 1]
    if not complete:
        faded[~known] = np.nan
    ones = np.ones((max(len(demeaned) - 1, 0), 1), np.float32)
    return _unit(faded[:-1], ones), _unit(demeaned[1:], ones)


def _products(a_NT: np.ndarray, b_NT: np.ndarray, source: np.ndarray, target: np.ndarray) -> np.ndarray:
    """[E] inner products of rows of a with rows of b."""
    out = np.empty(len(source), np.float32)
    for start in range(0, len(source), PIECE):
        piece = slice(start, start + PIECE)
        out[piece] = np.einsum("et,et->e", a_NT[source[piece]], b_NT[target[piece]])
    return out


def _same(label: np.ndarray, source: np.ndarray, target: np.ndarray) -> np.ndarray:
    """1 where both are known and equal."""
    return (label[source] == label[target]) & (label[source] > 0)
