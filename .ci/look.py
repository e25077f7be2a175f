"""Looks at what the main job left: the store, the report and the export are there and hold what they should."""

from __future__ import annotations

import sys
from pathlib import Path

from search_spaces import SPACES
from search_spaces.config import TrialConfig, validated
from storage.database import open_existing
from storage.record import read_records

runs = Path(sys.argv[1])
space = SPACES["gat_ablation"]
storage = open_existing(f"sqlite:///{runs}/sweeps.db")

search = read_records(storage, "gat_ablation")
confirm = read_records(storage, "gat_ablation.confirm")
assert len(search) == space.budget.trials, len(search)
assert {record.state for record in search} <= {"COMPLETE", "PRUNED"}, [record.state for record in search]
assert len(confirm) == (1 + len(space.arms)) * space.budget.seeds * 2, len(confirm)
assert {record.state for record in confirm} == {"COMPLETE"}, [record.state for record in confirm]
for record in [*search, *confirm]:
    assert [result["epoch"] for result in record.curve] == list(range(1, len(record.curve) + 1)), record.number

best = max((r for r in search if r.state == "COMPLETE"), key=lambda r: (r.value, -r.number))
exported = TrialConfig.from_yaml((runs / "gat_ablation" / "best.yaml").read_text())
assert exported == validated(best.config)

page = (runs / "gat_ablation" / "report.html").read_text()
for expected in ("<!DOCTYPE html>", "Plotly.newPlot", *space.arms):
    assert expected in page, expected
assert 'src="http' not in page

counts = f"{len(search)} search and {len(confirm)} confirm trials"
print(f"looked at {runs}: {counts}, best {best.value:+.4f}, report, export")
