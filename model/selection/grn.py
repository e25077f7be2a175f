"""A bank of gated residual networks, one per feature or group, computed together (Lim et al. 2021, eq. 2-5).

    a = W_0 x + b_0,    GRN(a) = LayerNorm(a + GLU(W_2 elu(W_1 a + b_1) + b_2)),    GLU(y, z) = y * sigmoid(z)

The paper's dense layer between elu and GLU is folded into W_2: two linear maps in a row are one. A loop over features
costs a few small operations each; here a chunk of networks over a chunk of rows is one batched matrix product, small
enough for the processor's cache. Activations are computed again in the backward pass, so that the memory is one chunk's
instead of [networks, rows, width] for every layer.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

CHUNK_FLOATS = 1 << 18  # of one activation of a chunk: networks x rows x width
CHUNK_ROWS = 512


class GRNBank(nn.Module):
    """G networks of `width` channels, each over its own S inputs: [R, G, S] -> [R, G, outputs]."""

    def __init__(self, networks: int, inputs: int, width: int, outputs: int) -> None:
        super().__init__()
        self.networks, self.width = networks, width
        self.embed, self.embed_bias = _weight(networks, inputs, width), _bias(networks, width)
        self.inner, self.inner_bias = _weight(networks, width, width), _bias(networks, width)
        self.gate, self.gate_bias = _weight(networks, width, 2 * width), _bias(networks, 2 * width)
        self.scale, self.scale_bias = nn.Parameter(torch.ones(networks, 1, width)), _bias(networks, width)
        self.read, self.read_bias = _weight(networks, width, outputs), _bias(networks, outputs)

    def forward(self, x_RGS: Tensor) -> Tensor:
        x_GRS = x_RGS.transpose(0, 1).contiguous()
        if self.networks == 1:  # nothing to chunk
            return _networks(x_GRS, *self.parameters()).transpose(0, 1)
        networks = max(1, CHUNK_FLOATS // (CHUNK_ROWS * self.width))
        weights = list(zip(*(weight.split(networks) for weight in self.parameters()), strict=True))
        out = [
            torch.cat([_networks_again(part, *own) for part in x.split(CHUNK_ROWS, dim=1)], dim=1)
            for x, own in zip(x_GRS.split(networks), weights, strict=True)
        ]
        return torch.cat(out).transpose(0, 1)

    def extra_repr(self) -> str:
        _, inputs, width = self.embed.shape
        return f"networks={self.networks}, inputs={inputs}, width={width}, outputs={self.read.shape[-1]}"


def _weight(networks: int, fan_in: int, fan_out: int) -> nn.Parameter:
    bound = 1 / math.sqrt(fan_in)
    return nn.Parameter(torch.empty(networks, fan_in, fan_out).uniform_(-bound, bound))


def _bias(networks: int, width: int) -> nn.Parameter:
    return nn.Parameter(torch.zeros(networks, 1, width))


def _networks_again(x_GRS: Tensor, *weights: Tensor) -> Tensor:
    out: Tensor = checkpoint(_networks, x_GRS, *weights, use_reentrant=False)
    return out


def _networks(
    x_GRS: Tensor,
    embed: Tensor,
    embed_bias: Tensor,
    inner: Tensor,
    inner_bias: Tensor,
    gate: Tensor,
    gate_bias: Tensor,
    scale: Tensor,
    scale_bias: Tensor,
    read: Tensor,
    read_bias: Tensor,
) -> Tensor:
    a_GRW = torch.baddbmm(embed_bias, x_GRS, embed)
    y_GRW = functional.elu(torch.baddbmm(inner_bias, a_GRW, inner))
    gated_GRW = a_GRW + functional.glu(torch.baddbmm(gate_bias, y_GRW, gate), dim=-1)
    normed_GRW = functional.layer_norm(gated_GRW, gated_GRW.shape[-1:]) * scale + scale_bias
    return torch.baddbmm(read_bias, normed_GRW, read)
