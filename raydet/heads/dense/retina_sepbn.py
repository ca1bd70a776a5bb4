"""RetinaNet's head with normalisations of its own on every level."""

from __future__ import annotations

from typing import Any

from torch import nn

from raydet.heads.dense.base import DenseHead
from raydet.heads.dense.output import Predictor
from raydet.heads.dense.retina import ANCHORS, INIT
from raydet.heads.dense.towers import conv_tower


class RetinaSepBNHead(DenseHead):
    """Levels share the convolutions of the towers, but not what normalises them (arXiv:1904.07392).

    Args:
        num_classes: `K`, without background.
        num_ins: number of levels.
        in_channels: of the feature maps.
        stacked_convs: depth of each tower.
        conv_cfg: convolution of the towers.
        norm_cfg: normalisation of the towers.
        init_cfg: weight initialisation; None lets classes start at probability 0.01.
        **kwargs: see `DenseHead`.
    """

    def __init__(
        self,
        num_classes: int,
        num_ins: int,
        in_channels: int,
        stacked_convs: int = 4,
        conv_cfg: Any = None,
        norm_cfg: Any = None,
        init_cfg: Any = None,
        **kwargs: Any,
    ) -> None:
        self.num_ins = num_ins
        layers = {"stacked_convs": stacked_convs, "conv_cfg": conv_cfg, "norm_cfg": norm_cfg}
        options = {"anchor_generator": ANCHORS, **kwargs}
        super().__init__(num_classes, in_channels, init_cfg=init_cfg or INIT, **layers, **options)

    def towers(self) -> dict[str, nn.Module]:
        return {name: self._towers_of_levels() for name in ("cls_convs", "reg_convs")}

    def _towers_of_levels(self) -> nn.ModuleList:
        sizes = (self.stacked_convs, self.in_channels, self.feat_channels, self.conv_cfg, self.norm_cfg)
        first, *others = (conv_tower(*sizes) for _ in range(self.num_ins))
        for tower in others:
            for block, source in zip(tower, first, strict=True):
                block.conv = source.conv
        return nn.ModuleList([first, *others])

    def predictors(self) -> tuple[Predictor, ...]:
        return (
            Predictor("retina_cls", "cls", self.cls_out_channels, tower="cls_convs"),
            Predictor("retina_reg", "box", 4, tower="reg_convs"),
        )
