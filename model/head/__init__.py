"""Head slot: from a vector to scores per horizon."""
