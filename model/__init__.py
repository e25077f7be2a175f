"""ATFT-GAT-FAN: tensors in, tensors out."""
