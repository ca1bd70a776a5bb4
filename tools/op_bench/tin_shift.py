"""Temporal interlacing of 8 clips of 8 frames: 256 channels of 28 x 28 pixels in 4 groups."""

from __future__ import annotations

import torch
from raydet_ops import tin_shift
from raydet_ops.time_shift import _plain
from torch import Tensor

from tools.op_bench.case import Case, gradient_run


def cases(device: str) -> list[Case]:
    """Forward, and forward with backward."""
    clips = torch.randn(8, 8, 256, 784, device=device)
    shift = torch.randint(-2, 3, (8, 4), device=device)

    def ours(x: Tensor) -> Tensor:
        return tin_shift(x, shift)

    def plain(x: Tensor) -> Tensor:
        return _plain(x, shift, 1)

    size = "8 x 8 x 256 x 784"
    return [
        Case(f"tin_shift forward {size}", lambda: ours(clips), {"torch": lambda: plain(clips)}, {}),
        Case(
            f"tin_shift forward+backward {size}",
            gradient_run(ours, (clips,)),
            {"torch": gradient_run(plain, (clips,))},
            {},
        ),
    ]
