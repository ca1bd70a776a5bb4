"""Distances to the sides of a box, from a point or from the center of a prior."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from raydet.geometry.boxes import bbox2distance, bbox_xyxy_to_cxcywh, clip_boxes, distance2bbox
from raydet.geometry.coders.base import BaseBBoxCoder


class DistancePointBBoxCoder(BaseBBoxCoder):
    """Distances from a point to the left, top, right and bottom sides (FCOS, arXiv:1904.01355).

    Args:
        clip_border: clip decoded boxes to the image.
    """

    def __init__(self, clip_border: bool = True) -> None:
        super().__init__()
        self.clip_border = clip_border

    def encode(self, points: Tensor, gt_bboxes: Tensor, max_dis: float | None = None, eps: float = 0.1) -> Tensor:
        """Distances `(..., 4)` of points `(..., 2)`; see `bbox2distance`."""
        return bbox2distance(points, gt_bboxes, max_dis, eps)

    def decode(self, points: Tensor, pred_bboxes: Tensor, max_shape: Any = None) -> Tensor:
        """Boxes `(..., 4)` of points `(..., 2)`; see `distance2bbox`."""
        return distance2bbox(points, pred_bboxes, max_shape if self.clip_border else None)


class TBLRBBoxCoder(BaseBBoxCoder):
    """Distances to the top, bottom, left and right sides in units of the prior's size (FSAF, arXiv:1903.00621).

    Args:
        normalizer: the distances are divided by this; one number, or four.
        clip_border: clip decoded boxes to the image.
    """

    def __init__(self, normalizer: float | Sequence[float] = 4.0, clip_border: bool = True) -> None:
        super().__init__()
        self.normalizer = normalizer
        self.clip_border = clip_border

    def encode(self, bboxes: Tensor, gt_bboxes: Tensor) -> Tensor:
        """Distances `(..., 4)` from priors to ground truths of the same shape."""
        center, unit = self._center_unit(bboxes)
        left, top, right, bottom = bbox2distance(center, gt_bboxes).unbind(-1)
        return torch.stack([top, bottom, left, right], dim=-1) / unit

    def decode(self, bboxes: Tensor, pred_bboxes: Tensor, max_shape: Any = None) -> Tensor:
        """Boxes `(..., 4)` from priors and distances; `max_shape` as in `clip_boxes`."""
        center, unit = self._center_unit(bboxes)
        top, bottom, left, right = (pred_bboxes * unit).unbind(-1)
        boxes = distance2bbox(center, torch.stack([left, top, right, bottom], dim=-1))
        return clip_boxes(boxes, max_shape) if self.clip_border and max_shape is not None else boxes

    def _center_unit(self, priors: Tensor) -> tuple[Tensor, Tensor]:
        """Centers, and what one unit of each of the four distances is in pixels."""
        x, y, width, height = bbox_xyxy_to_cxcywh(priors).unbind(-1)
        units = torch.stack([height, height, width, width], dim=-1)
        return torch.stack([x, y], dim=-1), units * units.new_tensor(self.normalizer)
