"""Samplers that ask the head which boxes are hard."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import torch
from raydet_ops import nms_match
from torch import Tensor

from raydet.assignment.base import BaseSampler
from raydet.assignment.result import AssignResult, SamplingResult
from raydet.assignment.samplers import RandomSampler, negatives, positives
from raydet.geometry import bbox2roi, of_class


class Judge(Protocol):
    """What a sampler asks of the RoI head that it samples for, and of the stage."""

    @property
    def bbox_head(self) -> Any:
        """Has `num_classes`, `loss_cls` and `bbox_coder`."""

    def judge(self, feats: Sequence[Tensor], rois: Tensor) -> tuple[Tensor, Tensor | None]:
        """Class logits `(R, K + 1)` and box codes `(R, 4 K)` or `(R, 4)` of rois `(R, 5)` on the maps of one image."""


class OHEMSampler(BaseSampler):
    """Chooses the boxes with the largest losses (arXiv:1604.03540).

    Args:
        num: how many boxes.
        pos_fraction: how many of them are positive at most, as a fraction.
        context: judges the boxes.
        neg_pos_ub: negatives per positive at most; negative means no limit.
        add_gt_as_proposals: let ground truths take part as boxes.
        loss_key: which loss counts when the classification has several.
    """

    def __init__(
        self,
        num: int,
        pos_fraction: float,
        context: Judge,
        neg_pos_ub: float = -1,
        add_gt_as_proposals: bool = True,
        loss_key: str = "loss_cls",
        **kwargs: Any,
    ) -> None:
        super().__init__(num, pos_fraction, neg_pos_ub, add_gt_as_proposals)
        self.context = context
        self.loss_key = loss_key

    def _sample_pos(self, assign_result: AssignResult, num_expected: int, **kwargs: Any) -> Tensor:
        places = positives(assign_result)
        if len(places) <= num_expected:
            return places
        assert assign_result.labels is not None
        return self._hardest(places, assign_result.labels[places], num_expected, **kwargs)

    def _sample_neg(self, assign_result: AssignResult, num_expected: int, **kwargs: Any) -> Tensor:
        places = negatives(assign_result)
        if len(places) <= num_expected:
            return places
        background = torch.full_like(places, self.context.bbox_head.num_classes)
        return self._hardest(places, background, num_expected, **kwargs)

    @torch.no_grad()
    def _hardest(
        self, places: Tensor, labels: Tensor, num: int, bboxes: Tensor, feats: Sequence[Tensor], **kwargs: Any
    ) -> Tensor:
        cls_score, _ = self.context.judge(feats, bbox2roi([bboxes[places]]))
        losses = class_losses(self.context, cls_score, labels, self.loss_key)
        return places[losses.topk(num).indices]


class ScoreHLRSampler(RandomSampler):
    """Chooses negatives by how highly they are mistaken for objects, ranked within and then over groups that overlap.

    Score hierarchical local rank of PISA (arXiv:1904.04821). Positives are random.

    Args:
        num: how many boxes.
        pos_fraction: how many of them are positive at most, as a fraction.
        context: judges the boxes.
        neg_pos_ub: negatives per positive at most; negative means no limit.
        add_gt_as_proposals: let ground truths take part as boxes.
        k: exponent of the weights.
        bias: weight of the least important negative before the exponent, in [0, 1].
        score_thr: negatives that score at most this are not ranked and only fill up.
        iou_thr: boxes that overlap at least so much are of one group.
    """

    def __init__(
        self,
        num: int,
        pos_fraction: float,
        context: Judge,
        neg_pos_ub: float = -1,
        add_gt_as_proposals: bool = True,
        k: float = 0.5,
        bias: float = 0,
        score_thr: float = 0.05,
        iou_thr: float = 0.5,
        **kwargs: Any,
    ) -> None:
        super().__init__(num, pos_fraction, neg_pos_ub, add_gt_as_proposals)
        self.context = context
        self.k = k
        self.bias = bias
        self.score_thr = score_thr
        self.iou_thr = iou_thr

    def sample(  # type: ignore[override]
        self,
        assign_result: AssignResult,
        bboxes: Tensor,
        gt_bboxes: Tensor,
        gt_labels: Tensor | None = None,
        **kwargs: Any,
    ) -> tuple[SamplingResult, Tensor]:
        """Choose boxes as `BaseSampler.sample` does; needs `feats`, the maps of the image.

        Returns:
            What was chosen, and `(M,)` classification weights of its negatives.
        """
        boxes, flags = self._join_truths(assign_result, bboxes, gt_bboxes, gt_labels)
        pos_inds = self._sample_pos(assign_result, int(self.num * self.pos_fraction)).sort().values
        wanted = self._num_negatives(len(pos_inds))
        neg_inds, weights = self._hard_negatives(assign_result, wanted, boxes, **kwargs)
        return SamplingResult(pos_inds, neg_inds, boxes, gt_bboxes, assign_result, flags), weights

    def _sample_neg(self, assign_result: AssignResult, num_expected: int, **kwargs: Any) -> Tensor:
        return self._hard_negatives(assign_result, num_expected, **kwargs)[0]

    @torch.no_grad()
    def _hard_negatives(
        self, assign_result: AssignResult, num_expected: int, bboxes: Tensor, feats: Sequence[Tensor], **kwargs: Any
    ) -> tuple[Tensor, Tensor]:
        """Places of negatives, the most important first, and their weights."""
        places = negatives(assign_result)
        num = min(len(places), num_expected)
        if num <= 0:
            return places[:0], bboxes.new_ones(0)
        rois = bbox2roi([bboxes[places]])
        cls_score, bbox_pred = self.context.judge(feats, rois)
        scores, labels = cls_score.softmax(dim=-1)[:, :-1].max(dim=1)
        mistaken = scores > self.score_thr
        ranked, others = mistaken.nonzero().squeeze(1), (~mistaken).nonzero().squeeze(1)
        if len(ranked) == 0:
            return self.random_choice(places, num), cls_score.new_ones(num)
        assert bbox_pred is not None
        seen = self.context.bbox_head.bbox_coder.decode(rois[ranked, 1:], of_class(bbox_pred[ranked], labels[ranked]))
        hard = ranked[self._importance(seen, scores[ranked]).argsort(descending=True)[:num]]
        chosen = torch.cat([hard, self.random_choice(others, num - len(hard))])
        background = torch.full_like(places, self.context.bbox_head.num_classes)
        losses = class_losses(self.context, cls_score, background)[chosen]
        weights = self._weights(num, len(ranked), losses)
        return places[chosen], weights

    def _importance(self, boxes: Tensor, scores: Tensor) -> Tensor:
        """Of `V` boxes: the best of every group come first, then all second best, each by score."""
        importance = torch.zeros_like(scores)
        for group in nms_match(torch.cat([boxes, scores[:, None]], dim=1), self.iou_thr):
            rank = torch.arange(len(group), device=scores.device)
            importance[group] = len(scores) - rank + scores[group]
        return importance

    def _weights(self, num: int, num_ranked: int, losses: Tensor) -> Tensor:
        """Weights that fall with the rank, equal for what only fills up, and keep the sum of the losses `(num,)`."""
        rank = torch.arange(num, device=losses.device).clamp(max=num_ranked - 1)
        weights = 1 - rank.to(losses) / max(num, num_ranked)
        weights = (self.bias + (1 - self.bias) * weights).pow(self.k)
        return weights * (losses.sum() / (losses * weights).sum())


def class_losses(context: Judge, cls_score: Tensor, labels: Tensor, key: str = "loss_cls") -> Tensor:
    """`(R,)` classification loss of each box; `key` chooses one of several."""
    losses = context.bbox_head.loss_cls(cls_score, labels, reduction_override="none")
    if isinstance(losses, Mapping):
        losses = losses[key]
    return losses if losses.ndim == 1 else losses.flatten(1).sum(dim=1)  # type: ignore[no-any-return]
