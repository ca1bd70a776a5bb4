"""Dynamic ReLU."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch.nn.functional as F
from torch import Tensor

from raydet.layers.base_module import BaseModule
from raydet.layers.conv_module import RELU, ConvModule
from raydet.layers.factory import Cfg
from raydet.layers.initializers import InitCfg

_GATE: Cfg = {"type": "HSigmoid", "bias": 3.0, "divisor": 6.0}


class DyReLU(BaseModule):
    """The larger of two lines whose slopes and offsets depend on the map's means, per channel (arXiv:2003.10027).

    Args:
        channels: channels of input and output.
        ratio: the hidden layer has `channels / ratio` channels.
        conv_cfg: type of the 1x1 convolutions.
        act_cfg: the two activations; one dict serves both. The second has values in [0, 1].
        init_cfg: how to initialise.
    """

    def __init__(
        self,
        channels: int,
        ratio: float = 4,
        conv_cfg: Cfg | None = None,
        act_cfg: Cfg | Sequence[Cfg] = (RELU, _GATE),
        init_cfg: InitCfg = None,
    ) -> None:
        super().__init__(init_cfg)
        squeeze, excite = (act_cfg, act_cfg) if isinstance(act_cfg, Mapping) else tuple(act_cfg)
        hidden = int(channels / ratio)
        self.conv1 = ConvModule(channels, hidden, 1, conv_cfg=conv_cfg, act_cfg=squeeze)
        self.conv2 = ConvModule(hidden, 4 * channels, 1, conv_cfg=conv_cfg, act_cfg=excite)

    def forward(self, x: Tensor) -> Tensor:
        """Map `(N, C, H, W)` to the same shape."""
        shares: Tensor = self.conv2(self.conv1(F.adaptive_avg_pool2d(x, 1))) - 0.5
        slope1, offset1, slope2, offset2 = shares.chunk(4, dim=1)
        return (x * (2 * slope1 + 1) + offset1).maximum(x * 2 * slope2 + offset2)
