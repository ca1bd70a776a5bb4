"""Multi-scale deformable attention, 8 heads of 32 channels, 4 points on each of 4 maps of an 800 x 1072 image.

The decoder's 300 queries look anywhere. The 20,000 queries of an encoder are cells, one row after the other, and look
around themselves, as the cells of a trained model do.
"""

from __future__ import annotations

import torch
from raydet_ops import deform_attention as module
from raydet_ops import ms_deform_attn
from torch import Tensor

from tools.op_bench.case import Case, gradient_run

SHAPES = ((100, 134), (50, 67), (25, 34), (13, 17))
HEADS, POINTS, CHANNELS = 8, 4, 32


def cases(device: str) -> list[Case]:
    """Forward, and forward with backward, for both numbers of queries."""
    return [case for queries in (300, 20_000) for case in _cases(queries, device)]


def _cases(queries: int, device: str) -> list[Case]:
    shapes = torch.tensor(SHAPES, device=device)
    value = torch.randn(1, sum(h * w for h, w in SHAPES), HEADS, CHANNELS, device=device)
    centre = torch.rand(1, queries, 1, 1, 1, 2, device=device)
    if queries > 1000:
        index = torch.arange(queries, device=device) / queries * 100
        centre = torch.stack([index.frac(), index / 100], 1).view(1, queries, 1, 1, 1, 2)
    shift = torch.randn(1, queries, HEADS, len(SHAPES), POINTS, 2, device=device) * 3
    locations = centre + shift / shapes.flip(1)[:, None]
    weights = torch.rand(1, queries, HEADS, len(SHAPES), POINTS, device=device)

    def ours(v: Tensor, x: Tensor, w: Tensor) -> Tensor:
        return ms_deform_attn(v, shapes, x, w)

    def plain(v: Tensor, x: Tensor, w: Tensor) -> Tensor:
        return module._plain(v, shapes, x, w)

    given = (value, locations, weights)
    name = f"ms_deform_attn {{}} {queries} queries"
    goals = {"torch": 3.0}
    return [
        Case(name.format("forward"), lambda: ours(*given), {"torch": lambda: plain(*given)}, goals),
        Case(name.format("forward+backward"), gradient_run(ours, given), {"torch": gradient_run(plain, given)}, goals),
    ]
