"""ResNeXt."""

from __future__ import annotations

from typing import Any

from raydet.backbones.resnet import ResNet
from raydet.layers import Bottleneck, deep_stages


class ResNeXt(ResNet):
    """ResNet whose 3x3 convolutions are grouped (arXiv:1611.05431).

    Args:
        groups: number of groups.
        base_width: width of one group in the first stage.
        kwargs: arguments of `ResNet`; `depth` is 50, 101 or 152.
    """

    arch_settings = deep_stages(Bottleneck)

    def __init__(self, groups: int = 1, base_width: int = 4, **kwargs: Any) -> None:
        self.groups = groups
        self.base_width = base_width
        super().__init__(**kwargs)

    def stage_options(self, index: int) -> dict[str, Any]:
        """Width of the groups."""
        return {"groups": self.groups, "base_width": self.base_width, "base_channels": self.base_channels}
