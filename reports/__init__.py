"""Statistics first, figures second, one HTML file."""
