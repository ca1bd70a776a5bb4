"""CARAFE of 256 channels from 100 x 100 to 200 x 200 pixels with windows of 5 x 5."""

from __future__ import annotations

import torch
from raydet_ops import reassembly as module
from torch import Tensor

from tools.op_bench.case import Case, gradient_run


def cases(device: str) -> list[Case]:
    """Forward, and forward with backward in both inputs."""
    features = torch.randn(1, 256, 100, 100, device=device)
    masks = torch.rand(1, 25, 200, 200, device=device)

    def ours(x: Tensor, m: Tensor) -> Tensor:
        return module.carafe(x, m, 5, 1, 2)

    def plain(x: Tensor, m: Tensor) -> Tensor:
        return module._plain(x, m, 5, 1, 2)

    given, goals = (features, masks), {"torch": 3.0}
    return [
        Case("carafe forward 256 x 100 x 100", lambda: ours(*given), {"torch": lambda: plain(*given)}, goals),
        Case(
            "carafe forward+backward 256 x 100 x 100",
            gradient_run(ours, given),
            {"torch": gradient_run(plain, given)},
            goals,
        ),
    ]
