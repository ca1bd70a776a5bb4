"""SSD: anchors of many shapes on many levels, and negatives mined by their loss."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn

from raydet.assignment.targets import DenseTargets
from raydet.heads.dense.base import DenseHead
from raydet.heads.dense.mining import hardest_loss
from raydet.heads.dense.output import DenseOutput, Predictor
from raydet.heads.dense.pisa import classification_aware, weigh_by_importance
from raydet.heads.dense.towers import conv_tower
from raydet.layers import ConvModule, DepthwiseSeparableConvModule

ANCHORS = {
    "type": "SSDAnchorGenerator",
    "scale_major": False,
    "input_size": 300,
    "strides": [8, 16, 32, 64, 100, 300],
    "ratios": ([2], [2, 3], [2, 3], [2, 3], [2], [2]),
    "basesize_ratio_range": (0.1, 0.9),
}
BOX_CODER = {
    "type": "DeltaXYWHBBoxCoder",
    "clip_border": True,
    "target_means": [0.0, 0.0, 0.0, 0.0],
    "target_stds": [1.0, 1.0, 1.0, 1.0],
}
INIT = {"type": "Xavier", "layer": "Conv2d", "distribution": "uniform", "bias": 0}


class SSDHead(DenseHead):
    """A convolution per level for softmax classes and one for boxes (arXiv:1512.02325).

    Args:
        num_classes: `K`, without background.
        in_channels: of each level.
        stacked_convs: convolutions before the predictors.
        feat_channels: of these.
        use_depthwise: convolve depthwise and pointwise.
        conv_cfg: type of the convolutions before the predictors.
        norm_cfg: their normalisation.
        act_cfg: their activation.
        anchor_generator: part or dict.
        bbox_coder: part or dict.
        reg_decoded_bbox: the box loss compares boxes instead of their codes.
        train_cfg: `assigner`, `neg_pos_ratio` (negatives per positive, 3), `smoothl1_beta` (1), and for PISA `isr`
            and `carl`.
        test_cfg: see `DenseHead`.
        init_cfg: weight initialisation.
    """

    def __init__(
        self,
        num_classes: int = 80,
        in_channels: Sequence[int] = (512, 1024, 512, 256, 256, 256),
        stacked_convs: int = 0,
        feat_channels: int = 256,
        use_depthwise: bool = False,
        conv_cfg: Any = None,
        norm_cfg: Any = None,
        act_cfg: Any = None,
        anchor_generator: Any = ANCHORS,
        bbox_coder: Any = BOX_CODER,
        reg_decoded_bbox: bool = False,
        train_cfg: Mapping[str, Any] | None = None,
        test_cfg: Mapping[str, Any] | None = None,
        init_cfg: Any = INIT,
    ) -> None:
        self.level_channels = tuple(in_channels)
        self.use_depthwise = use_depthwise
        self.act_cfg = act_cfg
        super().__init__(
            num_classes,
            in_channels[0],
            feat_channels,
            stacked_convs,
            conv_cfg,
            norm_cfg,
            anchor_generator,
            bbox_coder,
            reg_decoded_bbox,
            loss_cls={"type": "CrossEntropyLoss"},
            loss_bbox={"type": "SmoothL1Loss", "beta": (train_cfg or {}).get("smoothl1_beta", 1.0)},
            train_cfg=train_cfg,
            test_cfg=test_cfg,
            init_cfg=init_cfg,
        )

    def towers(self) -> dict[str, nn.Module]:
        return {}

    def predictors(self) -> tuple[Predictor, ...]:
        return (
            Predictor("cls_convs", "cls", self.cls_out_channels, per_level=True),
            Predictor("reg_convs", "box", 4, per_level=True),
        )

    def build_predictor(self, predictor: Predictor, level: int) -> nn.Module:
        """The convolutions of one level for one output, those before the last one included."""
        options = {"conv_cfg": self.conv_cfg, "norm_cfg": self.norm_cfg, "act_cfg": self.act_cfg}
        block = DepthwiseSeparableConvModule if self.use_depthwise else ConvModule
        before = self.level_channels[level]
        layers = list(conv_tower(self.stacked_convs, before, self.feat_channels, conv=block, **options))
        channels = self.feat_channels if layers else before
        if self.use_depthwise:
            layers.append(ConvModule(channels, channels, 3, padding=1, groups=channels, **options))
        out_channels = self.prior_generator.num_base_priors[level] * predictor.dims
        kernel = 1 if self.use_depthwise else 3
        return nn.Sequential(*layers, nn.Conv2d(channels, out_channels, kernel, padding=kernel // 2))

    def losses(self, output: DenseOutput, targets: DenseTargets) -> dict[str, Tensor]:
        targets = weigh_by_importance(self, output, targets)
        return {**super().losses(output, targets), **classification_aware(self, output, targets)}

    def class_loss(self, output: DenseOutput, targets: DenseTargets, avg_factor: float | Tensor) -> Tensor:
        """Cross entropy of the positives, and of the negatives of each image that it is highest for."""
        labels = targets.labels
        entropy = F.cross_entropy(output["cls"].flatten(0, 1), labels.flatten(), reduction="none")
        loss = entropy.view_as(labels) * targets.label_weights
        positive = labels < self.num_classes
        wanted = self.training_config.extra.get("neg_pos_ratio", 3) * positive.sum(1)
        return hardest_loss(loss, positive, wanted) / avg_factor
