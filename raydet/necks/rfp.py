"""The recursive feature pyramid of DetectoRS."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from raydet.layers import Cfg, InitCfg, constant_init, xavier_init
from raydet.necks.fpn import FPN
from raydet.registry import BACKBONES


class RFP(FPN):
    """A pyramid that its levels are fed back from, into more backbones (arXiv:2006.02334).

    The first of its inputs is the batch of images: backbones that say so (`output_img=True`) return it.

    Args:
        rfp_steps: how many times the images are looked at, the backbone of the detector included.
        rfp_backbone: dict of the other backbones, such as `DetectoRS_ResNet` with `rfp_inplanes`.
        aspp_out_channels: channels of each of the branches between pyramid and backbone.
        aspp_dilations: dilation of each branch; the last one, 1, sees the mean of the map.
        init_cfg: must be None: the backbones may be pretrained.
        kwargs: other arguments of `FPN`.

    Raises:
        ValueError: `init_cfg` is given, or the last dilation is not 1.
    """

    def __init__(
        self,
        rfp_steps: int,
        rfp_backbone: Cfg,
        aspp_out_channels: int,
        aspp_dilations: Sequence[int] = (1, 3, 6, 1),
        init_cfg: InitCfg = None,
        **kwargs: Any,
    ) -> None:
        if init_cfg is not None:
            raise ValueError(f"RFP starts its layers itself; remove init_cfg={init_cfg!r} and give it to rfp_backbone")
        super().__init__(init_cfg=None, **kwargs)
        self.rfp_modules = nn.ModuleList(BACKBONES.build(rfp_backbone) for _ in range(rfp_steps - 1))
        self.rfp_aspp = ASPP(self.out_channels, aspp_out_channels, aspp_dilations)
        self.rfp_weight = nn.Conv2d(self.out_channels, 1, 1)

    def _initialize(self) -> None:
        for conv in (*self.lateral_convs.modules(), *self.fpn_convs.modules()):
            if isinstance(conv, nn.Conv2d):
                xavier_init(conv, distribution="uniform")
        for backbone in self.rfp_modules:
            backbone.init_weights()  # type: ignore[operator]
        constant_init(self.rfp_weight, 0)

    def forward(self, inputs: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """Map images and one `(N, in_channels[l], H_l, W_l)` per level to `num_outs` maps `(N, out_channels, h, w)`."""
        images, maps = inputs[0], super().forward(inputs[1:])
        backbones: Any = self.rfp_modules
        for backbone in backbones:
            fed_back = [maps[0], *(self.rfp_aspp(level) for level in maps[1:])]
            again = super().forward(backbone.rfp_forward(images, fed_back))
            maps = tuple(self._mix(new, old) for new, old in zip(again, maps, strict=True))
        return maps

    def _mix(self, new: Tensor, old: Tensor) -> Tensor:
        share = self.rfp_weight(new).sigmoid()
        mixed: Tensor = share * new + (1 - share) * old
        return mixed


class ASPP(nn.Module):
    """Convolutions of several dilations side by side, and one of the mean of the map (arXiv:1706.05587).

    Args:
        in_channels: of the map.
        out_channels: of each branch.
        dilations: of each branch; the last is 1.
    """

    def __init__(self, in_channels: int, out_channels: int, dilations: Sequence[int] = (1, 3, 6, 1)) -> None:
        super().__init__()
        if dilations[-1] != 1:
            raise ValueError(f"the last of the dilations sees the mean alone and must be 1, got {dilations}")
        self.aspp = nn.ModuleList(
            nn.Conv2d(in_channels, out_channels, 3, padding=dilation, dilation=dilation)
            if dilation > 1
            else nn.Conv2d(in_channels, out_channels, 1)
            for dilation in dilations
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map `(N, in_channels, H, W)` to `(N, len(dilations) * out_channels, H, W)`."""
        *around, last = self.aspp
        mean = last(F.adaptive_avg_pool2d(x, 1)).expand(-1, -1, *x.shape[-2:])
        return torch.cat([*(conv(x) for conv in around), mean], dim=1).relu()
