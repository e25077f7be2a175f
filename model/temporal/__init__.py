"""Temporal slot: from a window to one vector per stock."""
