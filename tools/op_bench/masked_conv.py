"""Convolution at 2 and at 10 percent of the pixels: 3x3, 256 to 256 channels, of a map of 100 x 100."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from raydet_ops import masked_conv2d
from torch import Tensor

from tools.op_bench.case import Case, gradient_run


def cases(device: str) -> list[Case]:
    """Beside the windows of the mask picked by torch's indexing, and beside the convolution of all pixels."""
    return [case for share in (0.02, 0.1) for case in _of_share(device, share)]


def _of_share(device: str, share: float) -> list[Case]:
    inputs = (torch.randn(1, 256, 100, 100, device=device), torch.randn(256, 256, 3, 3, device=device))
    mask = torch.rand(1, 100, 100, device=device) < share

    def ours(features: Tensor, weight: Tensor) -> Tensor:
        return masked_conv2d(features, mask, weight, None, 1)

    def plain(features: Tensor, weight: Tensor) -> Tensor:
        ys, xs = mask[0].nonzero().unbind(1)
        windows = F.pad(features, (1, 1, 1, 1)).unfold(2, 3, 1).unfold(3, 3, 1)[0, :, ys, xs]
        values = torch.einsum("cmij,ocij->om", windows, weight)
        result = features.new_zeros(256, 100, 100)
        result[:, ys, xs] = values
        return result

    def dense(features: Tensor, weight: Tensor) -> Tensor:
        return F.conv2d(features, weight, None, 1, 1) * mask

    peers = {"torch": plain, "torch conv2d": dense}
    forward = {name: lambda f=f: f(*inputs) for name, f in peers.items()}
    both = {name: gradient_run(f, inputs) for name, f in peers.items()}
    size = f"{share:.0%} of 256 x 100 x 100"
    return [
        Case(f"masked_conv2d forward {size}", lambda: ours(*inputs), forward, {}),
        Case(f"masked_conv2d forward+backward {size}", gradient_run(ours, inputs), both, {}),
    ]
