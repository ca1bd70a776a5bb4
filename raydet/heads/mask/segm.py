"""YOLACT's semantic head, which only helps to learn."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from raydet.heads.mask.bitmaps import bitmaps, shrunk
from raydet.layers import BaseModule
from raydet.registry import LOSSES
from raydet.structures import Batch, GroundTruth

LOSS_SEGM = {"type": "CrossEntropyLoss", "use_sigmoid": True, "loss_weight": 1.0}
INIT = {"type": "Xavier", "distribution": "uniform", "override": {"name": "segm_conv"}}


class YOLACTSegmHead(BaseModule):
    """One convolution to a map of each class on the finest features (arXiv:1904.02689).

    Args:
        num_classes: `K`.
        in_channels: of the features.
        loss_segm: part or dict.
        init_cfg: weight initialisation.
    """

    def __init__(
        self, num_classes: int, in_channels: int = 256, loss_segm: Any = LOSS_SEGM, init_cfg: Any = INIT
    ) -> None:
        super().__init__(init_cfg)
        self.num_classes = num_classes
        self.segm_conv = nn.Conv2d(in_channels, num_classes, 1)
        self.loss_segm = LOSSES.build(loss_segm)

    def forward(self, feature: Tensor) -> Tensor:
        """Map `(N, C, H, W)` to logits `(N, K, H, W)`."""
        logits: Tensor = self.segm_conv(feature)
        return logits

    def loss(self, feature: Tensor, batch: Batch) -> dict[str, Tensor]:
        """The loss of the images that have objects."""
        assert batch.truths is not None
        logits = self(feature).float()
        chosen = [image for image, truth in enumerate(batch.truths) if len(truth)]
        if not chosen:
            return {"loss_segm": logits.sum() * 0}
        wanted = torch.stack([self._target(batch.truths[image], logits) for image in chosen])
        count = len(logits) * logits.shape[2] * logits.shape[3]
        return {"loss_segm": self.loss_segm(logits[chosen], wanted, avg_factor=count)}

    def _target(self, truth: GroundTruth, like: Tensor) -> Tensor:
        """`(K, H, W)` of 0 and 1."""
        masks = shrunk(bitmaps(truth), like.shape[2:])
        target = like.new_zeros(like.shape[1:])
        # The weights of 2.x have class k on map k - 1, and class 0 on the last one.
        maps = ((truth.labels - 1) % self.num_classes)[:, None, None].expand_as(masks)
        return target.scatter_reduce(0, maps, masks.to(target.dtype), "amax")
