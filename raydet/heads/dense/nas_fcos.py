"""NAS-FCOS: FCOS with towers that a search has found."""

from __future__ import annotations

from typing import Any

from torch import nn

from raydet.heads.dense.base import DenseHead
from raydet.heads.dense.fcos import FcosBoxes
from raydet.layers import ConvModule

INIT = [
    {"type": "Caffe2Xavier", "layer": ["ConvModule", "Conv2d"]},
    {
        "type": "Normal",
        "std": 0.01,
        "override": [
            {"name": "conv_reg"},
            {"name": "conv_centerness"},
            {"name": "conv_cls", "type": "Normal", "std": 0.01, "bias_prob": 0.01},
        ],
    },
]
DEFORMABLE = {"kernel_size": 3, "padding": 1, "bias": True, "conv_cfg": {"type": "DCNv2", "deform_groups": 2}}
PLAIN = {"kernel_size": 3, "padding": 1, "bias": False}
POINTWISE = {"kernel_size": 1, "bias": False}


class NASFCOSHead(FcosBoxes, DenseHead):
    """FCOS' head with deformable and plain convolutions in the order that a search has found (arXiv:1906.04423).

    Args:
        *args: see `FcosBoxes`.
        init_cfg: weight initialisation; None for the one of the paper.
        **kwargs: see `FcosBoxes`; `stacked_convs` and `dcn_on_last_conv` are without effect.
    """

    def __init__(self, *args: Any, init_cfg: Any = None, **kwargs: Any) -> None:
        super().__init__(*args, **{**kwargs, "init_cfg": INIT if init_cfg is None else init_cfg})

    def tower(self) -> nn.Module:
        channels = (self.in_channels, *3 * (self.feat_channels,))
        blocks: list[dict[str, Any]] = [DEFORMABLE, PLAIN, DEFORMABLE, POINTWISE]
        return nn.Sequential(
            *(
                ConvModule(entering, self.feat_channels, norm_cfg=self.norm_cfg, **block)
                for entering, block in zip(channels, blocks, strict=True)
            )
        )
