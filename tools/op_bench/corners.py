"""Corner pooling of two images of CornerNet, 128 channels of 128 x 128 cells, along columns and along rows."""

from __future__ import annotations

import torch
from raydet_ops import corners as module
from torch import Tensor

from tools.op_bench.case import Case, gradient_run


def cases(device: str) -> list[Case]:
    """Forward, and forward with backward."""
    return [case for mode in ("top", "left") for case in _cases(mode, device)]


def _cases(mode: str, device: str) -> list[Case]:
    x = torch.randn(2, 128, 128, 128, device=device)

    def ours(x: Tensor) -> Tensor:
        return module.corner_pool(x, mode)

    def plain(x: Tensor) -> Tensor:
        return module._plain(x, *module.MODES[mode])

    return [
        Case(f"corner_pool forward {mode}", lambda: ours(x), {"torch": lambda: plain(x)}, {"torch": 1.0}),
        Case(
            f"corner_pool forward+backward {mode}",
            gradient_run(ours, (x,)),
            {"torch": gradient_run(plain, (x,))},
            {"torch": 1.0},
        ),
    ]
