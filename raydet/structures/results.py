"""Detections of one image, and their 2.x form."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor


@dataclass(slots=True)
class Detections:
    """What a detector found in one image, best first.

    Attributes:
        boxes: `(D, 4)` float, xyxy in pixels of the original image when rescaled, else of the network input.
        scores: `(D,)` in [0, 1].
        labels: `(D,)` int64 in `[0, K)`.
        masks: `(D, h, w)` bool array, or a list of RLE dicts, or None.
        mask_scores: `(D,)` for detectors that rate their masks, else None.
    """

    boxes: Tensor
    scores: Tensor
    labels: Tensor
    masks: Any = None
    mask_scores: Tensor | None = None

    @classmethod
    def empty(cls, like: Tensor) -> Detections:
        """No detections, on the device and in the dtype of `like`."""
        return cls(like.new_zeros(0, 4), like.new_zeros(0), like.new_zeros(0, dtype=torch.long))

    def __len__(self) -> int:
        return len(self.boxes)

    def enlarged(self, scale: Tensor) -> Detections:
        """The same with boxes times `scale` `(4,)`."""
        return replace(self, boxes=self.boxes * scale)

    def reduced(self, scale: Tensor) -> Detections:
        """The same with boxes divided by `scale` `(4,)`."""
        return replace(self, boxes=self.boxes / scale)

    def rows(self) -> np.ndarray:
        """`(D, 5)` float32 of x1, y1, x2, y2, score."""
        table = torch.cat([self.boxes, self.scores[:, None]], dim=1)
        return np.asarray(table.detach().float().cpu().numpy())

    def boxes_per_class(self, num_classes: int) -> list[np.ndarray]:
        """The 2.x box result: `K` float32 arrays `(d, 5)` of x1, y1, x2, y2, score."""
        rows, labels = self.rows(), self.labels.cpu().numpy()
        return [rows[labels == k] for k in range(num_classes)]

    def masks_per_class(self, num_classes: int) -> list[list[Any]]:
        """The 2.x mask result: `K` lists with one mask per box of `boxes_per_class`."""
        grouped: list[list[Any]] = [[] for _ in range(num_classes)]
        for mask, label in zip(self.masks, self.labels.tolist(), strict=True):
            grouped[label].append(mask)
        return grouped

    def mask_scores_per_class(self, num_classes: int) -> list[np.ndarray]:
        """`K` arrays with the rating of each mask of `masks_per_class`."""
        assert self.mask_scores is not None
        values, labels = self.mask_scores.detach().float().cpu().numpy(), self.labels.cpu().numpy()
        return [values[labels == k] for k in range(num_classes)]
