"""Cells that merge two feature maps, as NAS-FPN (arXiv:1904.07392) and NAS-FCOS (arXiv:1906.04423) compose them."""

from __future__ import annotations

import math
from abc import abstractmethod
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from raydet.layers.conv_module import ConvModule
from raydet.layers.factory import Cfg

_OUT_CONV: Cfg = {"groups": 1, "kernel_size": 3, "padding": 1, "bias": True}


class BaseMergeCell(nn.Module):
    """Bring two maps to one size, merge them (`_binary_op`) and convolve the result.

    Args:
        fused_channels: channels of the merged map.
        out_channels: channels of the inputs' convolutions and of the output.
        with_out_conv: whether the merged map is convolved.
        out_conv_cfg: arguments of that convolution.
        out_norm_cfg: its normalisation, or None.
        out_conv_order: order of "act", "conv" and "norm" in it.
        with_input1_conv: whether the first map is convolved before.
        with_input2_conv: whether the second one is.
        input_conv_cfg: type of these convolutions; `nn.Conv2d` when None.
        input_norm_cfg: their normalisation, or None.
        upsample_mode: "nearest" or "bilinear".
    """

    def __init__(
        self,
        fused_channels: int | None = 256,
        out_channels: int | None = 256,
        with_out_conv: bool = True,
        out_conv_cfg: Cfg = _OUT_CONV,
        out_norm_cfg: Cfg | None = None,
        out_conv_order: tuple[str, ...] = ("act", "conv", "norm"),
        with_input1_conv: bool = False,
        with_input2_conv: bool = False,
        input_conv_cfg: Cfg | None = None,
        input_norm_cfg: Cfg | None = None,
        upsample_mode: str = "nearest",
    ) -> None:
        super().__init__()
        if upsample_mode not in ("nearest", "bilinear"):
            raise ValueError(f"upsample_mode must be 'nearest' or 'bilinear', got {upsample_mode!r}")
        self.upsample_mode = upsample_mode
        self.with_out_conv = with_out_conv
        self.with_input1_conv = with_input1_conv
        self.with_input2_conv = with_input2_conv
        if with_out_conv:
            channels = (_known(fused_channels, "in_channels"), _known(out_channels, "out_channels"))
            self.out_conv = ConvModule(*channels, **out_conv_cfg, norm_cfg=out_norm_cfg, order=out_conv_order)
        self.input1_conv, self.input2_conv = (
            _input_conv(_known(out_channels, "out_channels"), input_conv_cfg, input_norm_cfg)
            if wanted
            else nn.Sequential()
            for wanted in (with_input1_conv, with_input2_conv)
        )

    @abstractmethod
    def _binary_op(self, x1: Tensor, x2: Tensor) -> Tensor:
        """Merge two maps of one size."""

    def forward(self, x1: Tensor, x2: Tensor, out_size: tuple[int, int] | None = None) -> Tensor:
        """Merge `(N, C, h1, w1)` and `(N, C, h2, w2)` at `out_size`, or at the larger of their sizes."""
        if x1.shape[:2] != x2.shape[:2]:
            raise ValueError(f"both maps must have the same images and channels, got {x1.shape} and {x2.shape}")
        height, width = max(x1.shape[2:], x2.shape[2:]) if out_size is None else out_size
        x1 = self._resize(self.input1_conv(x1), (height, width))
        x2 = self._resize(self.input2_conv(x2), (height, width))
        merged = self._binary_op(x1, x2)
        return self.out_conv(merged) if self.with_out_conv else merged

    def _resize(self, x: Tensor, size: tuple[int, int]) -> Tensor:
        """Enlarge by interpolation, or shrink by the maximum of whole blocks of pixels, padded with zeros."""
        now = (x.shape[2], x.shape[3])
        if now == size:
            return x
        if now < size:
            return F.interpolate(x, size=size, mode=self.upsample_mode)
        block = [math.ceil(old / new) for old, new in zip(now, size, strict=True)]
        rows, columns = (b * new - old for b, new, old in zip(block, size, now, strict=True))
        if rows or columns:
            x = F.pad(x, (columns // 2, columns - columns // 2, rows // 2, rows - rows // 2))
        return F.max_pool2d(x, block, block)


def _known(channels: int | None, name: str) -> int:
    if channels is None:
        raise ValueError(f"a cell with convolutions needs a number as {name}, got None")
    return channels


def _input_conv(channels: int, conv_cfg: Cfg | None, norm_cfg: Cfg | None) -> nn.Module:
    return ConvModule(channels, channels, 3, padding=1, conv_cfg=conv_cfg, norm_cfg=norm_cfg, bias=True)


class SumCell(BaseMergeCell):
    """Sum of both maps. Other arguments are those of `BaseMergeCell`.

    Args:
        in_channels: channels of the inputs.
        out_channels: channels of the output.
    """

    def __init__(self, in_channels: int, out_channels: int, **kwargs: Any) -> None:
        super().__init__(in_channels, out_channels, **kwargs)

    def _binary_op(self, x1: Tensor, x2: Tensor) -> Tensor:
        return x1 + x2


class ConcatCell(BaseMergeCell):
    """Both maps one behind the other. Other arguments are those of `BaseMergeCell`.

    Args:
        in_channels: channels of each input.
        out_channels: channels of the output.
    """

    def __init__(self, in_channels: int, out_channels: int, **kwargs: Any) -> None:
        super().__init__(in_channels * 2, out_channels, **kwargs)

    def _binary_op(self, x1: Tensor, x2: Tensor) -> Tensor:
        return torch.cat([x1, x2], dim=1)


class GlobalPoolingCell(BaseMergeCell):
    """The second map plus the first, weighed by the second's mean per channel.

    Other arguments are those of `BaseMergeCell`.

    Args:
        in_channels: channels of the inputs; may be None where nothing is convolved.
        out_channels: channels of the output; likewise.
    """

    def __init__(self, in_channels: int | None = None, out_channels: int | None = None, **kwargs: Any) -> None:
        super().__init__(in_channels, out_channels, **kwargs)
        self.global_pool = nn.AdaptiveAvgPool2d((1, 1))

    def _binary_op(self, x1: Tensor, x2: Tensor) -> Tensor:
        attention: Tensor = self.global_pool(x2).sigmoid()
        return x2 + attention * x1
