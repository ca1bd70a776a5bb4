"""Anchors of SSD (arXiv:1512.02325): two square ones and others per cell, larger from level to level."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from raydet.geometry.priors.anchors import AnchorGenerator, anchor_sizes, centered_boxes
from raydet.geometry.priors.grid import check_levels, pairs

FIRST_LEVEL_PERCENT = {(300, 0.15): (7, 15), (300, 0.2): (10, 20), (512, 0.1): (4, 10), (512, 0.15): (7, 15)}
"""(input size, lower end of the range) to smallest and largest anchor of the first level."""


class SSDAnchorGenerator(AnchorGenerator):
    """Anchors of SSD.

    Args:
        strides: pixels per cell of each level.
        ratios: per level, aspect ratios besides 1; each also counts inverted.
        min_sizes: per level, side of the smaller square. Give these and `max_sizes`, or the range.
        max_sizes: per level, side of the square whose size the larger one is a geometric mean with.
        basesize_ratio_range: sizes over input size, from the second level to the last.
        input_size: 300 or 512.
        scale_major: order the anchors of a cell by ratio first, then scale; otherwise the other way round.

    Raises:
        ValueError: sizes that contradict each other, or a range that is not known for the input size.
    """

    def __init__(
        self,
        strides: Sequence[Any],
        ratios: Sequence[Sequence[float]],
        min_sizes: Sequence[float] | None = None,
        max_sizes: Sequence[float] | None = None,
        basesize_ratio_range: tuple[float, float] = (0.15, 0.9),
        input_size: int = 300,
        scale_major: bool = True,
    ) -> None:
        check_levels(len(ratios), len(strides), "list of ratios")
        self.strides = pairs(strides)
        self.input_size = input_size
        self.basesize_ratio_range = basesize_ratio_range
        self.centers = [self._center(stride) for stride in self.strides]
        if min_sizes is None or max_sizes is None:
            if min_sizes is not max_sizes:
                raise ValueError(f"min_sizes={min_sizes} and max_sizes={max_sizes} must be given together")
            min_sizes, max_sizes = _sizes(basesize_ratio_range, input_size, len(strides))
        check_levels(len(min_sizes), len(strides), "min_size")
        check_levels(len(max_sizes), len(strides), "max_size")
        self.base_sizes = min_sizes
        self.scales = [
            torch.tensor([1.0, np.sqrt(high / low)], dtype=torch.float32)
            for low, high in zip(min_sizes, max_sizes, strict=True)
        ]
        self.ratios = [torch.tensor([1.0, *(x for r in level for x in (1 / r, r))]) for level in ratios]
        self.scale_major = scale_major
        self.center_offset = 0
        self._prepare()

    def _center(self, stride: tuple[float, float]) -> tuple[float, float]:
        return stride[0] / 2.0, stride[1] / 2.0

    def gen_base_anchors(self) -> list[Tensor]:
        """Per level the anchors `(A, 4)`: both squares, then the other ratios at the smaller scale."""
        assert self.centers is not None
        levels = []
        for size, scales, ratios, center in zip(self.base_sizes, self.scales, self.ratios, self.centers, strict=True):
            anchors = self.gen_single_level_base_anchors(size, scales, ratios, center)
            order = [0, len(ratios), *range(1, len(ratios))]
            levels.append(anchors[order])
        return levels


class LegacySSDAnchorGenerator(SSDAnchorGenerator):
    """SSD anchors of version 1.x: whole pixels, where `x2`, `y2` are the last pixel inside the box.

    Args:
        strides: pixels per cell of each level.
        ratios: per level, aspect ratios besides 1; each also counts inverted.
        basesize_ratio_range: sizes over input size, from the second level to the last.
        input_size: 300 or 512.
        scale_major: order the anchors of a cell by ratio first, then scale; otherwise the other way round.
    """

    def __init__(
        self,
        strides: Sequence[Any],
        ratios: Sequence[Sequence[float]],
        basesize_ratio_range: tuple[float, float],
        input_size: int = 300,
        scale_major: bool = True,
    ) -> None:
        super().__init__(
            strides,
            ratios,
            basesize_ratio_range=basesize_ratio_range,
            input_size=input_size,
            scale_major=scale_major,
        )

    def _center(self, stride: tuple[float, float]) -> tuple[float, float]:
        return (stride[0] - 1) / 2.0, (stride[1] - 1) / 2.0

    def gen_single_level_base_anchors(
        self, base_size: float, scales: Tensor, ratios: Tensor, center: tuple[float, float] | None = None
    ) -> Tensor:
        """Anchors `(A, 4)` of the first cell of one level."""
        widths, heights = anchor_sizes(base_size, scales, ratios, self.scale_major)
        return centered_boxes(center or (0.0, 0.0), widths - 1, heights - 1).round()


def _sizes(ratio_range: tuple[float, float], input_size: int, num_levels: int) -> tuple[list[int], list[int]]:
    """Smallest and largest size of each level; steps are whole percents of the input size."""
    first = FIRST_LEVEL_PERCENT.get((input_size, ratio_range[0]))
    if first is None:
        raise ValueError(
            f"basesize_ratio_range[0]={ratio_range[0]} is not known for input_size={input_size}; known are "
            f"{sorted(FIRST_LEVEL_PERCENT)}; give min_sizes and max_sizes instead"
        )
    low, high = int(ratio_range[0] * 100), int(ratio_range[1] * 100)
    step = int(np.floor(high - low) / (num_levels - 2))
    percents = [first, *((p, p + step) for p in range(low, high + 1, step))]
    return [int(input_size * p / 100) for p, _ in percents], [int(input_size * p / 100) for _, p in percents]
