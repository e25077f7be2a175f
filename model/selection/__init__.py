"""Selection slot: which features count, per (day, stock)."""
