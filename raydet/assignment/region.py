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
from raydet.geometry.priors.grid import grid_points

# Weight of locations away from all objects.
BACKGROUND = 0.1


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
        levels = levels_by_size(gt_bboxes, anchor_scale * anchor_strides[0], len(mlvl_anchors))
        parts = zip(mlvl_anchors, featmap_sizes, anchor_strides, strict=True)
        gt_inds = torch.cat(
            [self._one_level(*part, gt_bboxes[:, :4], levels - level) for level, part in enumerate(parts)]
        )
        inside = anchor_inside_flags(anchors, torch.cat(list(mlvl_valid_flags)), img_meta["img_shape"], allowed_border)
        assert inside is not None
        return AssignResult.of(gt_inds.masked_fill(~inside, -1), None, len(gt_bboxes), gt_labels)

    def _one_level(
        self, anchors: Tensor, size: tuple[int, int], stride: int, gt_bboxes: Tensor, offset: Tensor
    ) -> Tensor:
        """`(r,)` what anchors of a level belong to; `offset` `(G,)` says how many levels away each truth belongs."""
        cells = centers(anchors / stride)
        middle, around = (
            within(cells, gt_bboxes / stride, ratio, size) for ratio in (self.center_ratio, self.ignore_ratio)
        )
        last, positive = last_touch(middle, around, offset)
        gt_inds = torch.where((last > 0) & ~positive, -1, last)
        nearby = (around & (offset.abs() == 1)).any(dim=1)
        # Meant to ignore these locations; 2.x takes the flags 0 and 1 for places, and its models learned so.
        return gt_inds.index_fill(0, nearby.long().clamp(max=len(nearby) - 1), -1)


def all_locations(
    featmap_sizes: Sequence[tuple[int, int]],
    strides: Sequence[float],
    gt_bboxes: Tensor,
    anchor_scale: float,
    center_ratio: float,
    ignore_ratio: float,
) -> tuple[Tensor, Tensor]:
    """`location_targets` of all levels of an image, `(R,)` each; arguments as of `RegionAssigner`."""
    level_of = levels_by_size(gt_bboxes, anchor_scale * strides[0], len(featmap_sizes))
    parts = [
        location_targets(
            grid_points(size, (1, 1), 0, gt_bboxes.dtype, gt_bboxes.device),
            size,
            gt_bboxes / stride,
            level_of - level,
            center_ratio,
            ignore_ratio,
        )
        for level, (size, stride) in enumerate(zip(featmap_sizes, strides, strict=True))
    ]
    targets, weights = (torch.cat(column) for column in zip(*parts, strict=True))
    return targets, weights


def location_targets(
    cells: Tensor, size: tuple[int, int], gt_bboxes: Tensor, offset: Tensor, center_ratio: float, ignore_ratio: float
) -> tuple[Tensor, Tensor]:
    """Where the objects of a level are, for a map that predicts this.

    Args:
        cells: `(r, 2)` column and row.
        size: height and width of the map.
        gt_bboxes: `(G, 4)`, in cells.
        offset: `(G,)` how many levels away each ground truth belongs.
        center_ratio: size of the positive region relative to the ground truth.
        ignore_ratio: size of the ignored region.

    Returns:
        `(r,)` bool, true in the middle of an object, and `(r,)` weights: 0 around the middle, there also of objects of
        the next levels, and `BACKGROUND` away from all objects.
    """
    if len(gt_bboxes) == 0:
        return torch.zeros_like(cells[:, 0], dtype=torch.bool), torch.full_like(cells[:, 0], BACKGROUND)
    middle, around = (within(cells, gt_bboxes, ratio, size) for ratio in (center_ratio, ignore_ratio))
    last, positive = last_touch(middle, around, offset)
    nearby = (around & (offset.abs() == 1)).any(dim=1)
    away = torch.full_like(cells[:, 0], BACKGROUND).masked_fill(nearby, 0)
    return (middle & (offset == 0)).any(dim=1), torch.where(last > 0, positive.to(away), away)


def levels_by_size(gt_bboxes: Tensor, smallest: float, num_levels: int) -> Tensor:
    """`(G,)` level whose anchors have about the size of each ground truth; those of the first have `smallest`."""
    size = ((gt_bboxes[:, 2] - gt_bboxes[:, 0]) * (gt_bboxes[:, 3] - gt_bboxes[:, 1])).sqrt()
    steps = size.log2() - torch.full_like(size, smallest).log2()
    return (steps + 0.5).floor().clamp(0, num_levels - 1).long()


def last_touch(middle: Tensor, around: Tensor, offset: Tensor) -> tuple[Tensor, Tensor]:
    """The last ground truth of this level at each location.

    Args:
        middle: `(r, G)` in the middle of a ground truth.
        around: `(r, G)` around it.
        offset: `(G,)` 0 for ground truths of this level.

    Returns:
        `(r,)` its number from 1, 0 for none, and `(r,)` whether the location is in its middle.
    """
    numbers = torch.arange(1, len(offset) + 1, device=offset.device)
    last = ((middle | around) & (offset == 0)).long().mul(numbers).amax(dim=1)
    return last, (last > 0) & middle.gather(1, (last - 1).clamp(min=0)[:, None]).squeeze(1)


def within(cells: Tensor, gt_bboxes: Tensor, ratio: float, size: tuple[int, int]) -> Tensor:
    """`(r, G)` cells `(r, 2)` in ground truths shrunk to `ratio`; all in cells of a map of `(height, width)`."""
    margin = (1 - ratio) / 2
    limits = gt_bboxes.new_tensor([size[1], size[0]])
    top_left, bottom_right = gt_bboxes[:, :2], gt_bboxes[:, 2:]
    low = ((1 - margin) * top_left + margin * bottom_right).round().clamp(min=0).minimum(limits)
    high = (margin * top_left + (1 - margin) * bottom_right).round().clamp(min=0).minimum(limits)
    return ((cells[:, None] >= low) & (cells[:, None] <= high)).all(dim=-1)
