"""Assignment of locations by nested regions of the ground truths (guided anchoring, arXiv:1901.03278)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from raydet.assignment.base import BaseAssigner
from raydet.assignment.candidates import centers
from raydet.assignment.result import AssignResult
from raydet.geometry import anchor_inside_flags


class RegionAssigner(BaseAssigner):
    """The middle of a ground truth is positive on the level of its size, and what lies around is ignored.

    Args:
        center_ratio: size of the positive region relative to the ground truth.
        ignore_ratio: size of the ignored region.
    """

    def __init__(self, center_ratio: float = 0.2, ignore_ratio: float = 0.5) -> None:
        self.center_ratio = center_ratio
        self.ignore_ratio = ignore_ratio

    def assign(
        self,
        mlvl_anchors: Sequence[Tensor],
        mlvl_valid_flags: Sequence[Tensor],
        gt_bboxes: Tensor,
        img_meta: Mapping[str, Any],
        featmap_sizes: Sequence[tuple[int, int]],
        anchor_scale: float,
        anchor_strides: Sequence[int],
        gt_bboxes_ignore: Tensor | None = None,
        gt_labels: Tensor | None = None,
        allowed_border: float = 0,
    ) -> AssignResult:
        """Assign the square anchors of all levels to ground truths; where regions meet, the last one wins.

        Args:
            mlvl_anchors: per level `(r, 4)`, one anchor per location.
            mlvl_valid_flags: per level `(r,)` bool.
            gt_bboxes: `(G, 4)`.
            img_meta: has `img_shape`.
            featmap_sizes: per level height and width.
            anchor_scale: size of the anchors in strides.
            anchor_strides: per level, in pixels.
            gt_bboxes_ignore: must be None.
            gt_labels: `(G,)`.
            allowed_border: anchors that stick out of the image by more pixels are ignored; negative allows any.

        Raises:
            NotImplementedError: there are ignored regions.
        """
        if gt_bboxes_ignore is not None:
            raise NotImplementedError("RegionAssigner cannot ignore regions; pass gt_bboxes_ignore=None")
        anchors = torch.cat(list(mlvl_anchors))
        if len(anchors) == 0 or len(gt_bboxes) == 0:
            return AssignResult.background(anchors, len(gt_bboxes), gt_labels)
        levels = self._levels(gt_bboxes, anchor_scale * anchor_strides[0], len(mlvl_anchors))
        parts = zip(mlvl_anchors, featmap_sizes, anchor_strides, strict=True)
        gt_inds = torch.cat(
            [self._one_level(*part, gt_bboxes[:, :4], levels - level) for level, part in enumerate(parts)]
        )
        inside = anchor_inside_flags(anchors, torch.cat(list(mlvl_valid_flags)), img_meta["img_shape"], allowed_border)
        assert inside is not None
        return AssignResult.of(gt_inds.masked_fill(~inside, -1), None, len(gt_bboxes), gt_labels)

    def _levels(self, gt_bboxes: Tensor, smallest: float, num_levels: int) -> Tensor:
        """`(G,)` level whose anchors have about the size of each ground truth."""
        size = ((gt_bboxes[:, 2] - gt_bboxes[:, 0]) * (gt_bboxes[:, 3] - gt_bboxes[:, 1])).sqrt()
        steps = size.log2() - torch.full_like(size, smallest).log2()
        return (steps + 0.5).floor().clamp(0, num_levels - 1).long()

    def _one_level(
        self, anchors: Tensor, size: tuple[int, int], stride: int, gt_bboxes: Tensor, offset: Tensor
    ) -> Tensor:
        """`(r,)` what anchors of a level belong to; `offset` `(G,)` says how many levels away each truth belongs."""
        middle = within(anchors / stride, gt_bboxes / stride, self.center_ratio, size)
        around = within(anchors / stride, gt_bboxes / stride, self.ignore_ratio, size)
        numbers = torch.arange(1, len(gt_bboxes) + 1, device=anchors.device)
        last = ((middle | around) & (offset == 0)).long().mul(numbers).amax(dim=1)
        positive = middle.gather(1, (last - 1).clamp(min=0)[:, None]).squeeze(1)
        gt_inds = torch.where((last > 0) & ~positive, -1, last)
        nearby = (around & (offset.abs() == 1)).any(dim=1)
        # Meant to ignore these locations; 2.x takes the flags 0 and 1 for places, and its models learned so.
        return gt_inds.index_fill(0, nearby.long().clamp(max=len(nearby) - 1), -1)


def within(anchors: Tensor, gt_bboxes: Tensor, ratio: float, size: tuple[int, int]) -> Tensor:
    """`(r, G)` centers of anchors in ground truths shrunk to `ratio`; all in cells of a map of `(height, width)`."""
    margin = (1 - ratio) / 2
    limits = gt_bboxes.new_tensor([size[1], size[0]])
    top_left, bottom_right = gt_bboxes[:, :2], gt_bboxes[:, 2:]
    low = ((1 - margin) * top_left + margin * bottom_right).round().clamp(min=0).minimum(limits)
    high = (margin * top_left + (1 - margin) * bottom_right).round().clamp(min=0).minimum(limits)
    points = centers(anchors)[:, None]
    return ((points >= low) & (points <= high)).all(dim=-1)
