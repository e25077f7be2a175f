"""The studies of a sweep and the sweep of a study."""

from __future__ import annotations

import pytest

from storage.names import studies_of, sweep_of


@pytest.mark.parametrize("name", ["gat_ablation", "my.tune.v2", "a.confirmed"])
def test_every_study_of_a_sweep_names_it(name: str) -> None:
    assert studies_of(name) == (name, f"{name}.tune", f"{name}.confirm", f"{name}.holdout")
    assert {sweep_of(study) for study in studies_of(name)} == {name}
