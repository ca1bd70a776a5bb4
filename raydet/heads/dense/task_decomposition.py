"""Parts of TOOD (arXiv:2108.07755): mixtures of the layers of a tower, and sides of boxes looked up at cells nearby."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from raydet.layers import BaseModule, ConvModule, normal_init
from raydet.ops import deform_conv2d


class TaskDecomposition(BaseModule):
    """Mix the outputs of all layers of a tower, as their average over the map asks for.

    Args:
        feat_channels: `C` of each layer.
        stacked_convs: how many layers.
        la_down_rate: how much narrower the hidden layer of the attention is.
        conv_cfg: convolution of the mixture.
        norm_cfg: normalisation of the mixture, or None.
    """

    def __init__(
        self,
        feat_channels: int,
        stacked_convs: int,
        la_down_rate: int = 8,
        conv_cfg: Any = None,
        norm_cfg: Any = None,
    ) -> None:
        super().__init__()
        self.feat_channels = feat_channels
        self.stacked_convs = stacked_convs
        wide = feat_channels * stacked_convs
        self.layer_attention = nn.Sequential(
            nn.Conv2d(wide, wide // la_down_rate, 1),
            nn.ReLU(inplace=True),
            nn.Conv2d(wide // la_down_rate, stacked_convs, 1),
            nn.Sigmoid(),
        )
        self.reduction_conv = ConvModule(wide, feat_channels, 1, conv_cfg=conv_cfg, norm_cfg=norm_cfg)

    def _initialize(self) -> None:
        for layer in (self.layer_attention[0], self.layer_attention[2]):
            normal_init(layer, std=0.001)
        normal_init(self.reduction_conv.conv, std=0.01)

    def forward(self, layers: Tensor, average: Tensor) -> Tensor:
        """`(N, C, H, W)` from the layers `(N, layers * C, H, W)` and their average over the map."""
        num, _, height, width = layers.shape
        attention = self.layer_attention(average).reshape(num, 1, self.stacked_convs, 1)
        # The weights of the convolution are scaled, not its much larger input.
        weight = self.reduction_conv.conv.weight.view(1, self.feat_channels, self.stacked_convs, -1) * attention
        mixed = torch.bmm(weight.flatten(2).to(layers.dtype), layers.flatten(2)).view(num, -1, height, width)
        if (norm := self.reduction_conv.norm) is not None:
            mixed = norm(mixed)
        activated: Tensor = self.reduction_conv.activate(mixed)
        return activated


def look_up(boxes: Tensor, offsets: Tensor) -> Tensor:
    """Each side of a box as it is predicted at a cell nearby.

    Args:
        boxes: `(N, 4, H, W)` xyxy.
        offsets: `(N, 8, H, W)` rows and columns to move by for each side.

    Returns:
        `(N, 4, H, W)`. A box that would turn inside out stays as it is.
    """
    moved = deform_conv2d(boxes.contiguous(), offsets.contiguous(), boxes.new_ones(4, 1, 1, 1), 1, 0, 1, 4, 4)
    turned = (moved[:, :2] > moved[:, 2:]).any(dim=1, keepdim=True)
    return torch.where(turned, boxes, moved)
