"""What may be concluded from paired daily differences: numbers in, verdicts out; no store, no figure."""
