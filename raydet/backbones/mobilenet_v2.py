"""MobileNetV2."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn

from raydet.backbones.chain import ChainBackbone, check_indices
from raydet.layers import (
    BN,
    Cfg,
    ConvModule,
    InitCfg,
    InvertedResidual,
    init_cfg_with_pretrained,
    make_divisible,
)

# expansion, channels, blocks, stride of each stage
_STAGES = (
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)
_RELU6: Cfg = {"type": "ReLU6"}
_INIT: InitCfg = (
    {"type": "Kaiming", "layer": "Conv2d"},
    {"type": "Constant", "val": 1, "layer": ["_BatchNorm", "GroupNorm"]},
)


class MobileNetV2(ChainBackbone):
    """Stages of inverted residuals (arXiv:1801.04381).

    Children: `conv1`, `layer1` ... `layer7`, `conv2`; index 7 of the outputs is `conv2`.

    Args:
        widen_factor: factor of the channel numbers.
        out_indices: which of the 8 maps to return.
        frozen_stages: `conv1` and so many stages are held still; -1 for none.
        conv_cfg: type of the convolutions.
        norm_cfg: normalisation.
        act_cfg: activation.
        norm_eval: keep batch normalisations in eval mode.
        with_cp: recompute in the backward pass instead of keeping activations.
        pretrained: deprecated; a checkpoint to start from.
        init_cfg: how to initialise.
    """

    def __init__(
        self,
        widen_factor: float = 1.0,
        out_indices: Sequence[int] = (1, 2, 4, 7),
        frozen_stages: int = -1,
        conv_cfg: Cfg | None = None,
        norm_cfg: Cfg = BN,
        act_cfg: Cfg = _RELU6,
        norm_eval: bool = False,
        with_cp: bool = False,
        pretrained: str | None = None,
        init_cfg: InitCfg = None,
    ) -> None:
        init_cfg = init_cfg_with_pretrained(init_cfg, pretrained, _INIT)
        super().__init__(out_indices, frozen_stages, norm_eval, init_cfg)
        check_indices("out_indices", self.out_indices, 0, 7)
        check_indices("frozen_stages", [frozen_stages], -1, 7)
        common: dict[str, Any] = {"conv_cfg": conv_cfg, "norm_cfg": norm_cfg, "act_cfg": act_cfg}
        channels = make_divisible(32 * widen_factor, 8)
        self.conv1 = ConvModule(3, channels, 3, stride=2, padding=1, **common)
        self.layers: list[str] = []
        for index, (expansion, width, num_blocks, stride) in enumerate(_STAGES, start=1):
            width = make_divisible(width * widen_factor, 8)
            blocks = [
                InvertedResidual(
                    channels if block == 0 else width,
                    width,
                    mid_channels=round((channels if block == 0 else width) * expansion),
                    stride=stride if block == 0 else 1,
                    with_expand_conv=expansion != 1,
                    with_cp=with_cp,
                    **common,
                )
                for block in range(num_blocks)
            ]
            channels = width
            self.layers.append(f"layer{index}")
            self.add_module(f"layer{index}", nn.Sequential(*blocks))
        self.conv2 = ConvModule(channels, int(1280 * max(widen_factor, 1.0)), 1, **common)
        self.layers.append("conv2")
        self.hold_still()

    def chain(self) -> Sequence[nn.Module]:
        """`layer1` ... `layer7` and `conv2`."""
        return [getattr(self, name) for name in self.layers]

    def frozen(self) -> Sequence[nn.Module]:
        """`conv1` and the first stages."""
        return [self.conv1, *super().frozen()] if self.frozen_stages >= 0 else []

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """Map images `(N, 3, H, W)` to the maps of `out_indices`, finest first."""
        return super().forward(self.conv1(x))
