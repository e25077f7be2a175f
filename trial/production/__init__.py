"""What `trial.export`, `predict`, `daily`, `monitor` and `retrain` share: bundles, networks, panels and scores."""
