"""Anchors: boxes of fixed shapes around every cell of a feature map (arXiv:1506.01497)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
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


class AnchorGenerator:
    """Anchors of given scales and height-to-width ratios.

    Args:
        strides: pixels per cell of each level, one number or (x, y).
        ratios: height over width.
        scales: anchor size over base size. Give these, or the two octave arguments.
        base_sizes: per level; the smaller stride when left out.
        scale_major: order the anchors of a cell by ratio first, then scale; otherwise the other way round.
        octave_base_scale: first scale.
        scales_per_octave: how many scales until the first doubles.
        centers: of the anchors of the first cell, per level (x, y) in pixels.
        center_offset: of the center, in base sizes; only without `centers`.

    Raises:
        ValueError: arguments that contradict each other.
    """

    def __init__(
        self,
        strides: Sequence[Any],
        ratios: Sequence[Any],
        scales: Sequence[float] | None = None,
        base_sizes: Sequence[Any] | None = None,
        scale_major: bool = True,
        octave_base_scale: float | None = None,
        scales_per_octave: int | None = None,
        centers: Sequence[tuple[float, float]] | None = None,
        center_offset: float = 0.0,
    ) -> None:
        if center_offset != 0 and centers is not None:
            raise ValueError(f"center_offset={center_offset} has no meaning beside centers={centers}; give one")
        if not 0 <= center_offset <= 1:
            raise ValueError(f"center_offset must lie in [0, 1], got {center_offset}")
        self.strides = pairs(strides)
        self.base_sizes = [min(s) for s in self.strides] if base_sizes is None else base_sizes
        check_levels(len(self.base_sizes), len(self.strides), "base size")
        if centers is not None:
            check_levels(len(centers), len(self.strides), "center")
        self.octave_base_scale = octave_base_scale
        self.scales_per_octave = scales_per_octave
        self.scales: Any = torch.as_tensor(_scales(scales, octave_base_scale, scales_per_octave), dtype=torch.float32)
        self.ratios: Any = torch.as_tensor(ratios, dtype=torch.float32)
        self.scale_major = scale_major
        self.centers = centers
        self.center_offset = center_offset
        self._prepare()

    def _prepare(self) -> None:
        self.base_anchors: list[Tensor] = self.gen_base_anchors()
        self._grids = GridCache()

    @property
    def num_base_priors(self) -> list[int]:
        """Anchors per cell of each level."""
        return [len(anchors) for anchors in self.base_anchors]

    @property
    def num_base_anchors(self) -> list[int]:
        """Old name of `num_base_priors`."""
        return self.num_base_priors

    @property
    def num_levels(self) -> int:
        """How many levels there are."""
        return len(self.strides)

    def gen_base_anchors(self) -> list[Tensor]:
        """Per level the anchors `(A, 4)` of the first cell."""
        return [
            self.gen_single_level_base_anchors(
                size, self.scales, self.ratios, None if self.centers is None else self.centers[i]
            )
            for i, size in enumerate(self.base_sizes)
        ]

    def gen_single_level_base_anchors(
        self, base_size: float, scales: Tensor, ratios: Tensor, center: tuple[float, float] | None = None
    ) -> Tensor:
        """Anchors `(A, 4)` of the first cell of one level."""
        if center is None:
            center = (self.center_offset * base_size,) * 2
        widths, heights = anchor_sizes(base_size, scales, ratios, self.scale_major)
        return centered_boxes(center, widths, heights)

    def grid_priors(
        self, featmap_sizes: Sequence[Size], dtype: torch.dtype = torch.float32, device: Device = "cpu"
    ) -> list[Tensor]:
        """Per level the anchors `(h * w * A, 4)` of all cells, row by row. Shared: do not change them."""
        check_levels(len(featmap_sizes), self.num_levels, "feature map size")
        return [
            self._grids.get(
                (level, tuple(size), dtype, str(device)),
                lambda level=level, size=size: self.single_level_grid_priors(size, level, dtype, device),  # type: ignore[misc]
            )
            for level, size in enumerate(featmap_sizes)
        ]

    def single_level_grid_priors(
        self, featmap_size: Size, level_idx: int, dtype: torch.dtype = torch.float32, device: Device = "cpu"
    ) -> Tensor:
        """Anchors `(h * w * A, 4)` of all cells of one level."""
        base = self.base_anchors[level_idx].to(device=device, dtype=dtype)
        shifts = grid_points(featmap_size, self.strides[level_idx], 0, dtype, device).repeat(1, 2)
        return (shifts[:, None] + base).view(-1, 4)

    def sparse_priors(
        self,
        prior_idxs: Tensor,
        featmap_size: Size,
        level_idx: int,
        dtype: torch.dtype = torch.float32,
        device: Device = "cpu",
    ) -> Tensor:
        """Anchors `(r, 4)` at some places `(r,)` of what `grid_priors` returns for one level."""
        base = self.base_anchors[level_idx].to(device=device, dtype=dtype)
        cell, shape = prior_idxs // len(base), prior_idxs % len(base)
        x = (cell % featmap_size[1]) * self.strides[level_idx][0]
        y = (cell // featmap_size[1]) * self.strides[level_idx][1]
        return torch.stack([x, y, x, y], dim=1).to(device=device, dtype=dtype) + base[shape.to(device)]

    def valid_flags(
        self, featmap_sizes: Sequence[Size], pad_shape: Sequence[int], device: Device = "cpu"
    ) -> list[Tensor]:
        """Per level `(h * w * A,)` bool: anchors whose cell starts inside the padded image `(h, w)`."""
        return valid_flags(featmap_sizes, pad_shape, self.strides, self.num_base_priors, device)

    def single_level_valid_flags(
        self, featmap_size: Size, valid_size: Size, num_base_anchors: int, device: Device = "cpu"
    ) -> Tensor:
        """`(h * w * A,)` bool: anchors of the cells inside `valid_size`."""
        return valid_cells(featmap_size, valid_size, num_base_anchors, device)

    grid_anchors = grid_priors
    single_level_grid_anchors = single_level_grid_priors

    def __repr__(self) -> str:
        return (
            f"{type(self).__name__}(strides={self.strides}, ratios={self.ratios}, scales={self.scales}, "
            f"base_sizes={self.base_sizes}, num_base_priors={self.num_base_priors})"
        )


class LegacyAnchorGenerator(AnchorGenerator):
    """Anchors of version 1.x: whole pixels, where `x2`, `y2` are the last pixel inside the box."""

    def gen_single_level_base_anchors(
        self, base_size: float, scales: Tensor, ratios: Tensor, center: tuple[float, float] | None = None
    ) -> Tensor:
        """Anchors `(A, 4)` of the first cell of one level."""
        if center is None:
            center = (self.center_offset * (base_size - 1),) * 2
        widths, heights = anchor_sizes(base_size, scales, ratios, self.scale_major)
        return centered_boxes(center, widths - 1, heights - 1).round()


def anchor_sizes(base_size: float, scales: Tensor, ratios: Tensor, scale_major: bool) -> tuple[Tensor, Tensor]:
    """Widths and heights `(A,)` of all combinations of scales and ratios."""
    rise = ratios.sqrt()
    if scale_major:
        return (base_size * (1 / rise)[:, None] * scales).view(-1), (base_size * rise[:, None] * scales).view(-1)
    return (base_size * scales[:, None] * (1 / rise)).view(-1), (base_size * scales[:, None] * rise).view(-1)


def centered_boxes(center: tuple[float, float], widths: Tensor, heights: Tensor) -> Tensor:
    """Boxes `(A, 4)` around one point."""
    x, y = center
    return torch.stack([x - 0.5 * widths, y - 0.5 * heights, x + 0.5 * widths, y + 0.5 * heights], dim=-1)


def _scales(scales: Sequence[float] | None, octave_base: float | None, per_octave: int | None) -> Any:
    if (octave_base is None) != (per_octave is None) or (scales is None) == (octave_base is None):
        raise ValueError(
            "give either scales, or octave_base_scale together with scales_per_octave; "
            f"got scales={scales}, octave_base_scale={octave_base}, scales_per_octave={per_octave}"
        )
    if scales is not None:
        return scales
    assert octave_base is not None
    assert per_octave is not None
    return np.array([2 ** (i / per_octave) for i in range(per_octave)]) * octave_base
