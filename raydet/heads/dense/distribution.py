"""Boxes whose sides are distributions over whole numbers of strides (GFL, arXiv:2006.04388)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from raydet.assignment.candidates import centers
from raydet.assignment.targets import DenseTargets
from raydet.geometry import bbox2distance, bbox_overlaps
from raydet.heads.dense.defaults import GROUP_NORM, SIDES_CODER, rare_classes
from raydet.heads.dense.level_assignment import AssignedByLevel
from raydet.heads.dense.output import DenseOutput, Predictor
from raydet.layers import mean_over_ranks
from raydet.registry import LOSSES

DISTRIBUTION_LOSS = {"type": "DistributionFocalLoss", "loss_weight": 0.25}
INIT = rare_classes("gfl_cls")


class Integral(nn.Module):
    """The mean distances of distributions.

    Args:
        reg_max: the farthest distance, in strides.
    """

    project: Tensor

    def __init__(self, reg_max: int = 16) -> None:
        super().__init__()
        self.reg_max = reg_max
        self.register_buffer("project", torch.linspace(0, reg_max, reg_max + 1))

    def forward(self, logits: Tensor) -> Tensor:
        """`(..., 4 * (reg_max + 1))` logits to `(..., 4)` distances in strides."""
        bins = logits.reshape(*logits.shape[:-1], 4, self.reg_max + 1).softmax(-1)
        return (bins * self.project.to(bins)).sum(-1)


class DistributionBoxes(AssignedByLevel):
    """What a `DenseHead` of this idea adds: mix it in before that class.

    Args:
        num_classes: `K`, without background.
        in_channels: of the feature maps.
        stacked_convs: depth of the towers.
        conv_cfg: convolution of the towers.
        norm_cfg: normalisation of the towers.
        loss_dfl: part or dict: loss of the distributions.
        bbox_coder: part or dict.
        reg_max: the farthest distance, in strides.
        init_cfg: weight initialisation.
        **kwargs: see `DenseHead`.
    """

    cls_out_channels: int
    bbox_coder: Any
    loss_cls: Any
    loss_bbox: Any
    prior_strides: Callable[[DenseOutput], Tensor]

    def __init__(
        self,
        num_classes: int,
        in_channels: int,
        stacked_convs: int = 4,
        conv_cfg: Any = None,
        norm_cfg: Any = GROUP_NORM,
        loss_dfl: Any = DISTRIBUTION_LOSS,
        bbox_coder: Any = SIDES_CODER,
        reg_max: int = 16,
        init_cfg: Any = INIT,
        **kwargs: Any,
    ) -> None:
        self.reg_max = reg_max
        layers = {"stacked_convs": stacked_convs, "conv_cfg": conv_cfg, "norm_cfg": norm_cfg, "init_cfg": init_cfg}
        super().__init__(num_classes, in_channels, bbox_coder=bbox_coder, **layers, **kwargs)  # type: ignore[call-arg]
        self.integral = Integral(reg_max)
        self.loss_dfl = LOSSES.build(loss_dfl)

    def predictors(self) -> tuple[Predictor, ...]:
        """Classes, and a distribution for each side."""
        return (
            Predictor("gfl_cls", "cls", self.cls_out_channels, tower="cls_convs"),
            Predictor("gfl_reg", "box", 4 * (self.reg_max + 1), tower="reg_convs", scaled=True),
        )

    def losses(self, output: DenseOutput, targets: DenseTargets) -> dict[str, Tensor]:
        """Losses of qualities, boxes and distributions."""
        rows = targets.positive
        strides = self.strides_of(output, rows)
        points, wanted = centers(targets.priors) / strides, targets.boxes / strides
        logits = output.rows("box", rows)
        boxes = self.bbox_coder.decode(points, self.integral(logits))
        quality = torch.zeros_like(targets.label_weights.flatten())
        quality[rows] = bbox_overlaps(boxes.detach(), wanted, is_aligned=True)
        trust = output.rows("cls", rows).detach().sigmoid().amax(dim=1)
        total = self.total_trust(trust)
        return {
            "loss_cls": self.quality_loss(output, targets, quality),
            "loss_bbox": self.loss_bbox(boxes, wanted, weight=trust, avg_factor=1.0) / total,
            "loss_dfl": self.distribution_loss(logits, bbox2distance(points, wanted, self.reg_max), trust) / total,
        }

    def total_trust(self, trust: Tensor) -> Tensor:
        """What the box losses are divided by: the class scores of the positives together."""
        return mean_over_ranks(trust.sum(), trust).clamp(min=1)

    def quality_loss(self, output: DenseOutput, targets: DenseTargets, quality: Tensor) -> Tensor:
        """Classification loss against the overlap that each positive reaches."""
        count = mean_over_ranks(targets.num_pos, output.priors)
        weights = targets.label_weights.flatten()
        wanted = (targets.labels.flatten(), quality)
        loss: Tensor = self.loss_cls(output["cls"].flatten(0, 1), wanted, weight=weights, avg_factor=count)
        return loss

    def distribution_loss(self, logits: Tensor, distances: Tensor, trust: Tensor) -> Tensor:
        """Loss of `(P, 4 * bins)` distributions around `(P, 4)` distances, averaged over the sides."""
        bins = logits.reshape(-1, self.reg_max + 1)
        weight = trust[:, None].expand(-1, 4).reshape(-1)
        loss: Tensor = self.loss_dfl(bins, distances.reshape(-1), weight=weight, avg_factor=4.0)
        return loss

    def strides_of(self, output: DenseOutput, rows: Tensor) -> Tensor:
        """`(P, 1)` pixels per cell of the priors at flat indices."""
        return self.prior_strides(output)[rows % output.priors.shape[-2], None]

    def decode(self, output: DenseOutput, image: int, index: Tensor, max_shape: Sequence[int]) -> Tensor:
        """Boxes of the mean distances."""
        distances = self.integral(output["box"][image, index]) * self.strides_of(output, index)
        boxes: Tensor = self.bbox_coder.decode(
            centers(output.image_priors(image)[index]), distances, max_shape=max_shape
        )
        return boxes
