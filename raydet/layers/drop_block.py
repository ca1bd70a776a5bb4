"""Dropout of squares."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class DropBlock(nn.Module):
    """Zero squares of every channel in training and scale the rest up (arXiv:1810.12890).

    Args:
        drop_prob: share of pixels to drop, within `(0, 1]`.
        block_size: side of a square, an odd number.
        warmup_iters: over so many calls the share rises from 0.
        eps: keeps the scale finite.
        in_channels: of no effect; plug-ins are told.
    """

    def __init__(
        self,
        drop_prob: float,
        block_size: int,
        warmup_iters: int = 2000,
        eps: float = 1e-6,
        in_channels: int | None = None,
    ) -> None:
        super().__init__()
        if not 0 < drop_prob <= 1:
            raise ValueError(f"drop_prob must be above 0 and at most 1, got {drop_prob!r}")
        if block_size < 1 or block_size % 2 == 0:
            raise ValueError(f"block_size must be an odd number, got {block_size!r}")
        if warmup_iters < 0:
            raise ValueError(f"warmup_iters must not be negative, got {warmup_iters!r}")
        self.drop_prob = drop_prob
        self.block_size = block_size
        self.warmup_iters = warmup_iters
        self.eps = eps
        self.iter_cnt = 0

    def forward(self, x: Tensor) -> Tensor:
        """Map `(N, C, H, W)`, at least `block_size` high and wide, to the same shape."""
        if not self.training:
            return x
        self.iter_cnt += 1
        inner = tuple(length - self.block_size + 1 for length in x.shape[-2:])
        if min(inner) < 1:
            raise ValueError(f"a map of {tuple(x.shape[-2:])} is smaller than block_size = {self.block_size}")
        centers = torch.full((*x.shape[:2], *inner), self._share(x, inner), device=x.device).bernoulli()
        reach = self.block_size // 2
        dropped = F.max_pool2d(F.pad(centers, [reach] * 4), self.block_size, stride=1, padding=reach)
        kept = (1 - dropped).to(x.dtype)
        return x * kept * (kept.numel() / (self.eps + kept.sum()))

    def _share(self, x: Tensor, inner: tuple[int, ...]) -> float:
        """Probability of a pixel to be the centre of a square."""
        warmth = 1.0 if self.iter_cnt > self.warmup_iters else self.iter_cnt / self.warmup_iters
        area = x.shape[-2] * x.shape[-1]
        return self.drop_prob * area / (inner[0] * inner[1]) / self.block_size**2 * warmth

    def extra_repr(self) -> str:
        return f"drop_prob={self.drop_prob}, block_size={self.block_size}, warmup_iters={self.warmup_iters}"
