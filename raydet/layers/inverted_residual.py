"""The inverted residual block of the mobile networks."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from raydet.layers.base_module import BaseModule
from raydet.layers.conv_module import BN, RELU, ConvModule
from raydet.layers.drop import DropPath
from raydet.layers.factory import Cfg
from raydet.layers.initializers import InitCfg
from raydet.layers.recompute import recompute
from raydet.layers.squeeze_excitation import SELayer


class InvertedResidual(BaseModule):
    """Expand by 1x1, filter depthwise, project by 1x1 without activation (arXiv:1801.04381).

    Args:
        in_channels: input channels.
        out_channels: output channels.
        mid_channels: channels of the depthwise convolution.
        kernel_size: its kernel.
        stride: its stride, 1 or 2.
        se_cfg: arguments of a `SELayer` after it, or None.
        with_expand_conv: whether there is an expansion; without one `mid_channels` equals `in_channels`.
        conv_cfg: type of the convolutions.
        norm_cfg: normalisation.
        act_cfg: activation.
        drop_path_rate: probability of dropping the branch of a sample.
        with_cp: recompute in the backward pass instead of keeping activations.
        init_cfg: how to initialise.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        mid_channels: int,
        kernel_size: int = 3,
        stride: int = 1,
        se_cfg: Cfg | None = None,
        with_expand_conv: bool = True,
        conv_cfg: Cfg | None = None,
        norm_cfg: Cfg | None = BN,
        act_cfg: Cfg | None = RELU,
        drop_path_rate: float = 0.0,
        with_cp: bool = False,
        init_cfg: InitCfg = None,
    ) -> None:
        super().__init__(init_cfg)
        if stride not in (1, 2):
            raise ValueError(f"stride of an inverted residual must be 1 or 2, got {stride!r}")
        if not with_expand_conv and mid_channels != in_channels:
            raise ValueError(f"without expansion mid_channels ({mid_channels}) must equal in_channels ({in_channels})")
        common: dict[str, Any] = {"conv_cfg": conv_cfg, "norm_cfg": norm_cfg}
        self.with_res_shortcut = stride == 1 and in_channels == out_channels
        self.with_cp = with_cp
        self.with_se = se_cfg is not None
        self.with_expand_conv = with_expand_conv
        self.drop_path = DropPath(drop_path_rate) if drop_path_rate > 0 else nn.Identity()
        if with_expand_conv:
            self.expand_conv = ConvModule(in_channels, mid_channels, 1, act_cfg=act_cfg, **common)
        self.depthwise_conv = ConvModule(
            mid_channels,
            mid_channels,
            kernel_size,
            stride=stride,
            padding=kernel_size // 2,
            groups=mid_channels,
            act_cfg=act_cfg,
            **common,
        )
        if se_cfg is not None:
            self.se = SELayer(**se_cfg)
        self.linear_conv = ConvModule(mid_channels, out_channels, 1, act_cfg=None, **common)

    def _inner(self, x: Tensor) -> Tensor:
        out: Tensor = self.expand_conv(x) if self.with_expand_conv else x
        out = self.depthwise_conv(out)
        if self.with_se:
            out = self.se(out)
        out = self.linear_conv(out)
        if self.with_res_shortcut:
            out = x + self.drop_path(out)
        return out

    def forward(self, x: Tensor) -> Tensor:
        """Map `(N, in_channels, H, W)` to `(N, out_channels, H / stride, W / stride)`."""
        return recompute(self._inner, x, self.with_cp)
