"""Assignment by a threshold of each ground truth's own (ATSS, arXiv:1912.02424; DDOD, arXiv:2107.02963)."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from raydet.assignment.base import BOX_OVERLAPS, BaseAssigner
from raydet.assignment.candidates import centers, depth, mark, resolve
from raydet.assignment.result import AssignResult
from raydet.registry import IOU_CALCULATORS

# Centers must lie this many pixels inside.
MARGIN = 0.01


class ATSSAssigner(BaseAssigner):
    """The nearest boxes of each level are positive where they overlap more than is usual among them.

    Args:
        topk: candidates of each ground truth per level.
        alpha: with it, quality is `score^(1 - alpha) * overlap^alpha` of the predictions instead of the boxes' overlap.
        iou_calculator: how overlap is computed.
        ignore_iof_thr: boxes covered by ignored regions by more than this are ignored; not positive turns it off.
    """

    def __init__(
        self,
        topk: int,
        alpha: float | None = None,
        iou_calculator: Mapping[str, Any] | Any = BOX_OVERLAPS,
        ignore_iof_thr: float = -1,
    ) -> None:
        self.topk = topk
        self.alpha = alpha
        self.iou_calculator = IOU_CALCULATORS.build(iou_calculator)
        self.ignore_iof_thr = ignore_iof_thr

    def assign(
        self,
        bboxes: Tensor,
        num_level_bboxes: Sequence[int],
        gt_bboxes: Tensor,
        gt_bboxes_ignore: Tensor | None = None,
        gt_labels: Tensor | None = None,
        cls_scores: Tensor | None = None,
        bbox_preds: Tensor | None = None,
    ) -> AssignResult:
        """Assign boxes to ground truths.

        Args:
            bboxes: `(R, 4+)`.
            num_level_bboxes: how many of them belong to each level.
            gt_bboxes: `(G, 4)`.
            gt_bboxes_ignore: `(I, 4)` regions where nothing is right or wrong.
            gt_labels: `(G,)`; needed with `alpha`.
            cls_scores: `(R, K)` logits; needed with `alpha`.
            bbox_preds: `(R, 4)` predicted boxes; needed with `alpha`.

        Raises:
            ValueError: `alpha` is given but predictions are missing.
        """
        if len(bboxes) == 0 or len(gt_bboxes) == 0:
            return AssignResult.background(bboxes, len(gt_bboxes), gt_labels)
        bboxes = bboxes[:, :4]
        quality = self._quality(bboxes, gt_bboxes, gt_labels, cls_scores, bbox_preds)
        points = centers(bboxes)
        distances = (points[:, None] - centers(gt_bboxes)).pow(2).sum(dim=-1).sqrt()
        unowned = torch.zeros(len(bboxes), dtype=torch.long, device=bboxes.device)
        if self.ignore_iof_thr > 0 and gt_bboxes_ignore is not None and len(gt_bboxes_ignore):
            ignored = self.iou_calculator(bboxes, gt_bboxes_ignore, mode="iof").amax(dim=1) > self.ignore_iof_thr
            distances[ignored] = torch.inf
            unowned[ignored] = -1
        places = nearest_per_level(distances, num_level_bboxes, self.topk)
        found = quality.gather(0, places)
        usual = found.mean(dim=0) + found.std(dim=0)
        inside = depth(points[places], gt_bboxes) > MARGIN
        owner, overlap = resolve(mark(places, (found >= usual) & inside, len(bboxes)), quality)
        return AssignResult.of(torch.where(owner > 0, owner, unowned), overlap, len(gt_bboxes), gt_labels)

    def _quality(
        self,
        bboxes: Tensor,
        gt_bboxes: Tensor,
        gt_labels: Tensor | None,
        cls_scores: Tensor | None,
        bbox_preds: Tensor | None,
    ) -> Tensor:
        """`(R, G)` how well boxes, or their predictions, fit the ground truths."""
        if self.alpha is None:
            if cls_scores is not None or bbox_preds is not None:
                warnings.warn("ATSSAssigner has no alpha, so it does not look at predictions; set alpha to use them")
            return self.iou_calculator(bboxes, gt_bboxes)  # type: ignore[no-any-return]
        if cls_scores is None or bbox_preds is None or gt_labels is None:
            raise ValueError(f"ATSSAssigner with alpha={self.alpha} needs cls_scores, bbox_preds and gt_labels")
        scores = cls_scores[:, gt_labels].sigmoid()
        overlaps = self.iou_calculator(bbox_preds, gt_bboxes)
        return scores ** (1 - self.alpha) * overlaps**self.alpha  # type: ignore[no-any-return]


def nearest_per_level(distances: Tensor, num_per_level: Sequence[int], num: int) -> Tensor:
    """`(k, G)` places of the `num` nearest boxes of every level, or all of a smaller level; distances `(R, G)`."""
    places, start = [], 0
    for level in torch.split(distances, list(num_per_level)):
        places.append(level.topk(min(num, len(level)), dim=0, largest=False).indices + start)
        start += len(level)
    return torch.cat(places)
