"""Fusion slot: joining own and neighbours."""
