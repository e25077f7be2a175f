"""The network as papers and tutorials write it down: windows first, one module per feature, the FFT, PyG's GATv2.

It is what the benchmark's ratios are measured against. One day at a time: every stock's window is a sample.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch_geometric.nn import GATv2Conv


class GRN(nn.Module):
    """Gated residual network (Lim et al. 2021, eq. 2-5)."""

    def __init__(self, inputs: int, hidden: int, outputs: int) -> None:
        super().__init__()
        self.inner, self.outer = nn.Linear(inputs, hidden), nn.Linear(hidden, outputs)
        self.gate = nn.Linear(outputs, 2 * outputs)
        self.skip = nn.Linear(inputs, outputs) if inputs != outputs else nn.Identity()
        self.norm = nn.LayerNorm(outputs)

    def forward(self, x: Tensor) -> Tensor:
        y = self.outer(functional.elu(self.inner(x)))
        return self.norm(self.skip(x) + functional.glu(self.gate(y), dim=-1))


class VariableSelection(nn.Module):
    """One GRN per feature in a loop, and one over all of them for the weights (eq. 6-8): [N, L, F] -> [N, L, H]."""

    def __init__(self, features: int, hidden: int) -> None:
        super().__init__()
        self.embeddings = nn.ModuleList(nn.Linear(1, hidden) for _ in range(features))
        self.networks = nn.ModuleList(GRN(hidden, hidden, hidden) for _ in range(features))
        self.joint = GRN(features * hidden, hidden, features)

    def forward(self, x_NLF: Tensor) -> Tensor:
        embedded = [embed(x_NLF[..., f : f + 1]) for f, embed in enumerate(self.embeddings)]
        weights_NLF = torch.softmax(self.joint(torch.cat(embedded, dim=-1)), dim=-1)
        transformed = [network(each) for network, each in zip(self.networks, embedded, strict=True)]
        return (torch.stack(transformed, dim=-1) * weights_NLF.unsqueeze(-2)).sum(dim=-1)


def fan_by_fft(x_NLH: Tensor, top_k: int) -> Tensor:
    """What FAN leaves of a window, by rfft, top-k and irfft (Ye et al. 2024)."""
    spectrum = torch.fft.rfft(x_NLH, dim=1)
    strongest = spectrum.abs().topk(top_k, dim=1).indices
    main = torch.zeros_like(spectrum).scatter(1, strongest, spectrum.gather(1, strongest))
    return x_NLH - torch.fft.irfft(main, n=x_NLH.shape[1], dim=1)


class Textbook(nn.Module):
    """Selection, FAN, SAN, LSTM, causal self-attention, GATv2, gated fusion, head, for one day of N windows."""

    def __init__(self, features: int, hidden: int, edge_attributes: int, horizons: int, heads: int = 4) -> None:
        super().__init__()
        self.selection = VariableSelection(features, hidden)
        self.lstm = nn.LSTM(hidden, hidden, batch_first=True)
        self.after_lstm = GRN(hidden, hidden, hidden)
        self.attention = nn.MultiheadAttention(hidden, heads, batch_first=True)
        self.after_attention = GRN(hidden, hidden, hidden)
        self.gat = GATv2Conv(hidden, hidden // heads, heads, edge_dim=edge_attributes, add_self_loops=False)
        self.gate = nn.Linear(2 * hidden, hidden)
        self.head = nn.Sequential(nn.Linear(hidden, hidden), nn.GELU(), nn.Linear(hidden, horizons))

    def forward(self, x_NLF: Tensor, edge_index: Tensor, edge_attr: Tensor) -> Tensor:
        y_NLH = _sliced(fan_by_fft(self.selection(x_NLF), top_k=3))
        states_NLH = self.after_lstm(self.lstm(y_NLH)[0])
        ahead = torch.ones(y_NLH.shape[1], y_NLH.shape[1], dtype=torch.bool).triu(1)
        attended_NLH, _ = self.attention(states_NLH, states_NLH, states_NLH, attn_mask=ahead, need_weights=False)
        h_NH = self.after_attention(states_NLH + attended_NLH)[:, -1]
        g_NH = self.gat(h_NH, edge_index, edge_attr)
        return self.head(h_NH + torch.sigmoid(self.gate(torch.cat([h_NH, g_NH], dim=-1))) * g_NH)


def _sliced(x_NLH: Tensor, slice_length: int = 5) -> Tensor:
    """SAN's normalisation of slices (Liu et al. 2023)."""
    slices = x_NLH.unflatten(1, (-1, slice_length))
    return ((slices - slices.mean(2, keepdim=True)) / (slices.std(2, keepdim=True, unbiased=False) + 1e-2)).flatten(
        1, 2
    )
