"""The Darknet of YOLOX, of cross stage partial layers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from raydet.backbones.chain import ChainBackbone, check_indices
from raydet.layers import BaseModule, Cfg, ConvModule, CSPLayer, DepthwiseSeparableConvModule, InitCfg
from raydet.layers.csp import CSP_ACT, CSP_INIT, CSP_NORM

Stages = Sequence[Sequence[Any]]


class Focus(nn.Module):
    """Turn each 2x2 square of pixels into channels, then convolve.

    Args:
        in_channels: input channels.
        out_channels: output channels.
        kernel_size: kernel of the convolution.
        stride: stride of the convolution.
        common: other arguments of the `ConvModule`.
    """

    def __init__(
        self, in_channels: int, out_channels: int, kernel_size: int = 1, stride: int = 1, **common: Any
    ) -> None:
        super().__init__()
        padding = (kernel_size - 1) // 2
        self.conv = ConvModule(in_channels * 4, out_channels, kernel_size, stride, padding=padding, **common)

    def forward(self, x: Tensor) -> Tensor:
        """Map `(N, in_channels, H, W)` with even H and W to `(N, out_channels, H / 2, W / 2)`."""
        corners = [x[..., top::2, left::2] for left in (0, 1) for top in (0, 1)]
        out: Tensor = self.conv(torch.cat(corners, dim=1))
        return out


class SPPBottleneck(BaseModule):
    """The maxima around each pixel, over windows of several sizes, beside the map (arXiv:1406.4729).

    Args:
        in_channels: input channels.
        out_channels: output channels.
        kernel_sizes: odd sizes of the windows.
        init_cfg: how to initialise.
        common: other arguments of the two `ConvModule`s.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_sizes: Sequence[int] = (5, 9, 13),
        init_cfg: InitCfg = None,
        **common: Any,
    ) -> None:
        super().__init__(init_cfg)
        half = in_channels // 2
        self.conv1 = ConvModule(in_channels, half, 1, **common)
        self.poolings = nn.ModuleList([nn.MaxPool2d(size, stride=1, padding=size // 2) for size in kernel_sizes])
        self.conv2 = ConvModule(half * (len(kernel_sizes) + 1), out_channels, 1, **common)

    def forward(self, x: Tensor) -> Tensor:
        """Map `(N, in_channels, H, W)` to `(N, out_channels, H, W)`."""
        x = self.conv1(x)
        out: Tensor = self.conv2(torch.cat([x, *(pool(x) for pool in self.poolings)], dim=1))
        return out


class CSPDarknet(ChainBackbone):
    """The backbone of YOLOX (arXiv:2107.08430).

    Children: `stem`, `stage1` ... `stage4`; index 0 of the outputs is `stem`, of stride 2.

    Args:
        arch: "P5" with 4 stages, "P6" with 5.
        deepen_factor: factor of the numbers of blocks.
        widen_factor: factor of the channel numbers.
        out_indices: which maps to return.
        frozen_stages: `stem` and so many stages are held still; -1 for none.
        use_depthwise: make 3x3 convolutions depthwise separable.
        arch_ovewrite: stages instead of those of `arch`: input and output channels, blocks, whether blocks add their
            input, whether there is an `SPPBottleneck`.
        spp_kernal_sizes: windows of the `SPPBottleneck`.
        conv_cfg: type of the convolutions.
        norm_cfg: normalisation.
        act_cfg: activation.
        norm_eval: keep batch normalisations in eval mode.
        init_cfg: how to initialise.
    """

    arch_settings: ClassVar[dict[str, Stages]] = {
        "P5": (
            (64, 128, 3, True, False),
            (128, 256, 9, True, False),
            (256, 512, 9, True, False),
            (512, 1024, 3, False, True),
        ),
        "P6": (
            (64, 128, 3, True, False),
            (128, 256, 9, True, False),
            (256, 512, 9, True, False),
            (512, 768, 3, True, False),
            (768, 1024, 3, False, True),
        ),
    }

    def __init__(
        self,
        arch: str = "P5",
        deepen_factor: float = 1.0,
        widen_factor: float = 1.0,
        out_indices: Sequence[int] = (2, 3, 4),
        frozen_stages: int = -1,
        use_depthwise: bool = False,
        arch_ovewrite: Stages | None = None,
        spp_kernal_sizes: Sequence[int] = (5, 9, 13),
        conv_cfg: Cfg | None = None,
        norm_cfg: Cfg = CSP_NORM,
        act_cfg: Cfg = CSP_ACT,
        norm_eval: bool = False,
        init_cfg: InitCfg = CSP_INIT,
    ) -> None:
        super().__init__(out_indices, frozen_stages, norm_eval, init_cfg)
        if not arch_ovewrite and arch not in self.arch_settings:
            raise ValueError(f"CSPDarknet has no arch {arch!r}; there are {sorted(self.arch_settings)}")
        stages = arch_ovewrite or self.arch_settings[arch]
        check_indices("out_indices", self.out_indices, 0, len(stages))
        check_indices("frozen_stages", [frozen_stages], -1, len(stages))
        common: dict[str, Any] = {"conv_cfg": conv_cfg, "norm_cfg": norm_cfg, "act_cfg": act_cfg}
        self.use_depthwise = use_depthwise
        self.spp_kernal_sizes = tuple(spp_kernal_sizes)
        self.stem = Focus(3, int(stages[0][0] * widen_factor), kernel_size=3, **common)
        self.layers = ["stem"]
        for index, (inputs, outputs, num_blocks, add_identity, use_spp) in enumerate(stages, start=1):
            channels = int(inputs * widen_factor), int(outputs * widen_factor)
            num_blocks = max(round(num_blocks * deepen_factor), 1)
            self.layers.append(f"stage{index}")
            self.add_module(self.layers[-1], self._stage(*channels, num_blocks, add_identity, use_spp, common))
        self.hold_still()

    def _stage(
        self, inputs: int, outputs: int, num_blocks: int, add_identity: bool, use_spp: bool, common: Cfg
    ) -> nn.Sequential:
        conv = DepthwiseSeparableConvModule if self.use_depthwise else ConvModule
        stage: list[nn.Module] = [conv(inputs, outputs, 3, stride=2, padding=1, **common)]
        if use_spp:
            stage.append(SPPBottleneck(outputs, outputs, self.spp_kernal_sizes, **common))
        blocks: dict[str, Any] = {"add_identity": add_identity, "use_depthwise": self.use_depthwise}
        return nn.Sequential(*stage, CSPLayer(outputs, outputs, num_blocks=num_blocks, **blocks, **common))

    def chain(self) -> Sequence[nn.Module]:
        """`stem` and the stages."""
        return [getattr(self, name) for name in self.layers]

    def frozen(self) -> Sequence[nn.Module]:
        """`stem` and the first stages."""
        return self.chain()[: self.frozen_stages + 1]
