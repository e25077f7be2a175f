"""Losses over daily cross-sections: pure functions with masks, and the documented sum that a trial minimises."""
