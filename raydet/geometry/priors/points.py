"""Points as priors: one per cell of a feature map."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from raydet.geometry.priors.grid import (
    Device,
    GridCache,
    Size,
    check_levels,
    grid_points,
    pairs,
    valid_cells,
    valid_flags,
)


class PointGenerator:
    """Points with their stride (RepPoints, arXiv:1904.11490)."""

    def grid_points(self, featmap_size: Size, stride: float = 16, device: Device = "cpu") -> Tensor:
        """`(h * w, 3)` x, y and stride of the cells of a feature map, row by row."""
        points = grid_points(featmap_size, (stride, stride), 0, torch.float32, device)
        return torch.cat([points, points.new_full((len(points), 1), stride)], dim=1)

    def valid_flags(self, featmap_size: Size, valid_size: Size, device: Device = "cpu") -> Tensor:
        """`(h * w,)` bool: cells in the upper left `valid_size`."""
        return valid_cells(featmap_size, valid_size, 1, device)


class MlvlPointGenerator:
    """Points of several levels (FCOS, arXiv:1904.01355).

    Args:
        strides: pixels per cell of each level, one number or (x, y).
        offset: of the point inside its cell, in cells.
    """

    def __init__(self, strides: Sequence[Any], offset: float = 0.5) -> None:
        self.strides = pairs(strides)
        self.offset = offset
        self._grids = GridCache()

    @property
    def num_levels(self) -> int:
        """How many levels there are."""
        return len(self.strides)

    @property
    def num_base_priors(self) -> list[int]:
        """Points per cell of each level."""
        return [1] * self.num_levels

    def grid_priors(
        self,
        featmap_sizes: Sequence[Size],
        dtype: torch.dtype = torch.float32,
        device: Device = "cpu",
        with_stride: bool = False,
    ) -> list[Tensor]:
        """Per level `(h * w, 2)` x, y, or `(h * w, 4)` with the strides. Shared: do not change them."""
        check_levels(len(featmap_sizes), self.num_levels, "feature map size")
        return [
            self._grids.get(
                (level, tuple(size), dtype, str(device), with_stride),
                lambda level=level, size=size: self.single_level_grid_priors(size, level, dtype, device, with_stride),  # type: ignore[misc]
            )
            for level, size in enumerate(featmap_sizes)
        ]

    def single_level_grid_priors(
        self,
        featmap_size: Size,
        level_idx: int,
        dtype: torch.dtype = torch.float32,
        device: Device = "cpu",
        with_stride: bool = False,
    ) -> Tensor:
        """Points of all cells of one level."""
        stride = self.strides[level_idx]
        points = grid_points(featmap_size, stride, self.offset, dtype, device)
        return torch.cat([points, points.new_tensor(stride).expand(len(points), 2)], dim=1) if with_stride else points

    def sparse_priors(
        self,
        prior_idxs: Tensor,
        featmap_size: Size,
        level_idx: int,
        dtype: torch.dtype = torch.float32,
        device: Device = "cpu",
    ) -> Tensor:
        """Points `(r, 2)` at some places `(r,)` of what `grid_priors` returns for one level."""
        cells = torch.stack([prior_idxs % featmap_size[1], prior_idxs // featmap_size[1]], dim=1)
        cells = cells.to(device=device, dtype=dtype)
        return (cells + self.offset) * cells.new_tensor(self.strides[level_idx])

    def valid_flags(
        self, featmap_sizes: Sequence[Size], pad_shape: Sequence[int], device: Device = "cpu"
    ) -> list[Tensor]:
        """Per level `(h * w,)` bool: points whose cell starts inside the padded image `(h, w)`."""
        return valid_flags(featmap_sizes, pad_shape, self.strides, self.num_base_priors, device)

    def single_level_valid_flags(self, featmap_size: Size, valid_size: Size, device: Device = "cpu") -> Tensor:
        """`(h * w,)` bool: cells inside `valid_size`."""
        return valid_cells(featmap_size, valid_size, 1, device)
