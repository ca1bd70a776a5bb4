"""EfficientNet."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from torch import Tensor, nn

from raydet.backbones.chain import ChainBackbone, check_indices
from raydet.layers import (
    BN,
    RELU,
    BaseModule,
    Cfg,
    ConvModule,
    DropPath,
    InitCfg,
    InvertedResidual,
    ModuleList,
    SELayer,
    Sequential,
    make_divisible,
    recompute,
    rising_rates,
)

_ADAPTIVE: Cfg = {"type": "Conv2dAdaptivePadding"}
_BN: Cfg = {"type": "BN", "eps": 0.001}
_SWISH: Cfg = {"type": "Swish"}
_INIT: InitCfg = (
    {"type": "Kaiming", "layer": "Conv2d"},
    {"type": "Constant", "val": 1, "layer": ["_BatchNorm", "GroupNorm"]},
)


@dataclass(frozen=True)
class _Blocks:
    """Equal blocks in a row; the first has the stride. `squeeze` divides the input channels for the hidden SE layer."""

    kernel_size: int
    channels: int
    squeeze: int
    stride: int
    expansion: int
    num: int
    edge: bool = False

    def scaled(self, width: float, depth: float) -> _Blocks:
        return replace(self, channels=make_divisible(self.channels * width, 8), num=math.ceil(self.num * depth))


_FAMILIES = {
    "b": (
        _Blocks(3, 16, 4, 1, 1, 1),
        _Blocks(3, 24, 4, 2, 6, 2),
        _Blocks(5, 40, 4, 2, 6, 2),
        _Blocks(3, 80, 4, 2, 6, 3),
        _Blocks(5, 112, 4, 1, 6, 3),
        _Blocks(5, 192, 4, 2, 6, 4),
        _Blocks(3, 320, 4, 1, 6, 1),
    ),
    "e": (
        _Blocks(3, 24, 0, 1, 3, 1, edge=True),
        _Blocks(3, 32, 0, 2, 8, 2, edge=True),
        _Blocks(3, 48, 0, 2, 8, 4, edge=True),
        _Blocks(5, 96, 0, 2, 8, 5),
        _Blocks(5, 144, 0, 1, 8, 4),
        _Blocks(5, 192, 0, 2, 8, 2),
    ),
}
_STEM, _LAST = 32, 1280  # channels of the first and of the last convolution


class EdgeResidual(BaseModule):
    """An inverted residual that expands and filters in one convolution (for edge processors).

    Args:
        in_channels: input channels.
        out_channels: output channels.
        mid_channels: channels after the expansion.
        kernel_size: its kernel.
        stride: its stride.
        se_cfg: arguments of a `SELayer` in between, or None.
        with_residual: add the input where shapes agree.
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
        with_residual: bool = True,
        conv_cfg: Cfg | None = None,
        norm_cfg: Cfg = BN,
        act_cfg: Cfg = RELU,
        drop_path_rate: float = 0.0,
        with_cp: bool = False,
        init_cfg: InitCfg = None,
    ) -> None:
        super().__init__(init_cfg)
        common: dict[str, Any] = {"conv_cfg": conv_cfg, "norm_cfg": norm_cfg}
        self.with_cp = with_cp
        self.with_residual = with_residual and stride == 1 and in_channels == out_channels
        self.drop_path = DropPath(drop_path_rate) if drop_path_rate > 0 else nn.Identity()
        self.conv1 = ConvModule(
            in_channels, mid_channels, kernel_size, stride, padding=kernel_size // 2, act_cfg=act_cfg, **common
        )
        self.se = SELayer(**se_cfg) if se_cfg is not None else nn.Identity()
        self.conv2 = ConvModule(mid_channels, out_channels, 1, act_cfg=None, **common)

    def _inner(self, x: Tensor) -> Tensor:
        out: Tensor = self.conv2(self.se(self.conv1(x)))
        return x + self.drop_path(out) if self.with_residual else out

    def forward(self, x: Tensor) -> Tensor:
        """Map `(N, in_channels, H, W)` to `(N, out_channels, H / stride, W / stride)`."""
        return recompute(self._inner, x, self.with_cp)


class EfficientNet(ChainBackbone):
    """Inverted residuals whose width, depth and resolution grow together (arXiv:1905.11946).

    Its children stand in `layers`: a convolution, the stages, and a last convolution if it is returned.

    Args:
        arch: "b0" ... "b8", or "es", "em", "el" for edge processors.
        drop_path_rate: probability of dropping the last residual branch; it rises evenly from 0.
        out_indices: which of the 7 maps to return.
        frozen_stages: so many children are held still.
        conv_cfg: type of the convolutions.
        norm_cfg: normalisation.
        act_cfg: activation.
        norm_eval: keep batch normalisations in eval mode.
        with_cp: recompute in the backward pass instead of keeping activations.
        init_cfg: how to initialise.
    """

    # factors of width and depth
    arch_settings: ClassVar[dict[str, tuple[float, float]]] = {
        "b0": (1.0, 1.0),
        "b1": (1.0, 1.1),
        "b2": (1.1, 1.2),
        "b3": (1.2, 1.4),
        "b4": (1.4, 1.8),
        "b5": (1.6, 2.2),
        "b6": (1.8, 2.6),
        "b7": (2.0, 3.1),
        "b8": (2.2, 3.6),
        "es": (1.0, 1.0),
        "em": (1.0, 1.1),
        "el": (1.2, 1.4),
    }

    def __init__(
        self,
        arch: str = "b0",
        drop_path_rate: float = 0.0,
        out_indices: Sequence[int] = (6,),
        frozen_stages: int = 0,
        conv_cfg: Cfg = _ADAPTIVE,
        norm_cfg: Cfg = _BN,
        act_cfg: Cfg = _SWISH,
        norm_eval: bool = False,
        with_cp: bool = False,
        init_cfg: InitCfg = _INIT,
    ) -> None:
        super().__init__(out_indices, frozen_stages, norm_eval, init_cfg)
        if arch not in self.arch_settings:
            raise ValueError(f"EfficientNet has no arch {arch!r}; there are {list(self.arch_settings)}")
        width, depth = self.arch_settings[arch]
        stages = _stages([blocks.scaled(width, depth) for blocks in _FAMILIES[arch[0]]])
        check_indices("out_indices", self.out_indices, 0, len(stages) + 1)
        check_indices("frozen_stages", [frozen_stages], 0, len(stages) + 1)
        self.drop_path_rate = drop_path_rate
        self.with_cp = with_cp
        self._common: dict[str, Any] = {"conv_cfg": conv_cfg, "norm_cfg": norm_cfg, "act_cfg": act_cfg}
        channels = make_divisible(_STEM * width, 8)
        self.layers = ModuleList([ConvModule(3, channels, 3, stride=2, padding=1, **self._common)])
        rates = rising_rates(drop_path_rate, [sum(blocks.num for blocks in stage) for stage in stages])
        for stage, own_rates in zip(stages[: max(self.out_indices)], rates, strict=False):
            layers = []
            places = [(blocks, index) for blocks in stage for index in range(blocks.num)]
            for (blocks, index), rate in zip(places, own_rates, strict=True):
                layers.append(self._block(blocks, channels, index, rate))
                channels = blocks.channels
            self.layers.append(Sequential(*layers))
        if max(self.out_indices) > len(stages):
            self.layers.append(ConvModule(channels, make_divisible(_LAST * width, 8), 1, **self._common))
        self.hold_still()

    def _block(self, blocks: _Blocks, in_channels: int, index: int, drop_path_rate: float) -> nn.Module:
        # all but the first edge blocks of the first stage expand by 4 and have no shortcut
        is_plain = blocks.edge and blocks.expansion == 3 and index > 0
        mid_channels = in_channels * (4 if is_plain else blocks.expansion)
        squeeze = {
            "ratio": blocks.expansion * blocks.squeeze,
            "act_cfg": (self._common["act_cfg"], {"type": "Sigmoid"}),
        }
        arguments = {
            "kernel_size": blocks.kernel_size,
            "stride": blocks.stride if index == 0 else 1,
            "se_cfg": {"channels": mid_channels, **squeeze} if blocks.squeeze else None,
            "drop_path_rate": drop_path_rate,
            "with_cp": self.with_cp,
            **self._common,
        }
        if blocks.edge:
            return EdgeResidual(in_channels, blocks.channels, mid_channels, with_residual=not is_plain, **arguments)
        expands = mid_channels != in_channels
        return InvertedResidual(in_channels, blocks.channels, mid_channels, with_expand_conv=expands, **arguments)

    def chain(self) -> Sequence[nn.Module]:
        """The children of `layers`."""
        return list(self.layers)


def _stages(rows: Sequence[_Blocks]) -> list[list[_Blocks]]:
    """Blocks of one size together: all but the first row start a stage only with a stride."""
    stages: list[list[_Blocks]] = []
    for blocks in rows:
        if blocks.stride == 1 and stages:
            stages[-1].append(blocks)
        else:
            stages.append([blocks])
    return stages
