"""ATSS: positives by each object's own threshold."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from raydet.assignment.candidates import centers
from raydet.assignment.targets import DenseTargets
from raydet.heads.dense.base import DenseHead
from raydet.heads.dense.centerness import centerness
from raydet.heads.dense.defaults import BINARY_LOSS, GROUP_NORM, rare_classes
from raydet.heads.dense.level_assignment import AssignedByLevel
from raydet.heads.dense.output import DenseOutput, Predictor
from raydet.layers import mean_over_ranks
from raydet.registry import LOSSES

INIT = rare_classes("atss_cls")


class AtssLayers:
    """What a `DenseHead` with ATSS' layers adds: mix it in before that class.

    Args:
        num_classes: `K`, without background.
        in_channels: of the feature maps.
        pred_kernel_size: side of the predictors' convolutions.
        stacked_convs: depth of the towers.
        conv_cfg: convolution of the towers.
        norm_cfg: normalisation of the towers.
        reg_decoded_bbox: the box loss compares boxes instead of their codes.
        loss_centerness: part or dict.
        init_cfg: weight initialisation.
        **kwargs: see `DenseHead`.
    """

    cls_out_channels: int

    def __init__(
        self,
        num_classes: int,
        in_channels: int,
        pred_kernel_size: int = 3,
        stacked_convs: int = 4,
        conv_cfg: Any = None,
        norm_cfg: Any = GROUP_NORM,
        reg_decoded_bbox: bool = True,
        loss_centerness: Any = BINARY_LOSS,
        init_cfg: Any = INIT,
        **kwargs: Any,
    ) -> None:
        self.pred_kernel_size = pred_kernel_size
        layers = {"stacked_convs": stacked_convs, "conv_cfg": conv_cfg, "norm_cfg": norm_cfg, "init_cfg": init_cfg}
        super().__init__(num_classes, in_channels, reg_decoded_bbox=reg_decoded_bbox, **layers, **kwargs)  # type: ignore[call-arg]
        self.loss_centerness = LOSSES.build(loss_centerness)

    def predictors(self) -> tuple[Predictor, ...]:
        """Class, box and how central the anchor is."""
        size = self.pred_kernel_size
        return (
            Predictor("atss_cls", "cls", self.cls_out_channels, tower="cls_convs", kernel=size),
            Predictor("atss_reg", "box", 4, tower="reg_convs", kernel=size, scaled=True),
            Predictor("atss_centerness", "centerness", 1, tower="reg_convs", kernel=size),
        )

    def score_factors(self, output: DenseOutput) -> Tensor | None:
        """How central each anchor is."""
        return output["centerness"].sigmoid().squeeze(-1)


class ATSSHead(AssignedByLevel, AtssLayers, DenseHead):
    """Boxes from one anchor per cell, and how central the anchor is in its object (arXiv:1912.02424)."""

    def losses(self, output: DenseOutput, targets: DenseTargets) -> dict[str, Tensor]:
        count = mean_over_ranks(targets.num_pos, output.priors)
        central = centerness(centers(targets.priors), targets.boxes)
        weight = mean_over_ranks(central.sum(), central).clamp(min=1)
        logits = output.rows("centerness", targets.positive).squeeze(-1)
        return {
            "loss_cls": self.class_loss(output, targets, count),
            "loss_bbox": self.box_loss(output, targets, weight, central),
            "loss_centerness": self.loss_centerness(logits, central, avg_factor=count),
        }
