"""Dynamic head: attention over levels, places and tasks."""

from __future__ import annotations

from collections.abc import Sequence

import torch.nn.functional as F
from raydet_ops import ModulatedDeformConv2d
from torch import Tensor, nn

from raydet.layers import (
    BaseModule,
    Cfg,
    DyReLU,
    InitCfg,
    build_activation_layer,
    build_norm_layer,
    constant_init,
    normal_init,
)

_GROUP_NORM: Cfg = {"type": "GN", "num_groups": 16, "requires_grad": True}
_GATE: Cfg = {"type": "HSigmoid", "bias": 3.0, "divisor": 6.0}
# Numbers per place that steer a 3x3 convolution: two for the shift of each tap, then one for its weight.
SHIFTS, TAPS = 18, 9


class DyHead(BaseModule):
    """Blocks of dynamic attention on all levels (arXiv:2106.08322).

    Args:
        in_channels: of the maps.
        out_channels: of the output.
        num_blocks: number of blocks.
        zero_init_offset: the deformable convolutions start as ordinary ones.
        init_cfg: how to initialise.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        num_blocks: int = 6,
        zero_init_offset: bool = True,
        init_cfg: InitCfg = None,
    ) -> None:
        super().__init__(init_cfg)
        self.dyhead_blocks = nn.Sequential(
            *(
                DyHeadBlock(out_channels if block else in_channels, out_channels, zero_init_offset)
                for block in range(num_blocks)
            )
        )

    def forward(self, inputs: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """Map maps `(N, in_channels, H_l, W_l)`, finest first, to `(N, out_channels, H_l, W_l)`."""
        return tuple(self.dyhead_blocks(list(inputs)))


class DyHeadBlock(nn.Module):
    """Every level looks at itself and its neighbours, all at the places that it points to.

    Args:
        in_channels: of the maps.
        out_channels: of the output.
        zero_init_offset: the deformable convolutions start as ordinary ones.
        act_cfg: activation that turns a mean into the weight of a level.
    """

    def __init__(
        self, in_channels: int, out_channels: int, zero_init_offset: bool = True, act_cfg: Cfg = _GATE
    ) -> None:
        super().__init__()
        self.spatial_conv_high = DyDCNv2(in_channels, out_channels)
        self.spatial_conv_mid = DyDCNv2(in_channels, out_channels)
        self.spatial_conv_low = DyDCNv2(in_channels, out_channels, stride=2)
        self.spatial_conv_offset = nn.Conv2d(in_channels, SHIFTS + TAPS, 3, padding=1)
        self.scale_attn_module = nn.Sequential(
            nn.AdaptiveAvgPool2d(1),
            nn.Conv2d(out_channels, 1, 1),
            nn.ReLU(inplace=True),
            build_activation_layer(act_cfg),
        )
        self.task_attn_module = DyReLU(out_channels)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                normal_init(module, 0, 0.01)
        if zero_init_offset:
            constant_init(self.spatial_conv_offset, 0)

    def forward(self, maps: list[Tensor]) -> list[Tensor]:
        """Map all levels `(N, in_channels, H_l, W_l)` to `(N, out_channels, H_l, W_l)`."""
        return [self._attend(maps, level) for level in range(len(maps))]

    def _attend(self, maps: list[Tensor], level: int) -> Tensor:
        """One level from itself, the finer and the coarser one, as far as they exist."""
        size = maps[level].shape[-2:]
        steering = self.spatial_conv_offset(maps[level])
        offset, mask = steering[:, :SHIFTS], steering[:, SHIFTS:].sigmoid()
        seen = [self.spatial_conv_mid(maps[level], offset, mask)]
        if level > 0:
            seen.append(self.spatial_conv_low(maps[level - 1], offset, mask))
        if level < len(maps) - 1:
            coarser = maps[level + 1]
            found = self.spatial_conv_high(coarser, _memory(offset, coarser), _memory(mask, coarser))
            seen.append(F.interpolate(found, size=size, mode="bilinear", align_corners=True))
        weighed = [each * self.scale_attn_module(each) for each in seen]
        out: Tensor = self.task_attn_module(sum(weighed[1:], weighed[0]) / len(seen))
        return out


class DyDCNv2(nn.Module):
    """A 3x3 deformable convolution that is told where to look, and a normalisation.

    Args:
        in_channels: input channels.
        out_channels: output channels.
        stride: of the convolution.
        norm_cfg: normalisation, or None.
    """

    def __init__(
        self, in_channels: int, out_channels: int, stride: int = 1, norm_cfg: Cfg | None = _GROUP_NORM
    ) -> None:
        super().__init__()
        self.conv = ModulatedDeformConv2d(in_channels, out_channels, 3, stride, 1, bias=norm_cfg is None)
        self.norm = nn.Identity() if norm_cfg is None else build_norm_layer(norm_cfg, out_channels)[1]

    def forward(self, x: Tensor, offset: Tensor, mask: Tensor) -> Tensor:
        """Map `(N, in_channels, H, W)` to `(N, out_channels, h, w)`.

        Args:
            x: the map.
            offset: `(N, 18, h, w)` shift of each tap, y then x.
            mask: `(N, 9, h, w)` weight of each tap.
        """
        out: Tensor = self.norm(self.conv(x, offset, mask))
        return out


def _memory(steering: Tensor, coarser: Tensor) -> Tensor:
    """What 2.x steers the convolution of a coarser map with: the memory of `steering`, read in the shape of that map.

    Trained weights rely on it, although no place of `steering` belongs to the place that it then steers.
    """
    num_images, channels = steering.shape[:2]
    height, width = coarser.shape[-2:]
    wanted = channels * height * width
    return steering.flatten(1)[:, :wanted].view(num_images, channels, height, width)
