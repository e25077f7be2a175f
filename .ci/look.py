"""Looks at what the main job left: the store, the report and the export are there and hold what they should."""

from __future__ import annotations

import sys
from pathlib import Path

from search_spaces import SPACES
from search_spaces.config import TrialConfig, validated
from search_spaces.space import DEMO
from storage.database import open_existing
from storage.record import load_study, read_records
from storage.references import read_references
from trial.tuning import TUNE_SEEDS

runs = Path(sys.argv[1])
space = SPACES["gat_ablation"]
storage = open_existing(f"sqlite:///{runs}/sweeps.db")

search = read_records(storage, "gat_ablation")
tune = read_records(storage, "gat_ablation.tune")
confirm = read_records(storage, "gat_ablation.confirm")
kinds = load_study(storage, "gat_ablation.confirm").user_attrs["arm_kinds"]
references = read_references(storage, "gat_ablation.confirm")
assert len(search) == space.budget.trials, len(search)
assert {record.state for record in search} <= {"COMPLETE", "PRUNED"}, [record.state for record in search]
assert len(tune) == (1 + len(space.retuned)) * DEMO.draws * TUNE_SEEDS, len(tune)
assert {"reference", *space.arms} <= set(kinds), kinds
assert len(confirm) == len(kinds) * DEMO.seeds * 2, len(confirm)
assert {record.state for record in [*tune, *confirm]} == {"COMPLETE"}, [record.state for record in [*tune, *confirm]]
assert {one.name for one in references} == {"ridge", "lightgbm", "last_value", "random"}, references
for record in [*search, *tune, *confirm]:
    assert [result["epoch"] for result in record.curve] == list(range(1, len(record.curve) + 1)), record.number

best = max((r for r in search if r.state == "COMPLETE"), key=lambda r: (r.value, -r.number))
exported = TrialConfig.from_yaml((runs / "gat_ablation" / "best.yaml").read_text())
assert exported == validated(best.config)

page = (runs / "gat_ablation" / "report.html").read_text()
for expected in ("<!DOCTYPE html>", "Plotly.newPlot", *space.arms):
    assert expected in page, expected
assert 'src="http' not in page

counts = f"{len(search)} search, {len(tune)} tune and {len(confirm)} confirm trials"
print(f"looked at {runs}: {counts}, best {best.value:+.4f}, report, export")
