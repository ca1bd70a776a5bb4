"""GFL: classes that carry the quality of their box, and boxes as distributions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from raydet.assignment.targets import DenseTargets
from raydet.geometry import bbox2distance, bbox_overlaps, bbox_xyxy_to_cxcywh
from raydet.heads.dense.base import DenseHead, per_level_counts
from raydet.heads.dense.defaults import GROUP_NORM, SIDES_CODER, rare_classes
from raydet.heads.dense.distribution import Integral
from raydet.heads.dense.output import DenseOutput, Predictor
from raydet.layers import mean_over_ranks
from raydet.registry import LOSSES
from raydet.structures import GroundTruth

DISTRIBUTION_LOSS = {"type": "DistributionFocalLoss", "loss_weight": 0.25}
INIT = rare_classes("gfl_cls")


class GFLHead(DenseHead):
    """Class scores that are the IoU of their box, and distances to sides as distributions (arXiv:2006.04388).

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
        super().__init__(num_classes, in_channels, bbox_coder=bbox_coder, **layers, **kwargs)
        self.integral = Integral(reg_max)
        self.loss_dfl = LOSSES.build(loss_dfl)

    def predictors(self) -> tuple[Predictor, ...]:
        return (
            Predictor("gfl_cls", "cls", self.cls_out_channels, tower="cls_convs"),
            Predictor("gfl_reg", "box", 4 * (self.reg_max + 1), tower="reg_convs", scaled=True),
        )

    def assign(
        self, output: DenseOutput, inside: Sequence[Tensor | None], image: int, priors: Tensor, truth: GroundTruth
    ) -> Any:
        counts = per_level_counts(output, inside[image])
        return self.assigner.assign(priors, counts, truth.boxes, truth.ignored, truth.labels)

    def losses(self, output: DenseOutput, targets: DenseTargets) -> dict[str, Tensor]:
        rows = targets.positive
        strides = self.strides_of(output, rows)
        points, wanted = _centers(targets.priors) / strides, targets.boxes / strides
        logits = output.rows("box", rows)
        boxes = self.bbox_coder.decode(points, self.integral(logits))
        quality = torch.zeros_like(targets.label_weights.flatten())
        quality[rows] = bbox_overlaps(boxes.detach(), wanted, is_aligned=True)
        trust = output.rows("cls", rows).detach().sigmoid().amax(dim=1)
        total = mean_over_ranks(trust.sum(), trust).clamp(min=1)
        return {
            "loss_cls": self.quality_loss(output, targets, quality),
            "loss_bbox": self.loss_bbox(boxes, wanted, weight=trust, avg_factor=1.0) / total,
            "loss_dfl": self.distribution_loss(logits, bbox2distance(points, wanted, self.reg_max), trust) / total,
        }

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
        distances = self.integral(output["box"][image, index]) * self.strides_of(output, index)
        boxes: Tensor = self.bbox_coder.decode(
            _centers(output.image_priors(image)[index]), distances, max_shape=max_shape
        )
        return boxes


def _centers(boxes: Tensor) -> Tensor:
    return bbox_xyxy_to_cxcywh(boxes)[:, :2]
