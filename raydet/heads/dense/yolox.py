"""YOLOX: boxes from cells, without anchors, assigned at the lowest cost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from raydet.assignment.targets import DenseTargets
from raydet.geometry import bbox_cxcywh_to_xyxy, bbox_overlaps, bbox_xyxy_to_cxcywh
from raydet.heads.dense.base import DenseHead
from raydet.heads.dense.output import DenseOutput, Predictor
from raydet.heads.dense.towers import conv_tower
from raydet.layers import ConvModule, DepthwiseSeparableConvModule, bias_init_with_prob, mean_over_ranks
from raydet.layers.csp import CSP_ACT, CSP_INIT, CSP_NORM
from raydet.registry import LOSSES
from raydet.structures import Detections, GroundTruth, ImageMeta

LOSS_CLS = {"type": "CrossEntropyLoss", "use_sigmoid": True, "reduction": "sum", "loss_weight": 1.0}
LOSS_BBOX = {"type": "IoULoss", "mode": "square", "eps": 1e-16, "reduction": "sum", "loss_weight": 5.0}
LOSS_L1 = {"type": "L1Loss", "reduction": "sum", "loss_weight": 1.0}


class YOLOXHead(DenseHead):
    """Classes and boxes from towers of their own on every level, and whether a cell holds anything (arXiv:2107.08430).

    Predictions are the center's shift from the cell's corner and the logarithm of the size, both in strides.

    Args:
        num_classes: `K`, without background.
        in_channels: of the feature maps.
        feat_channels: of the towers.
        stacked_convs: depth of the towers.
        strides: pixels per cell of each level.
        use_depthwise: towers convolve depthwise and pointwise.
        dcn_on_last_conv: the last convolution of each tower is deformable.
        conv_bias: biases of the towers' convolutions; `auto` where there is no normalisation.
        conv_cfg: convolution of the towers.
        norm_cfg: normalisation of the towers.
        act_cfg: activation of the towers.
        loss_cls: part or dict; learns the overlap of positives with their object.
        loss_bbox: part or dict.
        loss_obj: part or dict.
        loss_l1: part or dict; used once `use_l1` is set.
        train_cfg: `assigner`, `sampler`.
        test_cfg: `score_thr`, `nms`, `max_per_img`.
        init_cfg: weight initialisation.

    Attributes:
        use_l1: also compare boxes' codes; `YOLOXModeSwitchHook` sets it for the last epochs.
    """

    learns_in_padding = True
    multi_level_conv_cls: Any
    multi_level_conv_obj: Any

    def __init__(
        self,
        num_classes: int,
        in_channels: int,
        feat_channels: int = 256,
        stacked_convs: int = 2,
        strides: Sequence[int] = (8, 16, 32),
        use_depthwise: bool = False,
        dcn_on_last_conv: bool = False,
        conv_bias: bool | str = "auto",
        conv_cfg: Any = None,
        norm_cfg: Any = CSP_NORM,
        act_cfg: Any = CSP_ACT,
        loss_cls: Any = LOSS_CLS,
        loss_bbox: Any = LOSS_BBOX,
        loss_obj: Any = LOSS_CLS,
        loss_l1: Any = LOSS_L1,
        train_cfg: Mapping[str, Any] | None = None,
        test_cfg: Mapping[str, Any] | None = None,
        init_cfg: Any = CSP_INIT,
    ) -> None:
        self.tower_options = {
            "conv": DepthwiseSeparableConvModule if use_depthwise else ConvModule,
            "last_conv_cfg": {"type": "DCNv2"} if dcn_on_last_conv else None,
            "act_cfg": act_cfg,
            "bias": conv_bias,
        }
        super().__init__(
            num_classes,
            in_channels,
            feat_channels,
            stacked_convs,
            conv_cfg,
            norm_cfg,
            anchor_generator={"type": "MlvlPointGenerator", "strides": strides, "offset": 0},
            loss_cls=loss_cls,
            loss_bbox=loss_bbox,
            train_cfg=train_cfg,
            test_cfg=test_cfg,
            init_cfg=init_cfg,
        )
        self.loss_obj = LOSSES.build(loss_obj)
        self.loss_l1 = LOSSES.build(loss_l1)
        self.use_l1 = False

    def towers(self) -> dict[str, nn.Module]:
        sizes = (self.stacked_convs, self.in_channels, self.feat_channels, self.conv_cfg, self.norm_cfg)
        levels = range(self.prior_generator.num_levels)
        return {
            name: nn.ModuleList(conv_tower(*sizes, **self.tower_options) for _ in levels)
            for name in ("multi_level_cls_convs", "multi_level_reg_convs")
        }

    def predictors(self) -> tuple[Predictor, ...]:
        cls, reg = "multi_level_cls_convs", "multi_level_reg_convs"
        return (
            Predictor("multi_level_conv_cls", "cls", self.cls_out_channels, tower=cls, kernel=1, per_level=True),
            Predictor("multi_level_conv_reg", "box", 4, tower=reg, kernel=1, per_level=True),
            Predictor("multi_level_conv_obj", "obj", 1, tower=reg, kernel=1, per_level=True),
        )

    def _initialize(self) -> None:
        super()._initialize()
        for conv in (*self.multi_level_conv_cls, *self.multi_level_conv_obj):
            nn.init.constant_(conv.bias, bias_init_with_prob(0.01))

    def flatten(self, maps: tuple[list[Tensor], ...]) -> DenseOutput:
        """Priors become `(R, 4)`: corner of the cell and stride, twice."""
        output = super().flatten(maps)
        strides = self.prior_strides(output)[:, None].expand(-1, 2)
        return replace(output, priors=torch.cat([output.priors, strides], dim=1))

    def assign(
        self, output: DenseOutput, inside: Sequence[Tensor | None], image: int, priors: Tensor, truth: GroundTruth
    ) -> Any:
        with torch.no_grad():
            scores = output["cls"][image].sigmoid() * output["obj"][image].sigmoid()
            boxes = to_boxes(priors, output["box"][image])
            middles = torch.cat([priors[:, :2] + 0.5 * priors[:, 2:], priors[:, 2:]], dim=1)
            return self.assigner.assign(scores, middles, boxes, truth.boxes, truth.labels)

    def losses(self, output: DenseOutput, targets: DenseTargets) -> dict[str, Tensor]:
        rows = targets.positive
        count = mean_over_ranks(len(rows), output.priors).clamp(min=1)
        codes = output.rows("box", rows)
        boxes = to_boxes(targets.priors, codes)
        quality = bbox_overlaps(boxes.detach(), targets.boxes, is_aligned=True)
        classes = F.one_hot(targets.labels.flatten()[rows], self.num_classes) * quality[:, None]
        holds = torch.zeros_like(targets.label_weights).flatten().index_fill(0, rows, 1.0)
        found = {
            "loss_cls": self.loss_cls(output.rows("cls", rows), classes),
            "loss_bbox": self.loss_bbox(boxes, targets.boxes),
            "loss_obj": self.loss_obj(output["obj"].flatten()[:, None], holds[:, None]),
        }
        if self.use_l1:
            found["loss_l1"] = self.loss_l1(codes, to_codes(targets.priors, targets.boxes))
        return {name: value / count for name, value in found.items()}

    def candidates(self, output: DenseOutput, metas: Sequence[ImageMeta]) -> list[Detections]:
        """The likeliest class of every cell that is sure enough; boxes are not clipped."""
        best, labels = output["cls"].sigmoid().max(dim=-1)
        scores = best * output["obj"].sigmoid().squeeze(-1)
        boxes = to_boxes(output.priors, output["box"])
        kept = scores >= self.test_config.score_thr
        return [
            Detections(each[keep], score[keep], label[keep])
            for each, score, label, keep in zip(boxes, scores, labels, kept, strict=True)
        ]


def to_boxes(priors: Tensor, codes: Tensor) -> Tensor:
    """Boxes `(..., 4)` xyxy from priors `(..., 4)` (corner, strides) and what is predicted for them `(..., 4)`."""
    corner, stride = priors[..., :2], priors[..., 2:]
    return bbox_cxcywh_to_xyxy(torch.cat([codes[..., :2] * stride + corner, codes[..., 2:].exp() * stride], dim=-1))


def to_codes(priors: Tensor, boxes: Tensor, eps: float = 1e-8) -> Tensor:
    """What should be predicted for boxes `(P, 4)`; `eps` keeps the logarithm of empty ones finite."""
    truth, stride = bbox_xyxy_to_cxcywh(boxes), priors[:, 2:]
    return torch.cat([(truth[:, :2] - priors[:, :2]) / stride, (truth[:, 2:] / stride + eps).log()], dim=1)
