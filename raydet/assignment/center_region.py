"""Assignment by the effective region around the center (FSAF, arXiv:1903.00621)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from raydet.assignment.base import BOX_OVERLAPS, BaseAssigner
from raydet.assignment.candidates import centers, depth, resolve
from raydet.assignment.result import AssignResult
from raydet.geometry import bbox_rescale
from raydet.registry import IOU_CALCULATORS


class CenterRegionAssigner(BaseAssigner):
    """Boxes on the core of a ground truth are positive; on its shadow around they do not learn its class.

    Args:
        pos_scale: size of the core relative to the ground truth.
        neg_scale: size of the shadow.
        min_pos_iof: a box lies on a region that covers more than this part of it.
        ignore_gt_scale: ignored regions are scaled by this before boxes with their center inside are ignored.
        foreground_dominate: a box that is positive and in the shadow of another of the same class stays positive.
        iou_calculator: how overlap is computed.
    """

    def __init__(
        self,
        pos_scale: float,
        neg_scale: float,
        min_pos_iof: float = 1e-2,
        ignore_gt_scale: float = 0.5,
        foreground_dominate: bool = False,
        iou_calculator: Mapping[str, Any] | Any = BOX_OVERLAPS,
    ) -> None:
        self.pos_scale = pos_scale
        self.neg_scale = neg_scale
        self.min_pos_iof = min_pos_iof
        self.ignore_gt_scale = ignore_gt_scale
        self.foreground_dominate = foreground_dominate
        self.iou_calculator = IOU_CALCULATORS.build(iou_calculator)

    def assign(
        self,
        bboxes: Tensor,
        gt_bboxes: Tensor,
        gt_bboxes_ignore: Tensor | None = None,
        gt_labels: Tensor | None = None,
    ) -> AssignResult:
        """Assign boxes to ground truths; of several the smallest wins.

        Args:
            bboxes: `(R, 4)`.
            gt_bboxes: `(G, 4)`.
            gt_bboxes_ignore: `(I, 4)` regions where nothing is right or wrong.
            gt_labels: `(G,)`.

        Returns:
            Also with the extra property `shadowed_labels`, `(M, 2)` pairs of a box and a class that it does not learn,
            None when classes are unknown.
        """
        points = centers(bboxes)
        core = (depth(points[:, None], gt_bboxes) > 0) & self._on(bboxes, gt_bboxes, self.pos_scale)
        shadow = self._on(bboxes, gt_bboxes, self.neg_scale) & ~core
        gt_inds, shadowed = self._share(core, shadow, gt_bboxes)
        if gt_bboxes_ignore is not None and len(gt_bboxes_ignore):
            regions = bbox_rescale(gt_bboxes_ignore, self.ignore_gt_scale)
            gt_inds[(depth(points[:, None], regions) > 0).any(dim=1)] = -1
        if gt_labels is None:
            shadowed_labels = None
        else:
            gt_inds, shadowed_labels = self._classes(gt_inds, shadowed, gt_labels)
        result = AssignResult.of(gt_inds, None, len(gt_bboxes), gt_labels)
        result.set_extra_property("shadowed_labels", shadowed_labels)
        return result

    def _on(self, bboxes: Tensor, gt_bboxes: Tensor, scale: float) -> Tensor:
        """`(R, G)` whether boxes lie on ground truths scaled around their centers."""
        cover = self.iou_calculator(bboxes, bbox_rescale(gt_bboxes, scale), mode="iof")
        return cover > self.min_pos_iof  # type: ignore[no-any-return]

    def _share(self, core: Tensor, shadow: Tensor, gt_bboxes: Tensor) -> tuple[Tensor, Tensor]:
        """Owners `(R,)` from 1, and pairs `(M, 2)` of a box and a ground truth from 0 whose class it does not learn.

        Those are the pairs of the shadow, then the pairs of the core that lost to a smaller ground truth.
        """
        if core.numel() == 0:
            return torch.zeros(len(core), dtype=torch.long, device=core.device), shadow.nonzero()
        areas = (gt_bboxes[:, 2] - gt_bboxes[:, 0]) * (gt_bboxes[:, 3] - gt_bboxes[:, 1])
        rank = areas.argsort(descending=True).argsort()
        owner, _ = resolve(core, rank.expand(core.shape), nothing=-1)
        numbers = torch.arange(1, core.shape[1] + 1, device=core.device)
        lost = core & (owner[:, None] != numbers)
        return owner, torch.cat([shadow.nonzero(), lost.nonzero()])

    def _classes(self, gt_inds: Tensor, shadowed: Tensor, gt_labels: Tensor) -> tuple[Tensor, Tensor]:
        """Owners and shadowed classes once each box is either positive for a class or in its shadow, not both."""
        boxes, classes = shadowed[:, 0], gt_labels[shadowed[:, 1]]
        owned = gt_inds[boxes]
        both = (owned > 0) & (gt_labels[(owned - 1).clamp(min=0)] == classes)
        pairs = torch.stack([boxes, classes], dim=1)
        if self.foreground_dominate:
            return gt_inds, pairs[~both]
        return gt_inds.index_fill(0, boxes[both], 0), pairs
