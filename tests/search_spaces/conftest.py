"""Every search space, one after the other: a test that takes `space` runs over all of them."""

from __future__ import annotations

import pytest

from search_spaces import SPACES
from search_spaces.space import SearchSpace


@pytest.fixture(params=sorted(SPACES))
def space(request: pytest.FixtureRequest) -> SearchSpace:
    return SPACES[request.param]
