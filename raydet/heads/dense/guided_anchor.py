"""The heads with guided anchors: plain, RetinaNet's, and one that proposes regions."""

from __future__ import annotations

from typing import Any

import torch
from raydet_ops import nms
from torch import Tensor, nn

from raydet.heads.dense.adaption import FeatureAdaption
from raydet.heads.dense.base import DenseHead
from raydet.heads.dense.guided_anchors import INIT, GuidedAnchors
from raydet.heads.dense.output import DenseOutput, Predictor
from raydet.heads.dense.proposals import Proposals, check_one_class, suppress_per_level
from raydet.heads.dense.towers import conv_tower
from raydet.heads.settings import Prediction

RARE = [{"type": "Normal", "name": name, "std": 0.01, "bias_prob": 0.01} for name in ("conv_loc", "retina_cls")]
RETINA_INIT = {"type": "Normal", "layer": "Conv2d", "std": 0.01, "override": RARE}


class GuidedAnchorHead(GuidedAnchors, DenseHead):
    """Boxes from anchors that are predicted themselves (arXiv:1901.03278)."""


class GARetinaHead(GuidedAnchors, DenseHead):
    """RetinaNet's towers with guided anchors.

    Args:
        num_classes: `K`, without background.
        in_channels: of the feature maps.
        stacked_convs: depth of each tower.
        conv_cfg: convolution of the towers.
        norm_cfg: normalisation of the towers.
        init_cfg: weight initialisation; None starts locations and classes at probability 0.01.
        **kwargs: see `GuidedAnchors`.
    """

    feature_adaption_cls: nn.Module
    feature_adaption_reg: nn.Module
    retina_cls: nn.Module
    retina_reg: nn.Module

    def __init__(
        self,
        num_classes: int,
        in_channels: int,
        stacked_convs: int = 4,
        conv_cfg: Any = None,
        norm_cfg: Any = None,
        init_cfg: Any = None,
        **kwargs: Any,
    ) -> None:
        layers = {"stacked_convs": stacked_convs, "conv_cfg": conv_cfg, "norm_cfg": norm_cfg}
        init_cfg = RETINA_INIT if init_cfg is None else init_cfg
        super().__init__(num_classes, in_channels, init_cfg=init_cfg, **layers, **kwargs)

    def towers(self) -> dict[str, nn.Module]:
        sizes = (self.stacked_convs, self.in_channels, self.feat_channels, self.conv_cfg, self.norm_cfg)
        channels = (self.feat_channels, self.feat_channels)
        return {
            "cls_convs": conv_tower(*sizes),
            "reg_convs": conv_tower(*sizes),
            "feature_adaption_cls": FeatureAdaption(*channels, deform_groups=self.deform_groups),
            "feature_adaption_reg": FeatureAdaption(*channels, deform_groups=self.deform_groups),
        }

    def predictors(self) -> tuple[Predictor, ...]:
        return (
            Predictor("retina_cls", "cls", self.cls_out_channels, tower="feature_adaption_cls"),
            Predictor("retina_reg", "box", 4, tower="feature_adaption_reg"),
            Predictor("conv_shape", "shape", 2, tower="reg_convs", kernel=1),
            Predictor("conv_loc", "loc", 1, tower="cls_convs", kernel=1),
        )

    def forward_level(self, feature: Tensor, level: int) -> tuple[Tensor, ...]:
        classes, boxes = (self.run_tower(name, feature, level) for name in ("cls_convs", "reg_convs"))
        shape = self.conv_shape(boxes)
        adapted = (self.feature_adaption_cls(classes, shape.detach()), self.feature_adaption_reg(boxes, shape.detach()))
        return self.retina_cls(adapted[0]), self.retina_reg(adapted[1]), shape, self.conv_loc(classes)


class GARPNHead(Proposals, GuidedAnchors, DenseHead):
    """Region proposals from guided anchors.

    `test_cfg` may have `nms_post`, proposals kept per level, and `nms_across_levels`, to suppress once more.

    Args:
        in_channels: of the feature maps.
        init_cfg: weight initialisation.
        num_classes: always 1, object.
        **kwargs: see `GuidedAnchors`.

    Raises:
        ValueError: `num_classes` is not 1.
    """

    shape_name = "loss_anchor_shape"
    loc_name = "loss_anchor_loc"
    rpn_conv: nn.Module

    def __init__(self, in_channels: int, init_cfg: Any = INIT, num_classes: int = 1, **kwargs: Any) -> None:
        check_one_class(num_classes)
        super().__init__(num_classes, in_channels, init_cfg=init_cfg, **kwargs)

    def towers(self) -> dict[str, nn.Module]:
        return {"rpn_conv": nn.Conv2d(self.in_channels, self.feat_channels, 3, padding=1), **super().towers()}

    def forward_level(self, feature: Tensor, level: int) -> tuple[Tensor, ...]:
        return super().forward_level(self.rpn_conv(feature).relu(), level)

    def objectness(self, output: DenseOutput) -> Tensor:
        """`(N, R)` probability of an object, -1 at unlikely places."""
        return super().objectness(output).masked_fill(~self.likely(output), -1)

    def suppress(self, boxes: Tensor, scores: Tensor, levels: Tensor, config: Prediction) -> Tensor:
        likely = scores >= 0
        dets, levels = suppress_per_level(boxes[likely], scores[likely], levels[likely], config)
        dets = dets[_rank_within(levels) < config.extra.get("nms_post", len(dets))]
        if config.extra.get("nms_across_levels", False) and len(dets) > 0:
            assert config.nms is not None
            dets, _ = nms(dets[:, :4], dets[:, 4], config.nms["iou_threshold"])
        return dets[: config.max_per_img] if config.max_per_img > 0 else dets


def _rank_within(levels: Tensor) -> Tensor:
    """`(r,)` how many entries of the same level come before each."""
    place = torch.arange(len(levels), device=levels.device)
    earlier = (levels[:, None] == levels) & (place < place[:, None])
    return earlier.sum(dim=1)
