"""Res2Net."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from raydet.backbones.resnet import ResNet
from raydet.layers import Bottleneck, InitCfg, MiddleConv, ModuleList, build_norm_layer, conv_then_norm, deep_stages


class Bottle2neck(Bottleneck):
    """Bottleneck whose middle is a ladder of 3x3 convolutions on slices of the channels.

    The number of slices is the `groups` of a `Bottleneck`. The last slice passes unchanged, or pooled.

    Args:
        inplanes: input channels.
        planes: output channels divided by 4.
        opens_stage: whether it is the first block of a stage, whose slices do not see each other.
        kwargs: other arguments of `Bottleneck`.
    """

    def __init__(self, inplanes: int, planes: int, opens_stage: bool = False, **kwargs: Any) -> None:
        super().__init__(inplanes, planes, **kwargs)
        middle = self._ladder
        self.opens_stage = opens_stage
        self.convs = ModuleList([middle.build() for _ in range(self.scales - 1)])
        self.bns = ModuleList([build_norm_layer(middle.norm_cfg, middle.channels)[1] for _ in self.convs])
        pools = opens_stage and middle.stride != 1
        self.pool = nn.AvgPool2d(3, stride=middle.stride, padding=1) if pools else nn.Identity()

    def _add_middle(self, middle: MiddleConv) -> None:
        """Only remember it: in 2.x weights the ladder stands at the end of the block."""
        self.scales = middle.groups
        self._ladder = replace(middle, channels=middle.channels // middle.groups, groups=1)

    def _middle(self, x: Tensor) -> Tensor:
        *slices, last = x.chunk(self.scales, dim=1)
        done: list[Tensor] = []
        for part, conv, norm in zip(slices, self.convs, self.bns, strict=True):
            carried = part if self.opens_stage or not done else part + done[-1]
            done.append(self.relu(conv_then_norm(conv, norm, carried.contiguous())))
        return torch.cat([*done, self.pool(last)], dim=1)


class Res2Net(ResNet):
    """ResNet whose bottlenecks see several scales (arXiv:1904.01169); `deep_stem` and `avg_down` are always on.

    Args:
        scales: slices of a bottleneck, at least 2.
        base_width: channels of a slice in the first stage.
        style: of no effect; strides lie in the 3x3 convolutions.
        deep_stem: of no effect.
        avg_down: of no effect.
        pretrained: deprecated; a checkpoint to start from.
        init_cfg: how to initialise.
        kwargs: other arguments of `ResNet`; `depth` is 50, 101 or 152.
    """

    arch_settings = deep_stages(Bottle2neck)

    def __init__(
        self,
        scales: int = 4,
        base_width: int = 26,
        style: str = "pytorch",
        deep_stem: bool = True,
        avg_down: bool = True,
        pretrained: str | None = None,
        init_cfg: InitCfg = None,
        **kwargs: Any,
    ) -> None:
        if scales < 2:
            raise ValueError(f"scales of a Res2Net must be at least 2, got {scales!r}")
        self.scales = scales
        self.base_width = base_width
        super().__init__(deep_stem=True, avg_down=True, pretrained=pretrained, init_cfg=init_cfg, **kwargs)

    def stage_options(self, index: int) -> dict[str, Any]:
        """Number and width of the slices."""
        return {
            "groups": self.scales,
            "base_width": self.base_width,
            "base_channels": self.base_channels,
            "opening": {"opens_stage": True},
        }
