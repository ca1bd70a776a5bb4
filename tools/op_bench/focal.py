"""Focal loss over all anchors of a batch: 200,000 rows of 80 classes."""

from __future__ import annotations

import torch
import torchvision
from raydet_ops import focal, sigmoid_focal_loss, softmax_focal_loss
from torch import Tensor

from tools.op_bench.case import Case, gradient_run


def cases(device: str) -> list[Case]:
    """Forward, and forward with backward."""
    logits = torch.randn(200_000, 80, device=device) - 4
    target = torch.randint(0, 81, (200_000,), device=device)
    one_hot = torch.nn.functional.one_hot(target, 81)[:, :80].float()

    def ours(x: Tensor) -> Tensor:
        return sigmoid_focal_loss(x, target, 2.0, 0.25, None, "none")

    def plain(x: Tensor) -> Tensor:
        return focal._plain(x, target, None, 2.0, 0.25)

    def peer(x: Tensor) -> Tensor:
        loss: Tensor = torchvision.ops.sigmoid_focal_loss(x, one_hot, 0.25, 2.0)
        return loss

    runs = {"torch": plain, "torchvision": peer}
    goals = {"torch": 3.0, "torchvision": 1.0}
    forward = {name: lambda f=f: f(logits) for name, f in runs.items()}
    both = {name: gradient_run(f, (logits,)) for name, f in runs.items()}
    rows = target.clamp(max=79)

    def softmax(x: Tensor) -> Tensor:
        return softmax_focal_loss(x, rows, 2.0, 0.25, None, "none")

    def plain_softmax(x: Tensor) -> Tensor:
        return focal._plain_softmax(x, rows, None, 2.0, 0.25)

    return [
        Case("sigmoid_focal_loss forward 200k x 80", lambda: ours(logits), forward, goals),
        Case("sigmoid_focal_loss forward+backward 200k x 80", gradient_run(ours, (logits,)), both, goals),
        Case(
            "softmax_focal_loss forward 200k x 80",
            lambda: softmax(logits),
            {"torch": lambda: plain_softmax(logits)},
            {"torch": 3.0},
        ),
        Case(
            "softmax_focal_loss forward+backward 200k x 80",
            gradient_run(softmax, (logits,)),
            {"torch": gradient_run(plain_softmax, (logits,))},
            {"torch": 3.0},
        ),
    ]
