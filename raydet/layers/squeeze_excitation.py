"""Squeeze-and-excitation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

import torch.nn.functional as F
from torch import Tensor

from raydet.layers.base_module import BaseModule
from raydet.layers.conv_module import RELU, ConvModule
from raydet.layers.factory import Cfg
from raydet.layers.initializers import InitCfg


class SELayer(BaseModule):
    """Weigh the channels by a small network of their means (arXiv:1709.01507).

    Args:
        channels: channels of input and output.
        ratio: the hidden layer has `channels / ratio` channels.
        conv_cfg: type of the 1x1 convolutions.
        act_cfg: the two activations; one dict serves both.
        init_cfg: how to initialise.
    """

    outputs: ClassVar[int] = 1
    """Numbers made for each channel."""

    def __init__(
        self,
        channels: int,
        ratio: float = 16,
        conv_cfg: Cfg | None = None,
        act_cfg: Cfg | Sequence[Cfg] = (RELU, {"type": "Sigmoid"}),
        init_cfg: InitCfg = None,
    ) -> None:
        super().__init__(init_cfg)
        squeeze, excite = (act_cfg, act_cfg) if isinstance(act_cfg, Mapping) else tuple(act_cfg)
        hidden = int(channels / ratio)
        self.conv1 = ConvModule(channels, hidden, 1, conv_cfg=conv_cfg, act_cfg=squeeze)
        self.conv2 = ConvModule(hidden, self.outputs * channels, 1, conv_cfg=conv_cfg, act_cfg=excite)

    def of_means(self, x: Tensor) -> Tensor:
        """What the network makes of the means of `(N, C, H, W)`: `(N, outputs * C, 1, 1)`."""
        excited: Tensor = self.conv2(self.conv1(F.adaptive_avg_pool2d(x, 1)))
        return excited

    def forward(self, x: Tensor) -> Tensor:
        """Scale `(N, C, H, W)` channel by channel."""
        return x * self.of_means(x)
