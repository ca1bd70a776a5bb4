"""The VGG of SSD."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import ClassVar

from torch import Tensor, nn

from raydet.backbones.chain import check_indices
from raydet.layers import BaseModule, InitCfg, init_cfg_with_pretrained

_INIT: InitCfg = (
    {"type": "Kaiming", "layer": "Conv2d"},
    {"type": "Constant", "val": 1, "layer": "BatchNorm2d"},
    {"type": "Normal", "std": 0.01, "layer": "Linear"},
)


class SSDVGG(BaseModule):
    """VGG (arXiv:1409.1556) whose fully connected layers are convolutions, without normalisation (arXiv:1512.02325).

    All layers stand in one sequence, `features`.

    Args:
        depth: 11, 13, 16 or 19.
        with_last_pool: keep the last pooling of VGG.
        ceil_mode: round sizes up when pooling.
        out_indices: of no effect.
        out_feature_indices: which layers of `features` to return, (22, 34) for VGG-16.
        pretrained: deprecated; a checkpoint to start from.
        init_cfg: how to initialise.
        input_size: deprecated, of no effect.
        l2_norm_scale: deprecated, of no effect; belongs to `SSDNeck`.
    """

    # number of convolutions of each stage
    arch_settings: ClassVar[dict[int, tuple[int, ...]]] = {
        11: (1, 1, 2, 2, 2),
        13: (2, 2, 2, 2, 2),
        16: (2, 2, 3, 3, 3),
        19: (2, 2, 4, 4, 4),
    }

    def __init__(
        self,
        depth: int,
        with_last_pool: bool = False,
        ceil_mode: bool = True,
        out_indices: Sequence[int] = (3, 4),
        out_feature_indices: Sequence[int] = (22, 34),
        pretrained: str | None = None,
        init_cfg: InitCfg = None,
        input_size: int | None = None,
        l2_norm_scale: float | None = None,
    ) -> None:
        super().__init__(init_cfg_with_pretrained(init_cfg, pretrained, _INIT))
        if depth not in self.arch_settings:
            raise ValueError(f"VGG has no depth {depth!r}; depths are {sorted(self.arch_settings)}")
        for name, value in (("input_size", input_size), ("l2_norm_scale", l2_norm_scale)):
            if value is not None:
                warnings.warn(f"{name}={value!r} of SSDVGG is deprecated and has no effect")
        layers = _vgg_layers(self.arch_settings[depth], ceil_mode)
        self.features = nn.Sequential(*(layers if with_last_pool else layers[:-1]), *_former_classifier())
        check_indices("out_feature_indices", out_feature_indices, 0, len(self.features) - 1)
        self.out_indices = tuple(out_indices)
        self.out_feature_indices = tuple(out_feature_indices)

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """Map images `(N, 3, H, W)` to the outputs of `out_feature_indices`, finest first."""
        outs = []
        for index, layer in enumerate(self.features):
            x = layer(x)
            if index in self.out_feature_indices:
                outs.append(x)
        return tuple(outs)


def _vgg_layers(stages: Sequence[int], ceil_mode: bool) -> list[nn.Module]:
    layers: list[nn.Module] = []
    channels = 3
    for stage, num_convs in enumerate(stages):
        width = min(64 * 2**stage, 512)
        for _ in range(num_convs):
            layers += [nn.Conv2d(channels, width, 3, padding=1), nn.ReLU(inplace=True)]
            channels = width
        layers.append(nn.MaxPool2d(2, stride=2, ceil_mode=ceil_mode))
    return layers


def _former_classifier() -> list[nn.Module]:
    """The first two fully connected layers as convolutions, the first thinned out and dilated instead."""
    return [
        nn.MaxPool2d(3, stride=1, padding=1),
        nn.Conv2d(512, 1024, 3, padding=6, dilation=6),
        nn.ReLU(inplace=True),
        nn.Conv2d(1024, 1024, 1),
        nn.ReLU(inplace=True),
    ]
