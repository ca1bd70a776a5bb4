"""Modulated deformable convolution 3x3, 256 to 256 channels, of a map of 100 x 100."""

from __future__ import annotations

import torch
import torchvision
from raydet_ops import modulated_deform_conv2d
from torch import Tensor

from tools.op_bench.case import Case, gradient_run


def cases(device: str) -> list[Case]:
    """Forward, and forward with backward, in one and in several groups."""
    return [
        case
        for groups, deform_groups in ((1, 1), (1, 4), (32, 1))
        for case in _of_groups(device, groups, deform_groups)
    ]


def _of_groups(device: str, groups: int, deform_groups: int) -> list[Case]:
    inputs = (
        torch.randn(1, 256, 100, 100, device=device),
        torch.randn(1, 18 * deform_groups, 100, 100, device=device),
        torch.rand(1, 9 * deform_groups, 100, 100, device=device),
        torch.randn(256, 256 // groups, 3, 3, device=device) / 48,
    )

    def ours(input: Tensor, offset: Tensor, mask: Tensor, weight: Tensor) -> Tensor:
        return modulated_deform_conv2d(input, offset, mask, weight, None, 1, 1, 1, groups, deform_groups)

    def peer(input: Tensor, offset: Tensor, mask: Tensor, weight: Tensor) -> Tensor:
        result: Tensor = torchvision.ops.deform_conv2d(input, offset, weight, None, 1, 1, 1, mask)
        return result

    size = f"256 x 100 x 100, {groups} groups, {deform_groups} deform groups"
    goals = {"torchvision": 1.5}
    return [
        Case(f"deform_conv2d forward {size}", lambda: ours(*inputs), {"torchvision": lambda: peer(*inputs)}, goals),
        Case(
            f"deform_conv2d forward+backward {size}",
            gradient_run(ours, inputs),
            {"torchvision": gradient_run(peer, inputs)},
            goals,
        ),
    ]
