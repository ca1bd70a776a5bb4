"""What heads that look for peaks share around the network: detections on the image, and pairs of mirrored views."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from raydet.heads.views import scale_of
from raydet.structures import Detections, ImageMeta


def on_image(found: Detections, meta: ImageMeta, rescale: bool) -> Detections:
    """Without the border that padding put around the image; on the original image when `rescale`."""
    border = meta.extra.get("border")
    if border is not None:
        left_top = found.boxes.new_tensor([border[2], border[0], border[2], border[0]])
        found = Detections(found.boxes - left_top, found.scores, found.labels)
    return found.reduced(scale_of(meta, found.boxes)) if rescale else found


def pairs_of_views(metas: Sequence[ImageMeta]) -> list[tuple[int, int]]:
    """Positions of views and their mirror images, which stand side by side.

    Raises:
        ValueError: a view has no mirror image.
    """
    pairs = [(i, i + 1) for i in range(0, len(metas), 2)]
    if len(metas) % 2 or any(metas[i].flip or not metas[j].flip for i, j in pairs):
        flips = [meta.flip for meta in metas]
        raise ValueError(f"views must come with their mirror images: set flip=True in MultiScaleFlipAug; got {flips}")
    return pairs


def joined(parts: Sequence[Detections]) -> Detections:
    """All detections of several views together."""
    boxes, scores, labels = ([getattr(part, name) for part in parts] for name in ("boxes", "scores", "labels"))
    return Detections(torch.cat(boxes), torch.cat(scores), torch.cat(labels))


def cells(points: Tensor, ratio: Tensor) -> tuple[Tensor, Tensor]:
    """Cells `(G, 2)`, x and y, of points `(G, 2)` on a map smaller by `ratio` `(2,)`, and the places in the cells."""
    scaled = points * ratio
    cell = scaled.long()
    return cell, scaled - cell


def batch_ratio(size: Sequence[int], meta: ImageMeta, like: Tensor) -> Tensor:
    """`(2,)` width and height of a feature map `(h, w)` over those of the padded image."""
    return like.new_tensor([size[1] / meta.pad_shape[1], size[0] / meta.pad_shape[0]])
