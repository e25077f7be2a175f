"""Before a cluster is used, each of its nodes proves that it sees the folder of runs and the prepared market.

A trial's checkpoint is what another node goes on from: a node that writes to a disk of its own would lose it.
"""

from __future__ import annotations

import socket
import uuid
from pathlib import Path
from typing import Any

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from data.store import MarketStore
from trial.cluster import living_nodes
from trial.resources import ClusterError

PATIENCE_SECONDS = 120.0


def prove_shared(runs: Path, store: MarketStore) -> list[str]:
    """Each node reads what this process wrote, writes an answer that this process reads, and opens the market.

    Args:
        runs: folder of runs.
        store: the prepared market.

    Returns:
        The nodes' names.

    Raises:
        ClusterError: names the nodes that do not, and what they lack.
    """
    token = uuid.uuid4().hex
    question = runs / f".proof-{token}"
    question.write_text(token)
    asked = {_asked(node.key, question, token, store.folder): node for node in living_nodes()}
    try:
        answered, silent = ray.wait(list(asked), num_returns=len(asked), timeout=PATIENCE_SECONDS)
        lacks = {asked[each]: f"gave no answer in {PATIENCE_SECONDS:.0f} s" for each in silent}
        for each in answered:
            answer = question.with_name(f"{question.name}-{asked[each].key}")
            lacks[asked[each]] = _lack(each, answer, token, store)
    finally:
        for path in runs.glob(f".proof-{token}*"):
            path.unlink(missing_ok=True)
    living = {node.key for node in living_nodes()}  # one that died while it was asked is nobody's any more
    if lacking := [f"{node.name} {lack}" for node, lack in lacks.items() if lack and node.key in living]:
        raise ClusterError(
            f"every node must see {runs}, where checkpoints and the prepared market lie, but {'; '.join(lacking)}. "
            f"Name --runs on a disk that all nodes share under one path, or take those nodes out of the cluster."
        )
    return sorted(node.name for node in asked.values() if node.key in living)


def _asked(node: str, question: Path, token: str, store: Path) -> Any:
    here = NodeAffinitySchedulingStrategy(node, soft=False)
    task = ray.remote(_answer).options(num_cpus=0, scheduling_strategy=here, max_retries=0)
    return task.remote(str(question), token, str(store), node)


def _answer(question: str, token: str, store: str, node: str) -> str:
    """On the node: '' and an answer beside the question, or what is lacking."""
    path = Path(question)
    try:
        if path.read_text() != token:
            return f"reads something else in {path}"
        path.with_name(f"{path.name}-{node}").write_text(f"{token} {MarketStore.open(Path(store)).meta.store_key}")
    except (OSError, ValueError) as error:
        return f"({socket.gethostname()}) cannot: {error}"
    return ""


def _lack(told: Any, answer: Path, token: str, store: MarketStore) -> str:
    """What a node says that it lacks, or what this side does not see of its answer."""
    try:
        if lack := ray.get(told):
            return str(lack)
    except ray.exceptions.RayError as error:
        return f"could not answer: {str(error).splitlines()[0]}"
    if not answer.exists() or answer.read_text() != f"{token} {store.meta.store_key}":
        return f"writes to {answer.parent}, but not to the one of this machine"
    return ""
