"""Cross stage partial layers."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from raydet.layers.base_module import BaseModule
from raydet.layers.conv_module import ConvModule, DepthwiseSeparableConvModule
from raydet.layers.factory import Cfg
from raydet.layers.initializers import InitCfg

CSP_NORM: Cfg = {"type": "BN", "momentum": 0.03, "eps": 0.001}
CSP_ACT: Cfg = {"type": "Swish"}
# torch's own initialisation of a convolution
CSP_INIT: Cfg = {
    "type": "Kaiming",
    "layer": "Conv2d",
    "a": 5**0.5,
    "distribution": "uniform",
    "mode": "fan_in",
    "nonlinearity": "leaky_relu",
}


class DarknetBottleneck(BaseModule):
    """A 1x1 and a 3x3 convolution, added to the input where shapes agree.

    Args:
        in_channels: input channels.
        out_channels: output channels.
        expansion: hidden channels divided by `out_channels`.
        add_identity: add the input if it has `out_channels`.
        use_depthwise: make the 3x3 convolution depthwise separable.
        conv_cfg: type of the convolutions.
        norm_cfg: normalisation.
        act_cfg: activation.
        init_cfg: how to initialise.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        expansion: float = 0.5,
        add_identity: bool = True,
        use_depthwise: bool = False,
        conv_cfg: Cfg | None = None,
        norm_cfg: Cfg = CSP_NORM,
        act_cfg: Cfg = CSP_ACT,
        init_cfg: InitCfg = None,
    ) -> None:
        super().__init__(init_cfg)
        common: dict[str, Any] = {"conv_cfg": conv_cfg, "norm_cfg": norm_cfg, "act_cfg": act_cfg}
        hidden = int(out_channels * expansion)
        conv = DepthwiseSeparableConvModule if use_depthwise else ConvModule
        self.conv1 = ConvModule(in_channels, hidden, 1, **common)
        self.conv2 = conv(hidden, out_channels, 3, stride=1, padding=1, **common)
        self.add_identity = add_identity and in_channels == out_channels

    def forward(self, x: Tensor) -> Tensor:
        """Map `(N, in_channels, H, W)` to `(N, out_channels, H, W)`."""
        out: Tensor = self.conv2(self.conv1(x))
        return out + x if self.add_identity else out


class CSPLayer(BaseModule):
    """Bottlenecks on half of the channels, beside a shortcut on the other half (arXiv:1911.11929).

    Args:
        in_channels: input channels.
        out_channels: output channels.
        expand_ratio: channels of one half divided by `out_channels`.
        num_blocks: number of bottlenecks.
        add_identity: whether bottlenecks add their input.
        use_depthwise: make their 3x3 convolutions depthwise separable.
        conv_cfg: type of the convolutions.
        norm_cfg: normalisation.
        act_cfg: activation.
        init_cfg: how to initialise.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        expand_ratio: float = 0.5,
        num_blocks: int = 1,
        add_identity: bool = True,
        use_depthwise: bool = False,
        conv_cfg: Cfg | None = None,
        norm_cfg: Cfg = CSP_NORM,
        act_cfg: Cfg = CSP_ACT,
        init_cfg: InitCfg = None,
    ) -> None:
        super().__init__(init_cfg)
        common: dict[str, Any] = {"conv_cfg": conv_cfg, "norm_cfg": norm_cfg, "act_cfg": act_cfg}
        half = int(out_channels * expand_ratio)
        self.main_conv = ConvModule(in_channels, half, 1, **common)
        self.short_conv = ConvModule(in_channels, half, 1, **common)
        self.final_conv = ConvModule(2 * half, out_channels, 1, **common)
        blocks = (DarknetBottleneck(half, half, 1.0, add_identity, use_depthwise, **common) for _ in range(num_blocks))
        self.blocks = nn.Sequential(*blocks)

    def forward(self, x: Tensor) -> Tensor:
        """Map `(N, in_channels, H, W)` to `(N, out_channels, H, W)`."""
        halves = [self.blocks(self.main_conv(x)), self.short_conv(x)]
        out: Tensor = self.final_conv(torch.cat(halves, dim=1))
        return out
