"""Darknet."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from torch import Tensor, nn

from raydet.backbones.chain import ChainBackbone, check_indices
from raydet.layers import BaseModule, Cfg, ConvModule, InitCfg, init_cfg_with_pretrained

_BN: Cfg = {"type": "BN", "requires_grad": True}
_LEAKY_RELU: Cfg = {"type": "LeakyReLU", "negative_slope": 0.1}
_INIT: InitCfg = (
    {"type": "Kaiming", "layer": "Conv2d"},
    {"type": "Constant", "val": 1, "layer": ["_BatchNorm", "GroupNorm"]},
)


class ResBlock(BaseModule):
    """`x + conv3x3(conv1x1(x))` with half the channels in between.

    Args:
        in_channels: channels of input and output, an even number.
        conv_cfg: type of the convolutions.
        norm_cfg: normalisation.
        act_cfg: activation.
        init_cfg: how to initialise.
    """

    def __init__(
        self,
        in_channels: int,
        conv_cfg: Cfg | None = None,
        norm_cfg: Cfg = _BN,
        act_cfg: Cfg = _LEAKY_RELU,
        init_cfg: InitCfg = None,
    ) -> None:
        super().__init__(init_cfg)
        common: dict[str, Any] = {"conv_cfg": conv_cfg, "norm_cfg": norm_cfg, "act_cfg": act_cfg}
        self.conv1 = ConvModule(in_channels, in_channels // 2, 1, **common)
        self.conv2 = ConvModule(in_channels // 2, in_channels, 3, padding=1, **common)

    def forward(self, x: Tensor) -> Tensor:
        """Map `(N, C, H, W)` to the same shape."""
        out: Tensor = x + self.conv2(self.conv1(x))
        return out


class Darknet(ChainBackbone):
    """The backbone of YOLOv3 (arXiv:1804.02767).

    Children: `conv1`, `conv_res_block1` ... `conv_res_block5`; index 0 of the outputs is `conv1`.

    Args:
        depth: 53.
        out_indices: which of the 6 maps to return, strides 1 to 32.
        frozen_stages: so many children are held still, `conv1` included; -1 for none.
        conv_cfg: type of the convolutions.
        norm_cfg: normalisation.
        act_cfg: activation.
        norm_eval: keep batch normalisations in eval mode.
        pretrained: deprecated; a checkpoint to start from.
        init_cfg: how to initialise.
    """

    # number of residual blocks of each stage
    arch_settings: ClassVar[dict[int, tuple[int, ...]]] = {53: (1, 2, 8, 8, 4)}

    def __init__(
        self,
        depth: int = 53,
        out_indices: Sequence[int] = (3, 4, 5),
        frozen_stages: int = -1,
        conv_cfg: Cfg | None = None,
        norm_cfg: Cfg = _BN,
        act_cfg: Cfg = _LEAKY_RELU,
        norm_eval: bool = True,
        pretrained: str | None = None,
        init_cfg: InitCfg = None,
    ) -> None:
        init_cfg = init_cfg_with_pretrained(init_cfg, pretrained, _INIT)
        super().__init__(out_indices, frozen_stages, norm_eval, init_cfg)
        if depth not in self.arch_settings:
            raise ValueError(f"Darknet has no depth {depth!r}; depths are {sorted(self.arch_settings)}")
        stages = self.arch_settings[depth]
        check_indices("out_indices", self.out_indices, 0, len(stages))
        check_indices("frozen_stages", [frozen_stages], -1, len(stages) + 1)
        self.depth = depth
        common: dict[str, Any] = {"conv_cfg": conv_cfg, "norm_cfg": norm_cfg, "act_cfg": act_cfg}
        self.conv1 = ConvModule(3, 32, 3, padding=1, **common)
        self.cr_blocks = ["conv1"]
        for index, num_blocks in enumerate(stages):
            self.cr_blocks.append(f"conv_res_block{index + 1}")
            stage = self.make_conv_res_block(32 * 2**index, 64 * 2**index, num_blocks, **common)
            self.add_module(self.cr_blocks[-1], stage)
        self.hold_still()

    @staticmethod
    def make_conv_res_block(in_channels: int, out_channels: int, res_repeat: int, **common: Any) -> nn.Sequential:
        """A convolution that halves the size (`conv`), and residual blocks (`res0`, ...)."""
        stage = nn.Sequential()
        stage.add_module("conv", ConvModule(in_channels, out_channels, 3, stride=2, padding=1, **common))
        for index in range(res_repeat):
            stage.add_module(f"res{index}", ResBlock(out_channels, **common))
        return stage

    def chain(self) -> Sequence[nn.Module]:
        """`conv1` and the stages."""
        return [getattr(self, name) for name in self.cr_blocks]
