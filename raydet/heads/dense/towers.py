"""Convolutions that stand before the predictors of a head."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import nn

from raydet.layers import ConvModule


def conv_tower(
    num_convs: int,
    in_channels: int,
    out_channels: int,
    conv_cfg: Any = None,
    norm_cfg: Any = None,
    last_conv_cfg: Any = None,
    conv: Callable[..., nn.Module] = ConvModule,
    **options: Any,
) -> nn.Sequential:
    """`num_convs` 3x3 blocks; the first changes the number of channels, the last may be of another type.

    Unlike raydet's own `Sequential` this one leaves how its blocks start to the head.
    """
    return nn.Sequential(
        *(
            conv(
                out_channels if i else in_channels,
                out_channels,
                3,
                padding=1,
                conv_cfg=last_conv_cfg if last_conv_cfg and i == num_convs - 1 else conv_cfg,
                norm_cfg=norm_cfg,
                **options,
            )
            for i in range(num_convs)
        )
    )
