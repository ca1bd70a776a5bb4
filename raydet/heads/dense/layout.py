"""Which of the R priors belongs to which feature level."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

import torch
from torch import Tensor


@dataclass(frozen=True)
class LevelLayout:
    """Sizes of the feature maps behind the flat axis `R`.

    Attributes:
        sizes: `(H, W)` of each level.
        priors_per_cell: `A` of each level.
    """

    sizes: tuple[tuple[int, int], ...]
    priors_per_cell: tuple[int, ...]

    @classmethod
    def of(cls, maps: Sequence[Tensor], priors_per_cell: Sequence[int]) -> LevelLayout:
        """The layout of `(N, C, H, W)` feature maps."""
        return cls(tuple((m.shape[-2], m.shape[-1]) for m in maps), tuple(priors_per_cell))

    @property
    def num_per_level(self) -> list[int]:
        """Priors on each level; their sum is `R`."""
        return [h * w * a for (h, w), a in zip(self.sizes, self.priors_per_cell, strict=True)]

    @property
    def num_priors(self) -> int:
        """`R`."""
        return sum(self.num_per_level)

    @property
    def starts(self) -> list[int]:
        """Index on the flat axis at which each level begins."""
        return [0, *accumulate(self.num_per_level)][:-1]

    def split(self, values: Tensor, dim: int = 1) -> tuple[Tensor, ...]:
        """Views of `(N, R, ...)`, one per level."""
        return torch.split(values, self.num_per_level, dim)

    def level_of(self, device: torch.device | None = None) -> Tensor:
        """`(R,)` level of each prior."""
        counts = torch.tensor(self.num_per_level, device=device)
        return torch.arange(len(self.sizes), device=device).repeat_interleave(counts)


def flatten_levels(levels: Sequence[Tensor], dims: int) -> Tensor:
    """Raw maps `(N, A*D, H, W)` of all levels -> `(N, R, D)`, in float32 under mixed precision."""
    cells = [level.flatten(2).transpose(1, 2) for level in levels]
    if len({cell.shape[2] for cell in cells}) > 1:  # A differs
        cells = [cell.reshape(len(cell), -1, dims) for cell in cells]
    flat = torch.cat(cells, dim=1)
    flat = flat.reshape(len(flat), -1, dims)
    return flat.float() if flat.dtype in (torch.float16, torch.bfloat16) else flat
