"""Parquet in, leak-proof day blocks out."""
