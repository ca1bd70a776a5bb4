"""Dynamic ReLU."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from raydet.layers.conv_module import RELU
from raydet.layers.factory import Cfg
from raydet.layers.initializers import InitCfg
from raydet.layers.squeeze_excitation import SELayer

_GATE: Cfg = {"type": "HSigmoid", "bias": 3.0, "divisor": 6.0}


class DyReLU(SELayer):
    """The larger of two lines whose slopes and offsets depend on the map's means, per channel (arXiv:2003.10027).

    Args:
        channels: channels of input and output.
        ratio: the hidden layer has `channels / ratio` channels.
        conv_cfg: type of the 1x1 convolutions.
        act_cfg: the two activations; one dict serves both. The second has values in [0, 1].
        init_cfg: how to initialise.
    """

    outputs = 4

    def __init__(
        self,
        channels: int,
        ratio: float = 4,
        conv_cfg: Cfg | None = None,
        act_cfg: Cfg | Sequence[Cfg] = (RELU, _GATE),
        init_cfg: InitCfg = None,
    ) -> None:
        super().__init__(channels, ratio, conv_cfg, act_cfg, init_cfg)

    def forward(self, x: Tensor) -> Tensor:
        """Map `(N, C, H, W)` to the same shape."""
        slope1, offset1, slope2, offset2 = (self.of_means(x) - 0.5).chunk(4, dim=1)
        return (x * (2 * slope1 + 1) + offset1).maximum(x * 2 * slope2 + offset2)
