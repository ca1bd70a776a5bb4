"""From maps of corners to boxes."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from raydet.geometry import get_local_maximum, get_topk_from_heatmap, transpose_and_gather_feat
from raydet.structures import Detections, ImageMeta

MAX_PAIRS = 1000
Maps = dict[str, Tensor]
"""Maps `(N, D, h, w)` of one kind of corner on one level, by role; `heat` and `off` are always among them."""


@dataclass(frozen=True, slots=True)
class Peaks:
    """The `k` most likely corners of one kind in one image.

    Attributes:
        scores: `(k,)`, best first.
        labels: `(k,)`.
        points: `(k, 2)` x and y in cells.
        values: by role `(k, D)`, what the maps say at the corners.
    """

    scores: Tensor
    labels: Tensor
    points: Tensor
    values: Maps


@dataclass(frozen=True, slots=True)
class Frame:
    """From cells to pixels of the image.

    Attributes:
        pixels: `(2,)` width and height of a cell.
        border: `(2,)` columns and rows that padding put before the image.
    """

    pixels: Tensor
    border: Tensor

    @classmethod
    def of(cls, meta: ImageMeta, heat: Tensor) -> Frame:
        """The frame of maps `(1, K, h, w)` over a padded image."""
        height, width = meta.pad_shape[:2]
        top, _, left, _ = meta.extra.get("border", (0, 0, 0, 0))
        pixels = [width / heat.shape[3], height / heat.shape[2]]
        return cls(heat.new_tensor(pixels), heat.new_tensor([float(left), float(top)]))

    def on_image(self, points: Tensor) -> Tensor:
        """Points `(..., 2)` in pixels, those before the image at its edge."""
        return (points * self.pixels - self.border).clamp(min=0)


def find_peaks(maps: Maps, kernel: int, k: int) -> Peaks:
    """The best `k` corners of one image, none beside a better one within `kernel` cells.

    Args:
        maps: `(1, D, h, w)` by role, `heat` as probabilities.
        kernel: side of the window, odd.
        k: how many.
    """
    heat = get_local_maximum(maps["heat"], kernel)
    scores, places, labels, rows, columns = get_topk_from_heatmap(heat, k)
    values = {role: transpose_and_gather_feat(each, places)[0] for role, each in maps.items() if role != "heat"}
    points = torch.stack([columns[0], rows[0]], dim=1) + values["off"]
    return Peaks(scores[0], labels[0], points, values)


def all_boxes(top_left: Peaks, bottom_right: Peaks, frame: Frame) -> Tensor:
    """`(k, k, 4)` in pixels: what every two corners would span."""
    shape = (len(top_left.scores), len(bottom_right.scores), 2)
    first, second = frame.on_image(top_left.points), frame.on_image(bottom_right.points)
    return torch.cat([first[:, None].expand(shape), second.expand(shape)], dim=2)


def best_pairs(top_left: Peaks, bottom_right: Peaks, boxes: Tensor, together: Tensor) -> Detections:
    """The best pairs of one class whose corners belong together and stand in the right order.

    Args:
        top_left: `k` corners.
        bottom_right: `k` corners.
        boxes: `(k, k, 4)`.
        together: `(k, k)` bool.
    """
    ordered = (boxes[..., 2:] > boxes[..., :2]).all(dim=2)
    fits = together & ordered & (top_left.labels[:, None] == bottom_right.labels)
    scores = ((top_left.scores[:, None] + bottom_right.scores) / 2).where(fits, -1.0).flatten()
    best, index = scores.topk(min(MAX_PAIRS, len(scores)))
    index = index[best >= 0]
    return Detections(boxes.flatten(0, 1)[index], best[best >= 0], top_left.labels[index // boxes.shape[1]])
