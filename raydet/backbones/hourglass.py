"""Stacked hourglasses."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn

from raydet.layers import (
    BaseModule,
    BasicBlock,
    Cfg,
    ConvModule,
    InitCfg,
    ModuleList,
    ResLayer,
    init_cfg_with_pretrained,
)

_BN: Cfg = {"type": "BN", "requires_grad": True}
_NEAREST: Cfg = {"mode": "nearest"}


class HourglassModule(BaseModule):
    """Go down `depth` times and up again, with a side path at every size.

    Args:
        depth: how often the size is halved.
        stage_channels: channels at each size, from the largest, at least `depth + 1`.
        stage_blocks: residual blocks at each size.
        norm_cfg: normalisation.
        upsample_cfg: arguments of `torch.nn.functional.interpolate`; to the size of the side path unless it has a
            `scale_factor`.
        init_cfg: how to initialise.
    """

    def __init__(
        self,
        depth: int,
        stage_channels: Sequence[int],
        stage_blocks: Sequence[int],
        norm_cfg: Cfg = _BN,
        upsample_cfg: Cfg = _NEAREST,
        init_cfg: InitCfg = None,
    ) -> None:
        super().__init__(init_cfg)
        here, below = stage_channels[0], stage_channels[1]
        num_blocks = stage_blocks[0]
        self.upsample_cfg = upsample_cfg
        self.up1 = ResLayer(BasicBlock, here, here, num_blocks, norm_cfg=norm_cfg)
        self.low1 = ResLayer(BasicBlock, here, below, num_blocks, stride=2, norm_cfg=norm_cfg)
        self.low2: nn.Module
        if depth > 1:
            self.low2 = HourglassModule(depth - 1, stage_channels[1:], stage_blocks[1:], norm_cfg, upsample_cfg)
        else:
            self.low2 = ResLayer(BasicBlock, below, below, stage_blocks[1], norm_cfg=norm_cfg)
        self.low3 = ResLayer(BasicBlock, below, here, num_blocks, norm_cfg=norm_cfg, downsample_first=False)

    def forward(self, x: Tensor) -> Tensor:
        """Map `(N, stage_channels[0], H, W)` to the same shape."""
        side: Tensor = self.up1(x)
        low = self.low3(self.low2(self.low1(x)))
        size: dict[str, Any] = {} if "scale_factor" in self.upsample_cfg else {"size": side.shape[2:]}
        return side + F.interpolate(low, **size, **self.upsample_cfg)


class HourglassNet(BaseModule):
    """Hourglasses one after the other, each with its own output (arXiv:1603.06937).

    Args:
        downsample_times: depth of one hourglass.
        num_stacks: number of hourglasses.
        stage_channels: channels at each size, at least `downsample_times + 1`.
        stage_blocks: residual blocks at each size, as many.
        feat_channel: output channels.
        norm_cfg: normalisation.
        pretrained: deprecated; a checkpoint to start from.
        init_cfg: how to initialise.
    """

    def __init__(
        self,
        downsample_times: int = 5,
        num_stacks: int = 2,
        stage_channels: Sequence[int] = (256, 256, 384, 384, 384, 512),
        stage_blocks: Sequence[int] = (2, 2, 2, 2, 2, 4),
        feat_channel: int = 256,
        norm_cfg: Cfg = _BN,
        pretrained: str | None = None,
        init_cfg: InitCfg = None,
    ) -> None:
        super().__init__(init_cfg_with_pretrained(init_cfg, pretrained))
        if num_stacks < 1:
            raise ValueError(f"num_stacks must be at least 1, got {num_stacks!r}")
        for name, values in (("stage_channels", stage_channels), ("stage_blocks", stage_blocks)):
            if len(values) <= downsample_times or len(values) != len(stage_channels):
                raise ValueError(f"{name} needs one entry for each of {downsample_times + 1} sizes, got {values!r}")
        self.num_stacks = num_stacks
        width = stage_channels[0]
        self.stem = nn.Sequential(
            ConvModule(3, width // 2, 7, padding=3, stride=2, norm_cfg=norm_cfg),
            ResLayer(BasicBlock, width // 2, width, 1, stride=2, norm_cfg=norm_cfg),
        )
        stacks = range(num_stacks)
        self.hourglass_modules = ModuleList(
            [HourglassModule(downsample_times, stage_channels, stage_blocks, norm_cfg) for _ in stacks]
        )
        self.inters = ResLayer(BasicBlock, width, width, num_stacks - 1, norm_cfg=norm_cfg)
        self.conv1x1s = ModuleList([ConvModule(width, width, 1, norm_cfg=norm_cfg, act_cfg=None) for _ in stacks[1:]])
        self.out_convs = ModuleList([ConvModule(width, feat_channel, 3, padding=1, norm_cfg=norm_cfg) for _ in stacks])
        self.remap_convs = ModuleList(
            [ConvModule(feat_channel, width, 1, norm_cfg=norm_cfg, act_cfg=None) for _ in stacks[1:]]
        )
        self.relu = nn.ReLU(inplace=True)

    def init_weights(self) -> None:
        """Initialise convolutions as torch does, unless weights come from a checkpoint."""
        super().init_weights()
        if not self.init_cfg:
            for module in self.modules():
                if isinstance(module, nn.Conv2d):
                    module.reset_parameters()

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """Map images `(N, 3, H, W)` to the map `(N, feat_channel, H / 4, W / 4)` of each hourglass."""
        outs = []
        x = self.stem(x)
        for index, (hourglass, out_conv) in enumerate(zip(self.hourglass_modules, self.out_convs, strict=True)):
            outs.append(out_conv(hourglass(x)))
            if index < self.num_stacks - 1:
                x = self.conv1x1s[index](x) + self.remap_convs[index](outs[-1])
                x = self.inters[index](self.relu(x))
        return tuple(outs)
