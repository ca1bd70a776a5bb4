"""Residual blocks: `relu(branch(x) + shortcut(x))`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from raydet.layers.base_module import BaseModule
from raydet.layers.conv_module import BN
from raydet.layers.factory import Cfg, build_conv_layer, build_norm_layer, build_plugin_layer
from raydet.layers.folding import conv_then_norm
from raydet.layers.initializers import InitCfg
from raydet.layers.recompute import recompute


def _norm_property(index: int) -> Any:
    """The normalisation after convolution `index`, under whatever name it is registered."""
    return property(lambda block: getattr(block, getattr(block, f"norm{index}_name")))


def add_conv(block: nn.Module, index: int, conv: nn.Module, norm_cfg: Cfg, channels: int) -> None:
    """Register `conv<index>` and its normalisation, whose name is kept as `norm<index>_name`."""
    name, norm = build_norm_layer(norm_cfg, channels, postfix=index)
    block.add_module(f"conv{index}", conv)
    block.add_module(name, norm)
    setattr(block, f"norm{index}_name", name)


def conv_norm(block: nn.Module, index: int, x: Tensor) -> Tensor:
    """Apply `conv<index>` and its normalisation."""
    return conv_then_norm(getattr(block, f"conv{index}"), getattr(block, getattr(block, f"norm{index}_name")), x)


class BasicBlock(BaseModule):
    """Two 3x3 convolutions (arXiv:1512.03385).

    Args:
        inplanes: input channels.
        planes: output channels.
        stride: stride of the first convolution.
        dilation: dilation of the first convolution.
        downsample: maps the input to the shape of the output; identity when None.
        style: of no effect here.
        with_cp: recompute in the backward pass instead of keeping activations.
        conv_cfg: type of the convolutions.
        norm_cfg: normalisation.
        dcn: must be None.
        plugins: must be None.
        init_cfg: how to initialise.
    """

    expansion = 1
    norm1 = _norm_property(1)
    norm2 = _norm_property(2)

    def __init__(
        self,
        inplanes: int,
        planes: int,
        stride: int = 1,
        dilation: int = 1,
        downsample: nn.Module | None = None,
        style: str = "pytorch",
        with_cp: bool = False,
        conv_cfg: Cfg | None = None,
        norm_cfg: Cfg = BN,
        dcn: Cfg | None = None,
        plugins: Sequence[Cfg] | None = None,
        init_cfg: InitCfg = None,
    ) -> None:
        super().__init__(init_cfg)
        if dcn is not None or plugins is not None:
            raise ValueError("depths 18 and 34 have basic blocks, which take neither dcn nor plugins; use 50 or deeper")
        self.with_cp = with_cp
        first = build_conv_layer(
            conv_cfg, inplanes, planes, 3, stride=stride, padding=dilation, dilation=dilation, bias=False
        )
        add_conv(self, 1, first, norm_cfg, planes)
        add_conv(self, 2, build_conv_layer(conv_cfg, planes, planes, 3, padding=1, bias=False), norm_cfg, planes)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = downsample

    def _sum(self, x: Tensor) -> Tensor:
        out = conv_norm(self, 2, self.relu(conv_norm(self, 1, x)))
        out += x if self.downsample is None else self.downsample(x)
        return out

    def forward(self, x: Tensor) -> Tensor:
        """Map `(N, inplanes, H, W)` to `(N, planes, H / stride, W / stride)`."""
        out: Tensor = self.relu(recompute(self._sum, x, self.with_cp))
        return out


@dataclass(frozen=True)
class MiddleConv:
    """The 3x3 convolution of a bottleneck, not built yet: blocks of other kinds make theirs from it.

    Attributes:
        channels: of input and output.
        stride: 1 or the stride of the block.
        dilation: spacing of the taps, and the padding.
        groups: of channels.
        conv_cfg: type of the convolution, deformable or not.
        norm_cfg: normalisation that follows.
    """

    channels: int
    stride: int
    dilation: int
    groups: int
    conv_cfg: Cfg | None
    norm_cfg: Cfg

    def build(self) -> nn.Module:
        """The convolution."""
        shape = {"stride": self.stride, "padding": self.dilation, "dilation": self.dilation}
        groups = {"groups": self.groups} if self.groups > 1 else {}
        return build_conv_layer(self.conv_cfg, self.channels, self.channels, 3, **shape, **groups, bias=False)


class Bottleneck(BaseModule):
    """1x1, 3x3 and 1x1 convolutions (arXiv:1512.03385), grouped ones (arXiv:1611.05431), plug-ins in between.

    A bottleneck with something else in its middle overrides `_add_middle` and `_middle`.

    Args:
        inplanes: input channels.
        planes: output channels divided by `expansion`.
        stride: stride of the 3x3 convolution, or of the first one in "caffe" style.
        dilation: dilation of the 3x3 convolution.
        downsample: maps the input to the shape of the output; identity when None.
        style: "pytorch" or "caffe".
        with_cp: recompute in the backward pass instead of keeping activations.
        conv_cfg: type of the convolutions.
        norm_cfg: normalisation.
        dcn: type of the 3x3 convolution when it is a deformable one; `fallback_on_stride=True` makes it ordinary.
        plugins: dicts with `cfg` and `position` ("after_conv1", "after_conv2", "after_conv3").
        groups: groups of the 3x3 convolution.
        base_width: width of one group where `planes` equals `base_channels`; for `groups > 1`.
        base_channels: see `base_width`.
        middle_cfg: type of the 3x3 convolution, whatever `conv_cfg` and `dcn` say.
        init_cfg: how to initialise.
        options: what `_add_middle` takes besides the convolution.
    """

    expansion = 4
    norm1 = _norm_property(1)
    norm2 = _norm_property(2)
    norm3 = _norm_property(3)

    def __init__(
        self,
        inplanes: int,
        planes: int,
        stride: int = 1,
        dilation: int = 1,
        downsample: nn.Module | None = None,
        style: str = "pytorch",
        with_cp: bool = False,
        conv_cfg: Cfg | None = None,
        norm_cfg: Cfg = BN,
        dcn: Cfg | None = None,
        plugins: Sequence[Cfg] | None = None,
        groups: int = 1,
        base_width: int = 4,
        base_channels: int = 64,
        middle_cfg: Cfg | None = None,
        init_cfg: InitCfg = None,
        **options: Any,
    ) -> None:
        super().__init__(init_cfg)
        if style not in ("pytorch", "caffe"):
            raise ValueError(f"style must be 'pytorch' or 'caffe', got {style!r}")
        width = planes if groups == 1 else int(planes * (base_width / base_channels)) * groups
        outplanes = planes * self.expansion
        strides = (1, stride) if style == "pytorch" else (stride, 1)
        self.with_cp = with_cp
        first = build_conv_layer(conv_cfg, inplanes, width, 1, stride=strides[0], bias=False)
        add_conv(self, 1, first, norm_cfg, width)
        kind = _kind_of_middle(conv_cfg, dcn) if middle_cfg is None else middle_cfg
        self._add_middle(MiddleConv(width, strides[1], dilation, groups, kind, norm_cfg), **options)
        add_conv(self, 3, build_conv_layer(conv_cfg, width, outplanes, 1, bias=False), norm_cfg, outplanes)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = downsample
        channels = {"after_conv1": width, "after_conv2": width, "after_conv3": outplanes}
        self._plugins: dict[str, list[str]] = {position: [] for position in channels}
        for plugin in plugins or ():
            self._add_plugin(plugin, channels)

    def _add_middle(self, middle: MiddleConv) -> None:
        add_conv(self, 2, middle.build(), middle.norm_cfg, middle.channels)

    def _middle(self, x: Tensor) -> Tensor:
        out: Tensor = self.relu(conv_norm(self, 2, x))
        return out

    def _add_plugin(self, plugin: Cfg, channels: Mapping[str, int]) -> None:
        position, cfg = plugin["position"], dict(plugin["cfg"])
        if position not in channels:
            raise ValueError(f"position of a plugin must be one of {list(channels)}, got {position!r}")
        name, layer = build_plugin_layer(cfg, cfg.pop("postfix", ""), in_channels=channels[position])
        if hasattr(self, name):
            raise ValueError(f"two plugins of a block are called {name!r}; give one of them a 'postfix'")
        self.add_module(name, layer)
        self._plugins[position].append(name)

    def _plug(self, position: str, x: Tensor) -> Tensor:
        for name in self._plugins[position]:
            x = getattr(self, name)(x)
        return x

    def _sum(self, x: Tensor) -> Tensor:
        out = self._plug("after_conv1", self.relu(conv_norm(self, 1, x)))
        out = self._plug("after_conv2", self._middle(out))
        out = self._plug("after_conv3", conv_norm(self, 3, out))
        out += x if self.downsample is None else self.downsample(x)
        return out

    def forward(self, x: Tensor) -> Tensor:
        """Map `(N, inplanes, H, W)` to `(N, planes * expansion, H / stride, W / stride)`."""
        out: Tensor = self.relu(recompute(self._sum, x, self.with_cp))
        return out


def _kind_of_middle(conv_cfg: Cfg | None, dcn: Cfg | None) -> Cfg | None:
    if dcn is None or dcn.get("fallback_on_stride", False):
        return conv_cfg
    if conv_cfg is not None:
        raise ValueError(f"conv_cfg must be None where dcn is used, got {conv_cfg!r}")
    return {key: value for key, value in dcn.items() if key != "fallback_on_stride"}
