"""PISA (arXiv:1904.04821) for any dense head: positives that locate well, and boxes of sure classes, count more.

Either part works where `train_cfg` of the head has its dict of `k` and `bias`: `isr` or `carl`.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from raydet.assignment.targets import DenseTargets
from raydet.geometry import bbox_overlaps
from raydet.heads.dense.base import DenseHead
from raydet.heads.dense.output import DenseOutput
from raydet.heads.dense.retina import RetinaTowers
from raydet.losses import carl_loss, importance_weights


@torch.no_grad()
def weigh_by_importance(head: DenseHead, output: DenseOutput, targets: DenseTargets) -> DenseTargets:
    """The targets with importance-based classification weights of the positives, if `head` has `isr`."""
    settings, rows = head.training_config.extra.get("isr"), targets.positive
    if settings is None or len(rows) == 0:
        return targets
    labels, weights = targets.labels.flatten()[rows], targets.label_weights.flatten()
    boxes = head.bbox_coder.decode(targets.priors, output.rows("box", rows))
    images = rows // targets.labels.shape[1]
    new = importance_weights(
        bbox_overlaps(boxes, targets.boxes, is_aligned=True),
        labels,
        images * (targets.matched_gt.max() + 1) + targets.matched_gt,
        head.loss_cls(output.rows("cls", rows), labels, reduction_override="none"),
        weights[rows],
        **settings,
    )
    return replace(targets, label_weights=weights.index_copy(0, rows, new).view_as(targets.labels))


def classification_aware(head: DenseHead, output: DenseOutput, targets: DenseTargets) -> dict[str, Tensor]:
    """`loss_carl`, the regression loss weighed by class probabilities, if `head` has `carl`."""
    settings, rows = head.training_config.extra.get("carl"), targets.positive
    if settings is None:
        return {}
    return carl_loss(
        output.rows("cls", rows),
        targets.labels.flatten()[rows],
        output.rows("box", rows),
        head.bbox_coder.encode(targets.priors, targets.boxes),
        head.loss_bbox,
        **settings,
        avg_factor=targets.num_pos,
        sigmoid=head.use_sigmoid_cls,
        num_class=head.num_classes,
    )


class PISARetinaHead(RetinaTowers, DenseHead):
    """RetinaNet's head with PISA's two parts; arguments of `RetinaHead`."""

    def losses(self, output: DenseOutput, targets: DenseTargets) -> dict[str, Tensor]:
        weighed = weigh_by_importance(self, output, targets)
        return {**super().losses(output, weighed), **classification_aware(self, output, targets)}
