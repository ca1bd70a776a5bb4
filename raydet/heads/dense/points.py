"""Heads without anchors: a point in the middle of every cell, and two towers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import nn

from raydet.heads.dense.defaults import FOCAL_LOSS, SIDES_CODER
from raydet.heads.dense.towers import conv_tower

IOU_LOSS = {"type": "IoULoss", "loss_weight": 1.0}


class PointTowers:
    """What a `DenseHead` on points adds: mix it in before that class.

    Args:
        num_classes: `K`, without background.
        in_channels: of the feature maps.
        stacked_convs: depth of the towers.
        strides: pixels per cell of each level.
        dcn_on_last_conv: the last convolution of each tower is deformable.
        conv_bias: biases of the towers' convolutions; `auto` where there is no normalisation.
        loss_cls: part or dict.
        loss_bbox: part or dict.
        bbox_coder: part or dict.
        point_offset: where the point of a cell is, in cells.
        **kwargs: see `DenseHead`; an `anchor_generator` stands in for the points.
    """

    learns_in_padding = True
    in_channels: int
    feat_channels: int
    stacked_convs: int
    conv_cfg: Any
    norm_cfg: Any

    def __init__(
        self,
        num_classes: int,
        in_channels: int,
        stacked_convs: int = 4,
        strides: Sequence[int] = (4, 8, 16, 32, 64),
        dcn_on_last_conv: bool = False,
        conv_bias: bool | str = "auto",
        loss_cls: Any = FOCAL_LOSS,
        loss_bbox: Any = IOU_LOSS,
        bbox_coder: Any = SIDES_CODER,
        point_offset: float = 0.5,
        **kwargs: Any,
    ) -> None:
        self.conv_bias = conv_bias
        self.last_conv_cfg = {"type": "DCNv2"} if dcn_on_last_conv else None
        points = {"type": "MlvlPointGenerator", "strides": strides, "offset": point_offset}
        parts = {"loss_cls": loss_cls, "loss_bbox": loss_bbox, "bbox_coder": bbox_coder, "anchor_generator": points}
        super().__init__(num_classes, in_channels, stacked_convs=stacked_convs, **{**parts, **kwargs})  # type: ignore[call-arg]

    def towers(self) -> dict[str, nn.Module]:
        """One tower for classes, one for boxes."""
        return {name: self.tower() for name in ("cls_convs", "reg_convs")}

    def tower(self) -> nn.Module:
        """`stacked_convs` convolutions."""
        sizes = (self.stacked_convs, self.in_channels, self.feat_channels)
        options: dict[str, Any] = {"last_conv_cfg": self.last_conv_cfg, "bias": self.conv_bias}
        return conv_tower(*sizes, self.conv_cfg, self.norm_cfg, **options)
