"""The named search spaces. A new one is a file of its own and one line in `SPACES`."""

from __future__ import annotations

import difflib
from pathlib import Path

from search_spaces.errors import SpaceError
from search_spaces.features import SPACE as FEATURES
from search_spaces.from_file import SUFFIX, digest_of, load_space
from search_spaces.full import SPACE as FULL
from search_spaces.gat_ablation import SPACE as GAT_ABLATION
from search_spaces.gnn_zoo import SPACE as GNN_ZOO
from search_spaces.graph import SPACE as GRAPH
from search_spaces.improvements import SPACE as IMPROVEMENTS
from search_spaces.interactions import SPACE as INTERACTIONS
from search_spaces.norm_ablation import SPACE as NORM_ABLATION
from search_spaces.rollout import SPACE as ROLLOUT
from search_spaces.space import SearchSpace
from search_spaces.training import SPACE as TRAINING

__all__ = ["SPACES", "digest_of", "find_space"]
SPACES: dict[str, SearchSpace] = {
    space.name: space
    for space in (
        *(GAT_ABLATION, NORM_ABLATION, INTERACTIONS, IMPROVEMENTS),
        *(ROLLOUT, GNN_ZOO, GRAPH, FEATURES, TRAINING, FULL),
    )
}


def find_space(name: str | SearchSpace) -> SearchSpace:
    """The space of that name, the one that a Python file defines, or itself.

    Raises:
        SpaceError: no such space; names those that exist, the nearest first.
    """
    if isinstance(name, SearchSpace):
        return name
    if name.endswith(SUFFIX):
        return load_space(Path(name))
    if name in SPACES:
        return SPACES[name]
    nearest = sorted(SPACES, key=lambda known: -difflib.SequenceMatcher(None, name, known).ratio())
    is_near = difflib.SequenceMatcher(None, name, nearest[0]).ratio() > 0.6
    meant = f" Did you mean {nearest[0]!r}?" if is_near else ""
    raise SpaceError(f"a search space must be one of: {', '.join(nearest)}; got {name!r}.{meant}")
