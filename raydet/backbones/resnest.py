"""ResNeSt."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from raydet.backbones.resnet import ResNet
from raydet.layers import (
    BN,
    BaseModule,
    Bottleneck,
    Cfg,
    InitCfg,
    MiddleConv,
    build_conv_layer,
    build_norm_layer,
    conv_then_norm,
    deep_stages,
)


class SplitAttentionConv2d(BaseModule):
    """A convolution to `radix` maps, which are weighed against each other channel by channel and summed.

    Args:
        in_channels: input channels.
        channels: output channels.
        kernel_size: size of the kernel.
        stride: stride.
        padding: pixels added on each side.
        dilation: spacing of the kernel's taps.
        groups: cardinal groups.
        radix: maps that are weighed.
        reduction_factor: the hidden layer has `in_channels * radix / reduction_factor` channels, at least 32.
        conv_cfg: type of the convolution.
        norm_cfg: normalisation.
        init_cfg: how to initialise.
    """

    def __init__(
        self,
        in_channels: int,
        channels: int,
        kernel_size: int,
        stride: int = 1,
        padding: int = 0,
        dilation: int = 1,
        groups: int = 1,
        radix: int = 2,
        reduction_factor: int = 4,
        conv_cfg: Cfg | None = None,
        norm_cfg: Cfg = BN,
        init_cfg: InitCfg = None,
    ) -> None:
        super().__init__(init_cfg)
        self.radix = radix
        self.groups = groups
        hidden = max(in_channels * radix // reduction_factor, 32)
        self.conv = build_conv_layer(
            conv_cfg,
            in_channels,
            channels * radix,
            kernel_size,
            stride=stride,
            padding=padding,
            dilation=dilation,
            groups=groups * radix,
            bias=False,
        )
        self.norm0_name, norm0 = build_norm_layer(norm_cfg, channels * radix, postfix=0)
        self.add_module(self.norm0_name, norm0)
        self.relu = nn.ReLU(inplace=True)
        self.fc1 = nn.Conv2d(channels, hidden, 1, groups=groups)
        self.norm1_name, norm1 = build_norm_layer(norm_cfg, hidden, postfix=1)
        self.add_module(self.norm1_name, norm1)
        self.fc2 = nn.Conv2d(hidden, channels * radix, 1, groups=groups)

    def forward(self, x: Tensor) -> Tensor:
        """Map `(N, in_channels, H, W)` to `(N, channels, h, w)`."""
        x = self.relu(conv_then_norm(self.conv, getattr(self, self.norm0_name), x))
        splits = x.view(len(x), self.radix, -1, *x.shape[-2:])  # (N, radix, channels, h, w)
        mean = splits.sum(dim=1).mean((-2, -1), keepdim=True)
        hidden = self.relu(getattr(self, self.norm1_name)(self.fc1(mean)))
        out: Tensor = (self._weights(self.fc2(hidden)) * splits).sum(dim=1)
        return out

    def _weights(self, scores: Tensor) -> Tensor:
        """Turn `(N, groups * radix * C, 1, 1)` into weights `(N, radix, groups * C, 1, 1)`, whose sum is 1."""
        if self.radix == 1:
            return scores.sigmoid().unsqueeze(1)
        scores = scores.view(len(scores), self.groups, self.radix, -1, 1, 1).transpose(1, 2)
        return scores.softmax(dim=1).flatten(2, 3)


class SplitAttentionBottleneck(Bottleneck):
    """Bottleneck with split attention in its middle.

    Args:
        radix: see `SplitAttentionConv2d`.
        reduction_factor: see `SplitAttentionConv2d`.
        avg_down_stride: stride by average pooling after the attention instead of in the convolution.
    """

    def _add_middle(
        self, middle: MiddleConv, radix: int = 2, reduction_factor: int = 4, avg_down_stride: bool = True
    ) -> None:
        pools = avg_down_stride and middle.stride > 1
        self.conv2 = SplitAttentionConv2d(
            middle.channels,
            middle.channels,
            3,
            stride=1 if pools else middle.stride,
            padding=middle.dilation,
            dilation=middle.dilation,
            groups=middle.groups,
            radix=radix,
            reduction_factor=reduction_factor,
            conv_cfg=middle.conv_cfg,
            norm_cfg=middle.norm_cfg,
        )
        self.avd_layer = nn.AvgPool2d(3, middle.stride, padding=1) if pools else nn.Identity()

    def _middle(self, x: Tensor) -> Tensor:
        out: Tensor = self.avd_layer(self.conv2(x))
        return out


class ResNeSt(ResNet):
    """ResNet with split attention (arXiv:2004.08955), a deep stem and average pooling in its shortcuts.

    Args:
        groups: cardinal groups of the 3x3 convolutions.
        base_width: width of one group in the first stage; for `groups > 1`.
        radix: maps that are weighed against each other.
        reduction_factor: how much smaller the hidden layer of the attention is.
        avg_down_stride: stride by average pooling instead of in the 3x3 convolution.
        kwargs: arguments of `ResNet` but `deep_stem` and `avg_down`; `depth` is 50, 101, 152 or 200.
    """

    arch_settings = deep_stages(SplitAttentionBottleneck) | {200: (SplitAttentionBottleneck, (3, 24, 36, 3))}

    def __init__(
        self,
        groups: int = 1,
        base_width: int = 4,
        radix: int = 2,
        reduction_factor: int = 4,
        avg_down_stride: bool = True,
        **kwargs: Any,
    ) -> None:
        self.groups = groups
        self.base_width = base_width
        self.radix = radix
        self.reduction_factor = reduction_factor
        self.avg_down_stride = avg_down_stride
        super().__init__(deep_stem=True, avg_down=True, **kwargs)

    def stage_options(self, index: int) -> dict[str, Any]:
        """Groups and attention."""
        return {
            "groups": self.groups,
            "base_width": self.base_width,
            "base_channels": self.base_channels,
            "radix": self.radix,
            "reduction_factor": self.reduction_factor,
            "avg_down_stride": self.avg_down_stride,
        }
