"""Detections of one image, and their 2.x form."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
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

    def __len__(self) -> int:
        return len(self.boxes)

    def boxes_per_class(self, num_classes: int) -> list[np.ndarray]:
        """The 2.x box result: `K` float32 arrays `(d, 5)` of x1, y1, x2, y2, score."""
        rows = np.concatenate(
            [self.boxes.detach().cpu().float().numpy(), self.scores.detach().cpu().float().numpy()[:, None]], axis=1
        )
        labels = self.labels.cpu().numpy()
        return [rows[labels == k] for k in range(num_classes)]

    def masks_per_class(self, num_classes: int) -> list[list[Any]]:
        """The 2.x mask result: `K` lists with one mask per box of `boxes_per_class`."""
        grouped: list[list[Any]] = [[] for _ in range(num_classes)]
        for mask, label in zip(self.masks, self.labels.tolist(), strict=True):
            grouped[label].append(mask)
        return grouped
