"""Residual blocks of ResNet, and the stages that they form."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from raydet.layers.base_module import BaseModule, Sequential
from raydet.layers.conv_module import BN
from raydet.layers.factory import Cfg, build_conv_layer, build_norm_layer, build_plugin_layer
from raydet.layers.initializers import InitCfg


class ResidualBlock(BaseModule):
    """Base of residual blocks: `relu(branch(x) + shortcut(x))`.

    Subclasses register `conv1`, `conv2`, ... with `_add_conv` and give `_branch`.

    Args:
        with_cp: recompute in the backward pass instead of keeping activations.
        init_cfg: how to initialise.
    """

    downsample: nn.Module | None

    def __init__(self, with_cp: bool = False, init_cfg: InitCfg = None) -> None:
        super().__init__(init_cfg)
        self.with_cp = with_cp

    def _add_conv(self, index: int, conv: nn.Module, norm_cfg: Cfg, channels: int) -> None:
        """Register `conv<index>` and its normalisation, whose name is kept as `norm<index>_name`."""
        name, norm = build_norm_layer(norm_cfg, channels, postfix=index)
        self.add_module(f"conv{index}", conv)
        self.add_module(name, norm)
        setattr(self, f"norm{index}_name", name)

    def _conv_norm(self, index: int, x: Tensor) -> Tensor:
        out: Tensor = getattr(self, getattr(self, f"norm{index}_name"))(getattr(self, f"conv{index}")(x))
        return out

    @property
    def norm1(self) -> nn.Module:
        """Normalisation after the first convolution."""
        return self.get_submodule(str(self.norm1_name))

    @property
    def norm2(self) -> nn.Module:
        """Normalisation after the second convolution."""
        return self.get_submodule(str(self.norm2_name))

    def _branch(self, x: Tensor) -> Tensor:
        raise NotImplementedError

    def _sum(self, x: Tensor) -> Tensor:
        out = self._branch(x)
        out += x if self.downsample is None else self.downsample(x)
        return out

    def forward(self, x: Tensor) -> Tensor:
        """Map `(N, inplanes, H, W)` to `(N, planes * expansion, H / stride, W / stride)`."""
        out = checkpoint(self._sum, x, use_reentrant=False) if self.with_cp and x.requires_grad else self._sum(x)
        return self.relu(out)  # type: ignore[no-any-return, operator]


class BasicBlock(ResidualBlock):
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
        super().__init__(with_cp, init_cfg)
        if dcn is not None or plugins is not None:
            raise ValueError("depths 18 and 34 have basic blocks, which take neither dcn nor plugins; use 50 or deeper")
        first = build_conv_layer(
            conv_cfg, inplanes, planes, 3, stride=stride, padding=dilation, dilation=dilation, bias=False
        )
        self._add_conv(1, first, norm_cfg, planes)
        self._add_conv(2, build_conv_layer(conv_cfg, planes, planes, 3, padding=1, bias=False), norm_cfg, planes)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = downsample

    def _branch(self, x: Tensor) -> Tensor:
        return self._conv_norm(2, self.relu(self._conv_norm(1, x)))


class Bottleneck(ResidualBlock):
    """1x1, 3x3 and 1x1 convolutions (arXiv:1512.03385), grouped ones (arXiv:1611.05431), plug-ins in between.

    Args:
        inplanes: input channels.
        planes: a quarter of the output channels.
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
        init_cfg: how to initialise.
    """

    expansion = 4

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
        init_cfg: InitCfg = None,
    ) -> None:
        super().__init__(with_cp, init_cfg)
        if style not in ("pytorch", "caffe"):
            raise ValueError(f"style must be 'pytorch' or 'caffe', got {style!r}")
        width = planes if groups == 1 else int(planes * (base_width / base_channels)) * groups
        strides = (1, stride) if style == "pytorch" else (stride, 1)
        self.with_dcn = dcn is not None
        self._add_conv(
            1, build_conv_layer(conv_cfg, inplanes, width, 1, stride=strides[0], bias=False), norm_cfg, width
        )
        middle = build_conv_layer(
            _middle_cfg(conv_cfg, dcn),
            width,
            width,
            3,
            stride=strides[1],
            padding=dilation,
            dilation=dilation,
            bias=False,
            **({"groups": groups} if groups > 1 else {}),
        )
        self._add_conv(2, middle, norm_cfg, width)
        last = build_conv_layer(conv_cfg, width, planes * self.expansion, 1, bias=False)
        self._add_conv(3, last, norm_cfg, planes * self.expansion)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = downsample
        channels = {"after_conv1": width, "after_conv2": width, "after_conv3": planes * self.expansion}
        self._plugins: dict[str, list[str]] = {position: [] for position in channels}
        for plugin in plugins or ():
            self._add_plugin(plugin, channels)

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

    @property
    def norm3(self) -> nn.Module:
        """Normalisation after the third convolution."""
        return self.get_submodule(str(self.norm3_name))

    def _branch(self, x: Tensor) -> Tensor:
        x = self._plug("after_conv1", self.relu(self._conv_norm(1, x)))
        x = self._plug("after_conv2", self.relu(self._conv_norm(2, x)))
        return self._plug("after_conv3", self._conv_norm(3, x))


def _middle_cfg(conv_cfg: Cfg | None, dcn: Cfg | None) -> Cfg | None:
    if dcn is None or dcn.get("fallback_on_stride", False):
        return conv_cfg
    if conv_cfg is not None:
        raise ValueError(f"conv_cfg must be None where dcn is used, got {conv_cfg!r}")
    return {key: value for key, value in dcn.items() if key != "fallback_on_stride"}


class ResLayer(Sequential):
    """A stage: residual blocks, of which one (the first, as a rule) changes size and channels.

    Args:
        block: class of the blocks.
        inplanes: input channels.
        planes: channels of a block before its expansion.
        num_blocks: how many.
        stride: stride of the block that changes the size.
        avg_down: shrink the shortcut by average pooling instead of a strided convolution (arXiv:1812.01187).
        conv_cfg: type of the convolutions.
        norm_cfg: normalisation.
        downsample_first: whether the first block changes the size; the last one otherwise.
        kwargs: other arguments of every block.
    """

    def __init__(
        self,
        block: Any,
        inplanes: int,
        planes: int,
        num_blocks: int,
        stride: int = 1,
        avg_down: bool = False,
        conv_cfg: Cfg | None = None,
        norm_cfg: Cfg = BN,
        downsample_first: bool = True,
        **kwargs: Any,
    ) -> None:
        outplanes = planes * block.expansion
        changes = stride != 1 or inplanes != outplanes
        shortcut = _shortcut(inplanes, outplanes, stride, avg_down, conv_cfg, norm_cfg) if changes else None
        changing = {"stride": stride, "downsample": shortcut}
        common = {"conv_cfg": conv_cfg, "norm_cfg": norm_cfg, **kwargs}
        if downsample_first:
            blocks = [block(inplanes, planes, **changing, **common)]
            blocks += [block(outplanes, planes, **common) for _ in range(num_blocks - 1)]
        else:
            blocks = [block(inplanes, inplanes, **common) for _ in range(num_blocks - 1)]
            blocks += [block(inplanes, planes, **changing, **common)]
        super().__init__(*blocks)


def _shortcut(
    inplanes: int, outplanes: int, stride: int, avg_down: bool, conv_cfg: Cfg | None, norm_cfg: Cfg
) -> nn.Sequential:
    layers: list[nn.Module] = []
    if avg_down:
        layers.append(nn.AvgPool2d(stride, stride, ceil_mode=True, count_include_pad=False))
    conv = build_conv_layer(conv_cfg, inplanes, outplanes, 1, stride=1 if avg_down else stride, bias=False)
    return nn.Sequential(*layers, conv, build_norm_layer(norm_cfg, outplanes)[1])


RESNET_STAGES: dict[Any, tuple[Any, tuple[int, ...]]] = {
    18: (BasicBlock, (2, 2, 2, 2)),
    34: (BasicBlock, (3, 4, 6, 3)),
    50: (Bottleneck, (3, 4, 6, 3)),
    101: (Bottleneck, (3, 4, 23, 3)),
    152: (Bottleneck, (3, 8, 36, 3)),
}
"""Class and number of the blocks of each depth of ResNet."""
