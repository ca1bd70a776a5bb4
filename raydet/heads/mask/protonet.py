"""YOLACT's prototypes: masks that are mixed into the mask of every detection."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from raydet.assignment.targets import DenseTargets
from raydet.heads.mask.bitmaps import bitmaps, shrunk
from raydet.heads.mask.sizes import full_size
from raydet.layers import BaseModule
from raydet.structures import Batch, Detections, GroundTruth, ImageMeta

INIT = {"type": "Xavier", "distribution": "uniform", "override": {"name": "protonet"}}
BORDER = 1  # cells of a prototype that a mask may reach out of its box


class YOLACTProtonet(BaseModule):
    """A stack of convolutions to prototypes, and what is done with them (arXiv:1904.02689).

    Args:
        num_classes: `K`.
        in_channels: of the finest feature map.
        proto_channels: channels of each layer; None keeps them and resizes.
        proto_kernel_sizes: kernel of each layer; `-f` enlarges by `f`, by a transposed convolution if it has channels.
        include_last_relu: an activation after the last layer, too.
        num_protos: prototypes.
        loss_mask_weight: factor on the loss.
        max_masks_to_train: masks of one image that learn at most, drawn at random.
        init_cfg: weight initialisation.

    Raises:
        ValueError: other numbers of channels than of kernels.
    """

    def __init__(
        self,
        num_classes: int,
        in_channels: int = 256,
        proto_channels: Sequence[int | None] = (256, 256, 256, None, 256, 32),
        proto_kernel_sizes: Sequence[int] = (3, 3, 3, -2, 3, 1),
        include_last_relu: bool = True,
        num_protos: int = 32,
        loss_mask_weight: float = 1.0,
        max_masks_to_train: int = 100,
        init_cfg: Any = INIT,
    ) -> None:
        super().__init__(init_cfg)
        if len(proto_channels) != len(proto_kernel_sizes):
            raise ValueError(
                f"proto_channels and proto_kernel_sizes need one entry per layer, "
                f"got {proto_channels} and {proto_kernel_sizes}"
            )
        self.num_classes = num_classes
        self.num_protos = num_protos
        self.loss_mask_weight = loss_mask_weight
        self.max_masks_to_train = max_masks_to_train
        layers: list[nn.Module] = []
        for channels, kernel in zip(proto_channels, proto_kernel_sizes, strict=True):
            layers += [_layer(in_channels, channels, kernel), nn.ReLU(inplace=True)]
            in_channels = in_channels if channels is None else channels
        self.protonet = nn.Sequential(*(layers if include_last_relu else layers[:-1]))

    def forward(self, feature: Tensor) -> Tensor:
        """Map the finest features `(N, C, H, W)` to prototypes `(N, M, h, w)`."""
        prototypes: Tensor = self.protonet(feature)
        return prototypes

    def masks(self, prototypes: Tensor, coefficients: Tensor, boxes: Tensor, meta: ImageMeta) -> Tensor:
        """Probabilities `(D, h, w)` of one image, 0 outside the boxes.

        Args:
            prototypes: `(M, h, w)`.
            coefficients: `(D, M)`.
            boxes: `(D, 4)` in pixels of the network input.
            meta: of the image, over which the prototypes are stretched.
        """
        size = prototypes.shape[1:]
        mixed = (coefficients @ prototypes.flatten(1)).sigmoid().view(len(coefficients), *size)
        return mixed * _inside(boxes / _extent(boxes, meta), size)

    # Training

    def loss(self, feature: Tensor, coefficients: Tensor, targets: DenseTargets, batch: Batch) -> dict[str, Tensor]:
        """The mask loss of the anchors that have an object.

        Args:
            feature: `(N, C, H, W)`, the finest.
            coefficients: `(P, M)` of the positives of `targets`.
            targets: of the box head.
            batch: with masks.
        """
        assert batch.truths is not None
        images = targets.positive // targets.labels.shape[1]
        prototypes = self(feature).float()
        losses, count = [], 0
        with torch.autocast(feature.device.type, enabled=False):
            for image, truth in enumerate(batch.truths):
                rows = self._drawn((images == image).nonzero().squeeze(1))
                count += len(rows)
                learned = (coefficients[rows].float(), targets.matched_gt[rows])
                losses.append(self._image_loss(prototypes[image], *learned, truth, batch.metas[image]))
        return {"loss_mask": torch.stack(losses).sum() * self.loss_mask_weight / max(count, 1)}

    def _drawn(self, rows: Tensor) -> Tensor:
        """At most `max_masks_to_train` of some rows."""
        if len(rows) <= self.max_masks_to_train:
            return rows
        return rows[torch.randperm(len(rows))[: self.max_masks_to_train].to(rows.device)]

    def _image_loss(
        self, prototypes: Tensor, coefficients: Tensor, matched: Tensor, truth: GroundTruth, meta: ImageMeta
    ) -> Tensor:
        """Sum over masks of their mean entropy over their part of the image, so that small objects count as much."""
        boxes = truth.boxes[matched]
        masks = self.masks(prototypes, coefficients, boxes, meta)
        wanted = shrunk(bitmaps(truth), prototypes.shape[1:])[matched]
        entropy = F.binary_cross_entropy(masks.clamp(0, 1), wanted, reduction="none").mean(dim=(1, 2))
        sides = ((boxes[:, 2:] - boxes[:, :2]) / _extent(boxes, meta)[:2]).prod(dim=1)
        return (entropy / sides).sum()

    # Inference

    def predict(
        self, prototypes: Tensor, coefficients: Tensor, found: Detections, meta: ImageMeta, rescale: bool
    ) -> np.ndarray:
        """`(D, height, width)` bool masks of one image, of the size of the original image when `rescale`.

        Args:
            prototypes: `(M, h, w)`.
            coefficients: `(D, M)`.
            found: in pixels of the original image when `rescale`.
            meta: of the image.
            rescale: see above.
        """
        scale = found.boxes.new_tensor(meta.scale_factor)
        boxes = found.boxes * scale if rescale else found.boxes
        size = meta.ori_shape[:2] if rescale else meta.img_shape[:2]
        return full_size(self.masks(prototypes.float(), coefficients.float(), boxes, meta), size, 0.5)


def _layer(in_channels: int, channels: int | None, kernel: int) -> nn.Module:
    if kernel > 0 and channels is not None:
        return nn.Conv2d(in_channels, channels, kernel, padding=kernel // 2)
    if channels is None:
        return nn.Upsample(scale_factor=-kernel, mode="bilinear", align_corners=False)
    return nn.ConvTranspose2d(in_channels, channels, -kernel, stride=-kernel)


def _extent(boxes: Tensor, meta: ImageMeta) -> Tensor:
    """`(4,)` width, height, width and height of the image without padding."""
    height, width = meta.img_shape[:2]
    return boxes.new_tensor([width, height, width, height])


def _inside(boxes: Tensor, size: Sequence[int]) -> Tensor:
    """`(D, h, w)` bool: the cells of maps inside boxes that are given in parts of the image."""
    spans = []
    for axis, side in ((1, size[0]), (0, size[1])):
        low, high = (boxes[:, [axis, axis + 2]] * side).sort(dim=1).values.unbind(dim=1)
        cells = torch.arange(side, device=boxes.device)
        spans.append((cells >= low[:, None] - BORDER) & (cells < high[:, None] + BORDER))
    rows, columns = spans
    return rows[:, :, None] & columns[:, None, :]
