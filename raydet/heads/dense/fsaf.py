"""FSAF: every object learns on the level that finds it easiest."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from raydet.assignment.targets import DenseTargets
from raydet.heads.dense.base import DenseHead
from raydet.heads.dense.output import DenseOutput
from raydet.heads.dense.retina import RetinaTowers
from raydet.losses import accuracy

INIT = {
    "type": "Normal",
    "layer": "Conv2d",
    "std": 0.01,
    "override": [
        {"type": "Normal", "name": "retina_cls", "std": 0.01, "bias_prob": 0.01},
        {"type": "Normal", "name": "retina_reg", "std": 0.01, "bias": 0.25},
    ],
}
# The mean loss of an object on a level where it has no positives: above all others.
NEVER = 1e6
# Boxes must not be empty in training.
SMALLEST = 1e-4


class FSAFHead(RetinaTowers, DenseHead):
    """RetinaNet's head with one prior per cell; objects choose their level by their loss (arXiv:1903.00621).

    Args:
        *args: see `RetinaHead`.
        score_threshold: a positive counts as found when its class scores more; None for any score.
        init_cfg: weight initialisation; None starts boxes at some size and classes at probability 0.01.
        **kwargs: see `RetinaHead`.
    """

    def __init__(self, *args: Any, score_threshold: float | None = None, init_cfg: Any = None, **kwargs: Any) -> None:
        self.score_threshold = score_threshold
        super().__init__(*args, **{**kwargs, "init_cfg": INIT if init_cfg is None else init_cfg})

    def forward_level(self, feature: Tensor, level: int) -> tuple[Tensor, ...]:
        """Raw maps of one level; distances to sides are not negative."""
        classes, sides = super().forward_level(feature, level)
        return classes, sides.relu()

    def losses(self, output: DenseOutput, targets: DenseTargets) -> dict[str, Tensor]:
        output = replace(output, values={**output.values, "box": output["box"].clamp(min=SMALLEST)})
        rows, labels = targets.positive, targets.labels.flatten()
        weights = self._class_weights(targets)
        classes = self.loss_cls(output["cls"].flatten(0, 1), labels, weights, reduction_override="none")
        boxes = _by_row(self.loss_bbox(*self.box_pairs(output, targets), reduction_override="none"))
        chosen = self._chosen(output, targets, (_by_row(classes)[rows] + boxes).detach())
        lost = rows[~chosen]
        dropped = torch.ones_like(weights).index_put((lost, labels[lost]), weights.new_zeros(()))
        num_pos = chosen.sum().float()
        count = num_pos if num_pos > 0 else float(targets.num_neg)
        return {
            "loss_cls": (classes * dropped).sum() / count,
            "loss_bbox": (boxes * chosen).sum() / count,
            "num_pos": num_pos / len(targets.labels),
            "pos_recall": self._recall(output, labels, rows[chosen]),
        }

    def _class_weights(self, targets: DenseTargets) -> Tensor:
        """`(N * R, K)`: priors in the shadow of an object do not learn its class."""
        weights = targets.label_weights.flatten()[:, None].repeat(1, self.cls_out_channels)
        if targets.shadowed is not None:
            weights[targets.shadowed.unbind(1)] = 0
        return weights

    def _chosen(self, output: DenseOutput, targets: DenseTargets, losses: Tensor) -> Tensor:
        """`(P,)` whether a positive is on the level where its object has the least mean loss."""
        num_levels = len(output.layout.sizes)
        image = targets.positive // targets.labels.shape[1]
        pairs = torch.stack([image, targets.matched_gt], dim=1)
        _, owner = torch.unique(pairs, dim=0, return_inverse=True)
        level = output.levels(targets.positive)
        table = losses.new_full(((int(owner.max()) + 1 if len(owner) else 0) * num_levels,), NEVER)
        table.scatter_reduce_(0, owner * num_levels + level, losses, "mean", include_self=False)
        return table.view(-1, num_levels).argmin(dim=1)[owner] == level

    @torch.no_grad()
    def _recall(self, output: DenseOutput, labels: Tensor, rows: Tensor) -> Any:
        """Percentage of the positives whose class scores best."""
        logits = output.rows("cls", rows)
        scores = logits.sigmoid() if self.use_sigmoid_cls else logits.softmax(dim=1)
        return accuracy(scores, labels[rows], thresh=self.score_threshold)


def _by_row(loss: Tensor) -> Tensor:
    """`(R,)` losses added up over classes or sides."""
    return loss.sum(dim=1) if loss.ndim == 2 else loss
