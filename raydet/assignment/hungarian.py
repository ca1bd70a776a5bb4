"""One query for each ground truth at the lowest total cost (DETR, arXiv:2005.12872; MaskFormer, arXiv:2107.06278)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from raydet.assignment.base import BaseAssigner
from raydet.assignment.result import AssignResult
from raydet.geometry import bbox_cxcywh_to_xyxy
from raydet.registry import MATCH_COSTS

Cost = Mapping[str, Any] | Any
CLASS_COST: Cost = {"type": "ClassificationCost", "weight": 1.0}
L1_COST: Cost = {"type": "BBoxL1Cost", "weight": 1.0}
GIOU_COST: Cost = {"type": "IoUCost", "iou_mode": "giou", "weight": 1.0}
FOCAL_MASK_COST: Cost = {"type": "FocalLossCost", "weight": 1.0, "binary_input": True}
DICE_COST: Cost = {"type": "DiceCost", "weight": 1.0}


class HungarianAssigner(BaseAssigner):
    """Matches predicted boxes with ground truths.

    Args:
        cls_cost: of classes.
        reg_cost: of coordinates.
        iou_cost: of overlap.
    """

    def __init__(self, cls_cost: Cost = CLASS_COST, reg_cost: Cost = L1_COST, iou_cost: Cost = GIOU_COST) -> None:
        self.cls_cost = MATCH_COSTS.build(cls_cost)
        self.reg_cost = MATCH_COSTS.build(reg_cost)
        self.iou_cost = MATCH_COSTS.build(iou_cost)

    def assign(
        self,
        bbox_pred: Tensor,
        cls_pred: Tensor,
        gt_bboxes: Tensor,
        gt_labels: Tensor,
        img_meta: Mapping[str, Any],
        gt_bboxes_ignore: Tensor | None = None,
        eps: float = 1e-7,
    ) -> AssignResult:
        """Assign queries to ground truths.

        Args:
            bbox_pred: `(Q, 4)` center and size relative to the image.
            cls_pred: `(Q, K)` logits.
            gt_bboxes: `(G, 4)` xyxy in pixels.
            gt_labels: `(G,)`.
            img_meta: has `img_shape`.
            gt_bboxes_ignore: must be None.
            eps: without effect, as in 2.x.

        Raises:
            ValueError: there are ignored regions, or a cost is not finite.
        """
        _no_ignored(gt_bboxes_ignore)
        if len(bbox_pred) == 0 or len(gt_bboxes) == 0:
            return one_to_one(bbox_pred.new_zeros(len(bbox_pred), len(gt_bboxes)), gt_labels)
        height, width = img_meta["img_shape"][:2]
        size = gt_bboxes.new_tensor([width, height, width, height])
        cost = self.cls_cost(cls_pred, gt_labels)
        cost = cost + self.reg_cost(bbox_pred, gt_bboxes / size)
        cost = cost + self.iou_cost(bbox_cxcywh_to_xyxy(bbox_pred) * size, gt_bboxes)
        return one_to_one(cost, gt_labels)


class MaskHungarianAssigner(BaseAssigner):
    """Matches predicted masks with ground truths.

    Args:
        cls_cost: of classes.
        mask_cost: of pixels.
        dice_cost: of the Dice coefficient.
    """

    def __init__(
        self, cls_cost: Cost = CLASS_COST, mask_cost: Cost = FOCAL_MASK_COST, dice_cost: Cost = DICE_COST
    ) -> None:
        self.cls_cost = MATCH_COSTS.build(cls_cost)
        self.mask_cost = MATCH_COSTS.build(mask_cost)
        self.dice_cost = MATCH_COSTS.build(dice_cost)

    def assign(
        self,
        cls_pred: Tensor | None,
        mask_pred: Tensor,
        gt_labels: Tensor,
        gt_mask: Tensor,
        img_meta: Mapping[str, Any] | None = None,
        gt_bboxes_ignore: Tensor | None = None,
        eps: float = 1e-7,
    ) -> AssignResult:
        """Assign queries to ground truths.

        Args:
            cls_pred: `(Q, K)` logits; None leaves classes out of the cost.
            mask_pred: `(Q, ...)` logits of masks or of points on them.
            gt_labels: `(G,)`.
            gt_mask: `(G, ...)` binary, of the same pixels.
            img_meta: without effect, as in 2.x.
            gt_bboxes_ignore: must be None.
            eps: without effect, as in 2.x.

        Raises:
            ValueError: there are ignored regions, or a cost is not finite.
        """
        _no_ignored(gt_bboxes_ignore)
        total = mask_pred.new_zeros(len(mask_pred), len(gt_labels))
        if total.numel() and cls_pred is not None and self.cls_cost.weight != 0:
            total = total + self.cls_cost(cls_pred, gt_labels)
        for cost in (self.mask_cost, self.dice_cost):
            if total.numel() and cost.weight != 0:
                total = total + cost(mask_pred, gt_mask)
        return one_to_one(total, gt_labels)


def one_to_one(cost: Tensor, gt_labels: Tensor) -> AssignResult:
    """The matching `(Q,)` of lowest total cost `(Q, G)`; queries that remain are background.

    Raises:
        ValueError: a cost is not finite.
    """
    matrix = cost.detach().float().cpu()
    if not matrix.isfinite().all():
        raise ValueError("costs of matching are not finite, so predictions are not either: training has diverged")
    queries, truths = (torch.from_numpy(each).to(cost.device) for each in linear_sum_assignment(matrix.numpy()))
    gt_inds = torch.zeros(len(cost), dtype=torch.long, device=cost.device)
    gt_inds[queries] = truths + 1
    return AssignResult.of(gt_inds, None, cost.shape[1], gt_labels)


def _no_ignored(gt_bboxes_ignore: Tensor | None) -> None:
    if gt_bboxes_ignore is not None:
        raise ValueError("one-to-one matching cannot ignore regions; pass gt_bboxes_ignore=None")
