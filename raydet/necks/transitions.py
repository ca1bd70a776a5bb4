"""What leads from one map of a feature pyramid grid to another."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn

from raydet.layers import BaseModule, Cfg, ConvModule, InitCfg


class UpInterpolationConv(BaseModule):
    """Enlarge, then convolve.

    Args:
        in_channels: input channels.
        out_channels: output channels.
        scale_factor: how much larger the result is.
        mode: of the interpolation.
        kernel_size: of the convolution, padded to keep the size.
        init_cfg: how to initialise.
        kwargs: other arguments of the `ConvModule`.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        scale_factor: float = 2,
        mode: str = "nearest",
        kernel_size: int = 3,
        init_cfg: InitCfg = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(init_cfg)
        self.scale_factor = scale_factor
        self.mode = mode
        self.conv = ConvModule(in_channels, out_channels, kernel_size, padding=(kernel_size - 1) // 2, **kwargs)

    def forward(self, x: Tensor) -> Tensor:
        """Map `(N, in_channels, H, W)` to `(N, out_channels, s H, s W)`."""
        out: Tensor = self.conv(F.interpolate(x, scale_factor=self.scale_factor, mode=self.mode))
        return out


class LastConv(BaseModule):
    """Convolve the map of the last pathway.

    Args:
        in_channels: input channels.
        out_channels: output channels.
        num_inputs: how many pathways there are, the first included.
        kernel_size: of the convolution, padded to keep the size.
        init_cfg: how to initialise.
        kwargs: other arguments of the `ConvModule`.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        num_inputs: int,
        kernel_size: int = 3,
        init_cfg: InitCfg = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(init_cfg)
        self.num_inputs = num_inputs
        self.conv_out = ConvModule(in_channels, out_channels, kernel_size, padding=(kernel_size - 1) // 2, **kwargs)

    def forward(self, inputs: Sequence[Tensor]) -> Tensor:
        """Map the maps `(N, in_channels, H, W)` of one level in all pathways to `(N, out_channels, H, W)`."""
        out: Tensor = self.conv_out(inputs[-1])
        return out


TRANSITIONS: dict[str, Callable[..., nn.Module]] = {
    "conv": ConvModule,
    "interpolation_conv": UpInterpolationConv,
    "last_conv": LastConv,
    "identity": nn.Identity,
}


def build_transition(cfg: Cfg, in_channels: int, out_channels: int, **extra: Any) -> nn.Module:
    """The transition that `cfg` (`type` and arguments) describes; `extra` are more arguments.

    Raises:
        ValueError: unknown type.
    """
    options = {key: value for key, value in cfg.items() if key != "type"}
    if cfg["type"] not in TRANSITIONS:
        raise ValueError(f"the type of a transition must be one of {list(TRANSITIONS)}, got {cfg['type']!r}")
    return TRANSITIONS[cfg["type"]](in_channels, out_channels, **options, **extra)
