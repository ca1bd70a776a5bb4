"""Batches inside raydet: images, their metadata and, in training, the ground truth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from raydet.structures.masks import Masks
from raydet.structures.meta import ImageMeta


@dataclass(slots=True)
class GroundTruth:
    """Annotated objects of one image.

    Attributes:
        boxes: `(G, 4)` float, xyxy in pixels of the padded network input.
        labels: `(G,)` int64 in `[0, K)`.
        masks: `G` instance masks, or None.
        ignored: `(I, 4)` regions whose detections are neither right nor wrong, or None.
    """

    boxes: Tensor
    labels: Tensor
    masks: Masks | None = None
    ignored: Tensor | None = None

    def __len__(self) -> int:
        return len(self.boxes)


@dataclass(slots=True)
class Batch:
    """One step's worth of data on the training device.

    Attributes:
        images: `(N, 3, H, W)`, normalised, padded to one size.
        metas: `N` entries.
        truths: `N` entries in training, else None.
        proposals: `N` tensors `(R, 4)` or `(R, 5)` for detectors that take proposals from outside.
        semantic: `(N, 1, h, w)` int64 class map, for heads that learn from it.
    """

    images: Tensor
    metas: Sequence[ImageMeta]
    truths: Sequence[GroundTruth] | None = None
    proposals: Sequence[Tensor] | None = None
    semantic: Tensor | None = None
