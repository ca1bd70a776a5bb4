"""Assignment at the lowest cost, to as many boxes as each ground truth deserves (YOLOX, arXiv:2107.08430)."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from raydet.assignment.base import BaseAssigner
from raydet.assignment.candidates import centers, depth, mark, resolve
from raydet.assignment.result import AssignResult
from raydet.geometry import bbox_overlaps

# What a prior costs that is not both inside the ground truth and near its center; 2.x also reports it, negative, as
# the overlap of a prior that learns background.
FAR = 100000.0


class SimOTAAssigner(BaseAssigner):
    """Each ground truth takes its cheapest priors, as many as the best overlaps add up to.

    Args:
        center_radius: priors are near a center within this many of their strides.
        candidate_topk: how many overlaps are added up.
        iou_weight: of the overlap in the cost.
        cls_weight: of the classification in the cost.
    """

    def __init__(
        self,
        center_radius: float = 2.5,
        candidate_topk: int = 10,
        iou_weight: float = 3.0,
        cls_weight: float = 1.0,
    ) -> None:
        self.center_radius = center_radius
        self.candidate_topk = candidate_topk
        self.iou_weight = iou_weight
        self.cls_weight = cls_weight

    def assign(
        self,
        pred_scores: Tensor,
        priors: Tensor,
        decoded_bboxes: Tensor,
        gt_bboxes: Tensor,
        gt_labels: Tensor,
        gt_bboxes_ignore: Any = None,
        eps: float = 1e-7,
    ) -> AssignResult:
        """Assign priors to ground truths.

        Args:
            pred_scores: `(R, K)` probabilities.
            priors: `(R, 4)` x, y, horizontal and vertical stride.
            decoded_bboxes: `(R, 4)` predicted boxes.
            gt_bboxes: `(G, 4)`.
            gt_labels: `(G,)`.
            gt_bboxes_ignore: without effect, as in 2.x.
            eps: keeps the logarithm of the overlap finite.
        """
        if len(priors) == 0 or len(gt_bboxes) == 0:
            return AssignResult.background(decoded_bboxes, len(gt_bboxes), gt_labels)
        inside, near = self._where_priors_stand(priors, gt_bboxes)
        allowed = (inside | near).any(dim=1).nonzero().squeeze(1)
        if len(allowed) == 0:
            return AssignResult.background(decoded_bboxes, len(gt_bboxes), gt_labels)
        overlaps = bbox_overlaps(decoded_bboxes[allowed], gt_bboxes)
        cost = self.cls_weight * class_cost(pred_scores[allowed], gt_labels)
        cost = cost - self.iou_weight * (overlaps + eps).log()
        cost = cost + FAR * ~(inside & near)[allowed]
        owner = cheapest(cost, overlaps, self.candidate_topk)
        gained = overlaps.gather(1, (owner - 1).clamp(min=0)[:, None]).squeeze(1)
        gt_inds = torch.zeros(len(priors), dtype=torch.long, device=priors.device)
        gt_inds[allowed] = owner
        max_overlaps = torch.full((len(priors),), -FAR, device=priors.device)
        max_overlaps[allowed] = torch.where(owner > 0, gained.float(), -FAR)
        return AssignResult.of(gt_inds, max_overlaps, len(gt_bboxes), gt_labels)

    def _where_priors_stand(self, priors: Tensor, gt_bboxes: Tensor) -> tuple[Tensor, Tensor]:
        """`(R, G)` inside the ground truth, and near its center."""
        points, reach = priors[:, None, :2], self.center_radius * priors[:, None, 2:]
        inside = depth(points, gt_bboxes) > 0
        near = ((points - centers(gt_bboxes)).abs() < reach).all(dim=-1)
        return inside, near


def class_cost(scores: Tensor, gt_labels: Tensor) -> Tensor:
    """Binary cross entropy `(R, G)` between the roots of probabilities `(R, K)` and each one-hot class.

    The classes that a ground truth does not have cost the same for all, so no `(R, G, K)` tensor is needed.
    """
    roots = scores.float().sqrt()
    # Logarithms end where those of the loss in torch do.
    absent = -(1 - roots).log().clamp(min=-100)
    present = -roots.log().clamp(min=-100)
    return (absent.sum(dim=1, keepdim=True) + (present - absent)[:, gt_labels]).to(scores.dtype)


def cheapest(cost: Tensor, overlaps: Tensor, num_candidates: int) -> Tensor:
    """`(R,)` number of the ground truth from 1 that takes each prior, 0 for none; matrices are `(R, G)`."""
    best = overlaps.topk(min(num_candidates, len(overlaps)), dim=0).values
    deserved = best.sum(dim=0).int().clamp(min=1)
    places = cost.topk(len(best), dim=0, largest=False).indices
    rank = torch.arange(len(best), device=cost.device)[:, None]
    claims = mark(places, rank < deserved, len(cost))
    # A prior that several want goes where it is cheapest, even if that is to none of them.
    contested = claims.sum(dim=1, keepdim=True) > 1
    return resolve(claims | contested, -cost)[0]
