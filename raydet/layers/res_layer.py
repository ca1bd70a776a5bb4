"""Stages of residual blocks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import nn

from raydet.layers.base_module import Sequential
from raydet.layers.conv_module import BN
from raydet.layers.factory import Cfg, build_conv_layer, build_norm_layer
from raydet.layers.folding import ConvNormChain
from raydet.layers.residual import BasicBlock, Bottleneck


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
        opening: other arguments of the block that changes the size.
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
        opening: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        outplanes = planes * block.expansion
        changes = stride != 1 or inplanes != outplanes
        shortcut = _shortcut(inplanes, outplanes, stride, avg_down, conv_cfg, norm_cfg) if changes else None
        changing = {"stride": stride, "downsample": shortcut, **(opening or {})}
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
    return ConvNormChain(*layers, conv, build_norm_layer(norm_cfg, outplanes)[1])


RESNET_STAGES: dict[Any, tuple[Any, tuple[int, ...]]] = {
    18: (BasicBlock, (2, 2, 2, 2)),
    34: (BasicBlock, (3, 4, 6, 3)),
    50: (Bottleneck, (3, 4, 6, 3)),
    101: (Bottleneck, (3, 4, 23, 3)),
    152: (Bottleneck, (3, 8, 36, 3)),
}
"""Class and number of the blocks of each depth of ResNet."""


def deep_stages(block: Any) -> dict[Any, tuple[Any, tuple[int, ...]]]:
    """The depths of `RESNET_STAGES` that have bottlenecks, with blocks of another class."""
    return {depth: (block, blocks) for depth, (usual, blocks) in RESNET_STAGES.items() if usual is Bottleneck}
