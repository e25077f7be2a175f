"""Norm slot: what is not stationary in a window."""
