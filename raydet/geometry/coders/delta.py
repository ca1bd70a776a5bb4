"""Deltas of center and size, as in R-CNN (arXiv:1311.2524)."""

from __future__ import annotations

from collections.abc import Sequence
from math import log
from typing import Any

import torch
from torch import Tensor

from raydet.geometry.boxes import clip_boxes
from raydet.geometry.coders.base import BaseBBoxCoder


class DeltaXYWHBBoxCoder(BaseBBoxCoder):
    """Shift of the center in units of the prior's size and logarithm of the growth (arXiv:1311.2524).

    Args:
        target_means: subtracted from the four deltas.
        target_stds: the deltas are divided by these.
        clip_border: clip decoded boxes to the image.
        add_ctr_clamp: limit the shift of the center instead of the shrinking (YOLOF, arXiv:2103.09460).
        ctr_clamp: that limit in pixels.
    """

    _margin = 0

    def __init__(
        self,
        target_means: Sequence[float] = (0.0, 0.0, 0.0, 0.0),
        target_stds: Sequence[float] = (1.0, 1.0, 1.0, 1.0),
        clip_border: bool = True,
        add_ctr_clamp: bool = False,
        ctr_clamp: int = 32,
    ) -> None:
        super().__init__()
        self.means = target_means
        self.stds = target_stds
        self.clip_border = clip_border
        self.add_ctr_clamp = add_ctr_clamp
        self.ctr_clamp = ctr_clamp

    def encode(self, bboxes: Tensor, gt_bboxes: Tensor) -> Tensor:
        """Deltas `(..., 4)` from priors to ground truths of the same shape."""
        _check_pairs(bboxes, gt_bboxes)
        center, size = self._center_size(bboxes.float())
        gt_center, gt_size = self._center_size(gt_bboxes.float())
        deltas = torch.cat([(gt_center - center) / size, (gt_size / size).log()], dim=-1)
        return (deltas - deltas.new_tensor(self.means)) / deltas.new_tensor(self.stds)

    def decode(
        self, bboxes: Tensor, pred_bboxes: Tensor, max_shape: Any = None, wh_ratio_clip: float = 16 / 1000
    ) -> Tensor:
        """Boxes from priors and deltas.

        Args:
            bboxes: `(..., 4)` priors.
            pred_bboxes: `(..., 4 k)`, for instance one set of deltas per class.
            max_shape: image size `(h, w[, c])`, or one per image for `(N, R, 4 k)` deltas.
            wh_ratio_clip: no box shrinks (or grows) beyond this factor (or its inverse).

        Returns:
            `(..., 4 k)` xyxy.
        """
        if bboxes.shape[:-1] != pred_bboxes.shape[:-1]:
            raise ValueError(f"{tuple(bboxes.shape)} priors do not fit {tuple(pred_bboxes.shape)} deltas")
        deltas = torch.unflatten(pred_bboxes, -1, (pred_bboxes.shape[-1] // 4, 4))
        deltas = deltas * deltas.new_tensor(self.stds) + deltas.new_tensor(self.means)
        center, size = self._center_size(bboxes[..., None, :])
        shift, growth = deltas[..., :2] * size, deltas[..., 2:]
        limit = abs(log(wh_ratio_clip))
        if self.add_ctr_clamp:
            shift, growth = shift.clamp(-self.ctr_clamp, self.ctr_clamp), growth.clamp(max=limit)
        else:
            growth = growth.clamp(-limit, limit)
        center, half = center + shift, size * growth.exp() * 0.5
        boxes = torch.cat([center - half, center + half], dim=-1)
        if self.clip_border and max_shape is not None:
            boxes = clip_boxes(boxes, max_shape, self._margin)
        return boxes.view(pred_bboxes.shape)

    def _center_size(self, boxes: Tensor) -> tuple[Tensor, Tensor]:
        top_left, bottom_right = boxes[..., :2], boxes[..., 2:]
        return (top_left + bottom_right) * 0.5, bottom_right - top_left + self._margin


class LegacyDeltaXYWHBBoxCoder(DeltaXYWHBBoxCoder):
    """`DeltaXYWHBBoxCoder` of version 1.x: sizes count the last pixel, decoded corners do not.

    Args:
        target_means: subtracted from the four deltas.
        target_stds: the deltas are divided by these.
    """

    _margin = 1

    def __init__(
        self,
        target_means: Sequence[float] = (0.0, 0.0, 0.0, 0.0),
        target_stds: Sequence[float] = (1.0, 1.0, 1.0, 1.0),
    ) -> None:
        super().__init__(target_means, target_stds)


def _check_pairs(priors: Tensor, truths: Tensor) -> None:
    if priors.shape != truths.shape or priors.shape[-1] != 4:
        raise ValueError(f"expected one box per prior, got shapes {tuple(priors.shape)} and {tuple(truths.shape)}")
