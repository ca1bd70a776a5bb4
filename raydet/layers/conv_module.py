"""Convolution, normalisation and activation as one module."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.instancenorm import _InstanceNorm
from torch.nn.utils import spectral_norm

from raydet.layers.factory import (
    Cfg,
    build_activation_layer,
    build_conv_layer,
    build_norm_layer,
    build_padding_layer,
)
from raydet.layers.folding import conv_then_norm
from raydet.layers.init_functions import constant_init, kaiming_init

BN: Cfg = {"type": "BN"}
RELU: Cfg = {"type": "ReLU"}
_OWN_PADDING = ("zeros", "circular")  # torch's convolutions pad in these ways themselves


class ConvModule(nn.Module):
    """A convolution followed by a normalisation and an activation, or in another `order`.

    Children are called `conv`, `bn` (`gn`, `ln`, `in`: after the normalisation), `activate` and `padding_layer`.

    Args:
        in_channels: input channels.
        out_channels: output channels.
        kernel_size: size of the kernel.
        stride: stride of the convolution.
        padding: pixels added on each side.
        dilation: spacing of the kernel's taps.
        groups: groups of the convolution.
        bias: True, False or "auto": a bias unless a normalisation follows.
        conv_cfg: type (and more arguments) of the convolution; `nn.Conv2d` when None.
        norm_cfg: the normalisation, or None.
        act_cfg: the activation, or None.
        inplace: whether the activation works in place.
        with_spectral_norm: normalise the weight by its largest singular value (arXiv:1802.05957).
        padding_mode: "zeros", "circular", "reflect", "replicate" or a registered padding layer.
        order: permutation of "conv", "norm" and "act".
    """

    _abbr_ = "conv_block"
    conv: Any

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | tuple[int, ...],
        stride: int | tuple[int, ...] = 1,
        padding: int | tuple[int, ...] = 0,
        dilation: int | tuple[int, ...] = 1,
        groups: int = 1,
        bias: bool | str = "auto",
        conv_cfg: Cfg | None = None,
        norm_cfg: Cfg | None = None,
        act_cfg: Cfg | None = RELU,
        inplace: bool = True,
        with_spectral_norm: bool = False,
        padding_mode: str = "zeros",
        order: Sequence[str] = ("conv", "norm", "act"),
    ) -> None:
        super().__init__()
        _check(order, conv_cfg=conv_cfg, norm_cfg=norm_cfg, act_cfg=act_cfg)
        self.conv_cfg = conv_cfg
        self.norm_cfg = norm_cfg
        self.act_cfg = act_cfg
        self.inplace = inplace
        self.with_spectral_norm = with_spectral_norm
        self.order = tuple(order)
        self._norm_follows = self.order.index("norm") - self.order.index("conv") == 1
        self.with_norm = norm_cfg is not None
        self.with_activation = act_cfg is not None
        self.with_bias = not self.with_norm if bias == "auto" else bool(bias)
        self.with_explicit_padding = padding_mode not in _OWN_PADDING
        if self.with_explicit_padding:
            self.padding_layer = build_padding_layer({"type": padding_mode}, padding)
        self.conv = build_conv_layer(
            conv_cfg,
            in_channels,
            out_channels,
            kernel_size,
            stride=stride,
            padding=0 if self.with_explicit_padding else padding,
            dilation=dilation,
            groups=groups,
            bias=self.with_bias,
            **({"padding_mode": padding_mode} if padding_mode == "circular" else {}),
        )
        self.in_channels: int = self.conv.in_channels
        self.out_channels: int = self.conv.out_channels
        self.kernel_size = self.conv.kernel_size
        self.stride = self.conv.stride
        self.padding = padding
        self.dilation = self.conv.dilation
        self.transposed = self.conv.transposed
        self.output_padding = self.conv.output_padding
        self.groups = self.conv.groups
        if with_spectral_norm:
            self.conv = spectral_norm(self.conv)
        self.norm_name: str | None = None
        if norm_cfg is not None:
            self._add_norm(norm_cfg)
        if act_cfg is not None:
            self.activate = build_activation_layer(act_cfg, inplace)
        self.init_weights()

    def _add_norm(self, norm_cfg: Cfg) -> None:
        after = self.order.index("norm") > self.order.index("conv")
        self.norm_name, norm = build_norm_layer(norm_cfg, self.out_channels if after else self.in_channels)
        self.add_module(self.norm_name, norm)
        if self.with_bias and isinstance(norm, (_BatchNorm, _InstanceNorm)):
            warnings.warn("the bias of a convolution does nothing before batch or instance normalisation")

    @property
    def norm(self) -> nn.Module | None:
        """The normalisation, under whatever name it is registered."""
        return getattr(self, self.norm_name) if self.norm_name else None

    def init_weights(self) -> None:
        """Kaiming for the convolution (unless it initialises itself), one and zero for the normalisation."""
        if not hasattr(self.conv, "init_weights"):
            leaky = self.act_cfg is not None and self.act_cfg["type"] == "LeakyReLU"
            slope = self.act_cfg.get("negative_slope", 0.01) if leaky and self.act_cfg is not None else 0
            kaiming_init(self.conv, a=slope, nonlinearity="leaky_relu" if leaky else "relu")
        if (norm := self.norm) is not None:
            constant_init(norm, 1, bias=0)

    def forward(self, x: Tensor, activate: bool = True, norm: bool = True) -> Tensor:
        """Map `(N, in_channels, H, W)` to `(N, out_channels, h, w)`, if wanted without activation or normalisation."""
        wanted = self.norm if norm else None
        for step in self.order:
            if step == "conv":
                x = self.padding_layer(x) if self.with_explicit_padding else x
                x = conv_then_norm(self.conv, wanted, x) if wanted is not None and self._norm_follows else self.conv(x)
            elif step == "norm" and wanted is not None and not self._norm_follows:
                x = wanted(x)
            elif step == "act" and activate and self.with_activation:
                x = self.activate(x)
        return x


def _check(order: Sequence[str], **cfgs: Any) -> None:
    for name, cfg in cfgs.items():
        if cfg is not None and not isinstance(cfg, Mapping):
            raise TypeError(f"{name} must be a dict or None, got {cfg!r}")
    if not isinstance(order, (tuple, list)) or sorted(order) != ["act", "conv", "norm"]:
        raise ValueError(f"order must be a permutation of ('conv', 'norm', 'act'), got {order!r}")


class DepthwiseSeparableConvModule(nn.Module):
    """A depthwise `ConvModule` followed by a pointwise one (arXiv:1704.04861).

    Args:
        in_channels: input channels.
        out_channels: output channels.
        kernel_size: kernel of the depthwise part.
        stride: stride of the depthwise part.
        padding: padding of the depthwise part.
        dilation: dilation of the depthwise part.
        norm_cfg: normalisation of both parts.
        act_cfg: activation of both parts.
        dw_norm_cfg: normalisation of the depthwise part; `norm_cfg` when "default". The next three likewise.
        dw_act_cfg: activation of the depthwise part.
        pw_norm_cfg: normalisation of the pointwise part.
        pw_act_cfg: activation of the pointwise part.
        kwargs: other arguments of both `ConvModule`s; `groups` is not one of them.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | tuple[int, int],
        stride: int | tuple[int, int] = 1,
        padding: int | tuple[int, int] = 0,
        dilation: int | tuple[int, int] = 1,
        norm_cfg: Cfg | None = None,
        act_cfg: Cfg | None = RELU,
        dw_norm_cfg: Cfg | str | None = "default",
        dw_act_cfg: Cfg | str | None = "default",
        pw_norm_cfg: Cfg | str | None = "default",
        pw_act_cfg: Cfg | str | None = "default",
        **kwargs: Any,
    ) -> None:
        super().__init__()
        if "groups" in kwargs:
            raise ValueError("a depthwise separable convolution sets 'groups' itself, do not pass it")

        def either(own: Any, both: Cfg | None) -> Any:
            return both if own == "default" else own

        self.depthwise_conv = ConvModule(
            in_channels,
            in_channels,
            kernel_size,
            stride=stride,
            padding=padding,
            dilation=dilation,
            groups=in_channels,
            norm_cfg=either(dw_norm_cfg, norm_cfg),
            act_cfg=either(dw_act_cfg, act_cfg),
            **kwargs,
        )
        self.pointwise_conv = ConvModule(
            in_channels,
            out_channels,
            1,
            norm_cfg=either(pw_norm_cfg, norm_cfg),
            act_cfg=either(pw_act_cfg, act_cfg),
            **kwargs,
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map `(N, in_channels, H, W)` to `(N, out_channels, h, w)`."""
        out: Tensor = self.pointwise_conv(self.depthwise_conv(x))
        return out
