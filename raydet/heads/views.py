"""From the pixels of one view of an image (resized, perhaps flipped) to those of the original, and back."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from raydet.geometry import bbox_mapping, bbox_mapping_back
from raydet.structures import ImageMeta


def to_original(boxes: Tensor, view: ImageMeta) -> Tensor:
    """Boxes `(R, 4)` of a view in pixels of the original image."""
    return bbox_mapping_back(boxes, **as_meta(view))


def to_view(boxes: Tensor, view: ImageMeta) -> Tensor:
    """Boxes `(R, 4)` of the original image in pixels of a view."""
    return bbox_mapping(boxes, **as_meta(view))


def as_meta(view: ImageMeta) -> dict[str, Any]:
    """What `raydet.geometry` needs to know of a view."""
    return {
        "img_shape": view.img_shape,
        "scale_factor": view.scale_factor,
        "flip": view.flip,
        "flip_direction": view.flip_direction or "horizontal",
    }


def scale_of(meta: ImageMeta, like: Tensor) -> Tensor:
    """`(4,)` network size over original size, as a tensor."""
    return torch.as_tensor(meta.scale_factor, dtype=like.dtype, device=like.device)
