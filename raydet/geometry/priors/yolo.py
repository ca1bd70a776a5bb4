"""Anchors of YOLO (arXiv:1804.02767): given sizes around the middle of every cell."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from raydet.geometry.priors.anchors import AnchorGenerator, centered_boxes
from raydet.geometry.priors.grid import Device, Size, check_levels, pairs


class YOLOAnchorGenerator(AnchorGenerator):
    """Anchors of YOLO.

    Args:
        strides: pixels per cell of each level.
        base_sizes: per level, `A` anchors (width, height) in pixels.
    """

    def __init__(self, strides: Sequence[Any], base_sizes: Sequence[Sequence[Any]]) -> None:
        check_levels(len(base_sizes), len(strides), "list of base sizes")
        self.strides = pairs(strides)
        self.centers = [(x / 2.0, y / 2.0) for x, y in self.strides]
        self.base_sizes = [pairs(level) for level in base_sizes]
        self.scales = self.ratios = None
        self._prepare()

    def gen_base_anchors(self) -> list[Tensor]:
        """Per level the anchors `(A, 4)` of the first cell."""
        assert self.centers is not None
        levels = []
        for sizes, center in zip(self.base_sizes, self.centers, strict=True):
            widths, heights = torch.tensor(sizes, dtype=torch.float32).unbind(1)
            levels.append(centered_boxes(center, widths, heights))
        return levels

    def responsible_flags(
        self, featmap_sizes: Sequence[Size], gt_bboxes: Tensor, device: Device = "cpu"
    ) -> list[Tensor]:
        """Per level `(h * w * A,)` uint8: 1 for anchors of cells that hold the center of a ground truth `(G, 4)`."""
        check_levels(len(featmap_sizes), self.num_levels, "feature map size")
        return [
            self.single_level_responsible_flags(size, gt_bboxes, stride, count, device)
            for size, stride, count in zip(featmap_sizes, self.strides, self.num_base_priors, strict=True)
        ]

    def single_level_responsible_flags(
        self,
        featmap_size: Size,
        gt_bboxes: Tensor,
        stride: tuple[float, float],
        num_base_anchors: int,
        device: Device = "cpu",
    ) -> Tensor:
        """`responsible_flags` of one level."""
        centers = (gt_bboxes[:, :2] + gt_bboxes[:, 2:4]) * 0.5
        columns, rows = (centers / centers.new_tensor(stride)).floor().long().unbind(1)
        flags = torch.zeros(featmap_size[0] * featmap_size[1], dtype=torch.uint8, device=device)
        flags[(rows * featmap_size[1] + columns).to(device)] = 1
        return flags[:, None].expand(-1, num_base_anchors).reshape(-1)
