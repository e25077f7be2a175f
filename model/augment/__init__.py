"""Augment slot: perturbations of training windows."""
