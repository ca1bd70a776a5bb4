"""PAA: positives are the candidates that already do well, by the distribution of their losses."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from raydet.assignment.targets import DenseTargets
from raydet.geometry import bbox_overlaps
from raydet.heads.dense.atss import AtssLayers
from raydet.heads.dense.base import DenseHead
from raydet.heads.dense.candidates import Candidates, best_priors, select_candidates
from raydet.heads.dense.layout import LevelLayout
from raydet.heads.dense.mixture import COVARIANCES, probable
from raydet.heads.dense.output import DenseOutput
from raydet.structures import Batch, Detections

# Boxes that overlap a detection by more than this vote on where it is; how fast votes fall with the overlap.
VOTES_FROM, SPREAD = 0.01, 0.025
EPS = 1e-12


class PAAHead(AtssLayers, DenseHead):
    """ATSS' layers, whose third output is the IoU of the box; positives are found anew every time (arXiv:2007.08103).

    Args:
        *args: see `AtssLayers`.
        topk: candidates of each object and level.
        score_voting: candidates move the detections that they overlap.
        covariance_type: of the mixture of losses: `diag`, `spherical`, `full` or `tied`.
        **kwargs: see `AtssLayers` and `DenseHead`.

    Raises:
        ValueError: unknown `covariance_type`.
    """

    def __init__(
        self, *args: Any, topk: int = 9, score_voting: bool = True, covariance_type: str = "diag", **kwargs: Any
    ) -> None:
        if covariance_type not in COVARIANCES:
            raise ValueError(f"covariance_type must be one of {', '.join(COVARIANCES)}, got {covariance_type!r}")
        self.topk = topk
        self.with_score_voting = score_voting
        self.covariance_type = covariance_type
        super().__init__(*args, **kwargs)

    def targets(self, output: DenseOutput, batch: Batch) -> DenseTargets:
        """Of the candidates that the assigner finds, the probable ones stay positive."""
        targets = super().targets(output, batch)
        rows = targets.positive
        image = rows // targets.labels.shape[1]
        owner = image * (targets.matched_gt.amax() + 1 if len(rows) else 1) + targets.matched_gt
        losses = self.candidate_losses(output, targets)
        kept = probable(losses, owner, output.levels(rows), self.topk, self.covariance_type)
        return targets.only(kept, self.num_classes)

    @torch.no_grad()
    def candidate_losses(self, output: DenseOutput, targets: DenseTargets) -> Tensor:
        """`(P,)` what each positive costs now, class and box together."""
        rows = targets.positive
        labels, weights = targets.labels.flatten()[rows], targets.label_weights.flatten()[rows]
        classes: Tensor = self.loss_cls(output.rows("cls", rows), labels, weights, reduction_override="none").sum(-1)
        boxes: Tensor = self.loss_bbox(self.boxes_of(output, targets), targets.boxes, reduction_override="none")
        return classes + boxes

    def boxes_of(self, output: DenseOutput, targets: DenseTargets) -> Tensor:
        """`(P, 4)` predicted boxes of the positives."""
        boxes: Tensor = self.bbox_coder.decode(targets.priors, output.rows("box", targets.positive))
        return boxes

    def loss_taught(self, feats: Sequence[Tensor], targets: DenseTargets) -> dict[str, Tensor]:
        """The losses of a batch with the targets of a teacher: LAD's."""
        return self.losses(self.outputs(feats), targets, even=True)

    def losses(self, output: DenseOutput, targets: DenseTargets, even: bool = False) -> dict[str, Tensor]:
        """Named losses; boxes count by the overlap that they reach, or `even`ly."""
        rows, num_images = targets.positive, len(targets.labels)
        count = float(len(rows) or num_images)
        boxes = self.boxes_of(output, targets)
        overlap = bbox_overlaps(boxes.detach(), targets.boxes, is_aligned=True)
        weight = torch.ones_like(overlap) if even else overlap.clamp(min=EPS)
        return {
            "loss_cls": self.class_loss(output, targets, max(count, num_images)),
            "loss_bbox": self.loss_bbox(boxes, targets.boxes, weight, avg_factor=weight.sum()),
            "loss_iou": self.loss_centerness(output.rows("centerness", rows), overlap[:, None], avg_factor=count),
        }

    def scores(self, output: DenseOutput) -> Tensor:
        """Geometric means of class probabilities and predicted IoU."""
        return (super().scores(output) * output["centerness"].sigmoid()).sqrt()

    def score_factors(self, output: DenseOutput) -> None:
        """None: the IoU is in the scores."""

    def select(self, scores: Tensor, layout: LevelLayout) -> Candidates:
        """All classes of the best priors."""
        kept = best_priors(scores, layout, self.test_config.nms_pre)
        return select_candidates(scores.masked_fill(~kept[:, None], -1.0), layout, self.test_config.score_thr, -1)

    def finish(self, candidates: Detections) -> Detections:
        found = super().finish(candidates)
        return voted(found, candidates) if self.with_score_voting and len(found) else found


def voted(found: Detections, voters: Detections) -> Detections:
    """Detections whose boxes are means of what overlaps them and has their class, by overlap and score."""
    overlaps = bbox_overlaps(found.boxes, voters.boxes)
    votes = (-(1 - overlaps).square() / SPREAD).exp() * voters.scores
    votes *= (overlaps > VOTES_FROM) & (found.labels[:, None] == voters.labels)
    total = votes.sum(1, keepdim=True)
    # Boxes without area overlap nothing, not even themselves.
    boxes = torch.where(total > 0, votes @ voters.boxes / total, found.boxes)
    return Detections(boxes, found.scores, found.labels)
