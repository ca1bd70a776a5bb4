"""RetinaNet's head."""

from __future__ import annotations

from typing import Any

from raydet.heads.dense.base import DenseHead
from raydet.heads.dense.output import Predictor

ANCHORS = {
    "type": "AnchorGenerator",
    "octave_base_scale": 4,
    "scales_per_octave": 3,
    "ratios": [0.5, 1.0, 2.0],
    "strides": [8, 16, 32, 64, 128],
}
INIT = {
    "type": "Normal",
    "layer": "Conv2d",
    "std": 0.01,
    "override": {"type": "Normal", "name": "retina_cls", "std": 0.01, "bias_prob": 0.01},
}


class RetinaTowers:
    """What a `DenseHead` with RetinaNet's layers adds: mix it in before that class.

    Args:
        num_classes: `K`, without background.
        in_channels: of the feature maps.
        stacked_convs: depth of each tower.
        conv_cfg: convolution of the towers.
        norm_cfg: normalisation of the towers; None for none.
        anchor_generator: part or dict.
        init_cfg: weight initialisation; classes start at probability 0.01.
        **kwargs: see `DenseHead`.
    """

    cls_out_channels: int

    def __init__(
        self,
        num_classes: int,
        in_channels: int,
        stacked_convs: int = 4,
        conv_cfg: Any = None,
        norm_cfg: Any = None,
        anchor_generator: Any = ANCHORS,
        init_cfg: Any = INIT,
        **kwargs: Any,
    ) -> None:
        layers = {"stacked_convs": stacked_convs, "conv_cfg": conv_cfg, "norm_cfg": norm_cfg}
        parts = {"anchor_generator": anchor_generator, "init_cfg": init_cfg}
        super().__init__(num_classes, in_channels, **parts, **layers, **kwargs)  # type: ignore[call-arg]

    def predictors(self) -> tuple[Predictor, ...]:
        """Classes and boxes of every anchor."""
        return (
            Predictor("retina_cls", "cls", self.cls_out_channels, tower="cls_convs"),
            Predictor("retina_reg", "box", 4, tower="reg_convs"),
        )


class RetinaHead(RetinaTowers, DenseHead):
    """Two towers of convolutions over all levels, for classes and for boxes (arXiv:1708.02002)."""
