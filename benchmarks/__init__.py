"""Speed, as ratios to named rivals within one run; results and their commands stand in docs/performance.md."""
