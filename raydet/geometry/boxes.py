"""Changes of the form and the frame of boxes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

ImageSize = Sequence[int]


def bbox_cxcywh_to_xyxy(bbox: Tensor) -> Tensor:
    """`(..., 4)` center and size to corners."""
    center, size = bbox[..., :2], bbox[..., 2:]
    return torch.cat([center - 0.5 * size, center + 0.5 * size], dim=-1)


def bbox_xyxy_to_cxcywh(bbox: Tensor) -> Tensor:
    """`(..., 4)` corners to center and size."""
    top_left, bottom_right = bbox[..., :2], bbox[..., 2:]
    return torch.cat([(top_left + bottom_right) / 2, bottom_right - top_left], dim=-1)


def bbox_flip(bboxes: Tensor, img_shape: ImageSize, direction: str = "horizontal") -> Tensor:
    """Mirror boxes `(..., 4 k)` in an image of `(height, width)`.

    Raises:
        ValueError: unknown direction.
    """
    if direction not in ("horizontal", "vertical", "diagonal"):
        raise ValueError(f"direction must be 'horizontal', 'vertical' or 'diagonal', got {direction!r}")
    height, width = img_shape[:2]
    flipped = bboxes.clone()
    if direction != "vertical":
        flipped[..., 0::4], flipped[..., 2::4] = width - bboxes[..., 2::4], width - bboxes[..., 0::4]
    if direction != "horizontal":
        flipped[..., 1::4], flipped[..., 3::4] = height - bboxes[..., 3::4], height - bboxes[..., 1::4]
    return flipped


def bbox_mapping(
    bboxes: Tensor, img_shape: ImageSize, scale_factor: Any, flip: bool, flip_direction: str = "horizontal"
) -> Tensor:
    """Boxes `(R, 4)` of the original image in the image that was scaled to `img_shape`, then flipped."""
    scaled = bboxes * bboxes.new_tensor(scale_factor)
    return bbox_flip(scaled, img_shape, flip_direction) if flip else scaled


def bbox_mapping_back(
    bboxes: Tensor, img_shape: ImageSize, scale_factor: Any, flip: bool, flip_direction: str = "horizontal"
) -> Tensor:
    """The inverse of `bbox_mapping`, for boxes `(R, 4 k)`."""
    plain = bbox_flip(bboxes, img_shape, flip_direction) if flip else bboxes
    return (plain.view(-1, 4) / plain.new_tensor(scale_factor)).view(bboxes.shape)


def bbox_rescale(bboxes: Tensor, scale_factor: float = 1.0) -> Tensor:
    """Boxes `(R, 4)`, or rois `(R, 5)`, stretched around their centers."""
    head, boxes = bboxes[:, :-4], bboxes[:, -4:]
    center_size = bbox_xyxy_to_cxcywh(boxes)
    center_size = torch.cat([center_size[:, :2], center_size[:, 2:] * scale_factor], dim=1)
    return torch.cat([head, bbox_cxcywh_to_xyxy(center_size)], dim=1)


def bbox2roi(bbox_list: Sequence[Tensor]) -> Tensor:
    """Boxes per image `(R_i, 4+)` to rois `(R, 5)` with the image index in front."""
    return torch.cat(
        [torch.cat([boxes.new_full((len(boxes), 1), i), boxes[:, :4]], dim=1) for i, boxes in enumerate(bbox_list)]
    )


def roi2bbox(rois: Tensor) -> list[Tensor]:
    """Rois `(R, 5)` to boxes `(R_i, 4)` of each image that has any."""
    return [rois[rois[:, 0] == image, 1:] for image in torch.unique(rois[:, 0])]


def bbox2result(bboxes: Tensor | np.ndarray, labels: Tensor | np.ndarray, num_classes: int) -> list[np.ndarray]:
    """Detections `(D, 5)` with labels `(D,)` to the 2.x result, one array `(d, 5)` per class."""
    if len(bboxes) == 0:
        return [np.zeros((0, 5), dtype=np.float32) for _ in range(num_classes)]
    rows, classes = (x.detach().cpu().numpy() if isinstance(x, Tensor) else x for x in (bboxes, labels))
    return [rows[classes == k] for k in range(num_classes)]


def of_class(codes: Tensor, labels: Tensor) -> Tensor:
    """`(R, 4)` the boxes, or codes, of the classes `(R,)` among `(R, 4 K)`; `(R, 4)` serves all classes."""
    per_class = codes.reshape(len(codes), codes.shape[1] // 4, 4)
    if per_class.shape[1] == 1:
        return per_class[:, 0]
    return per_class[torch.arange(len(codes), device=codes.device), labels]


def clip_boxes(boxes: Tensor, max_shape: Any, margin: int = 0) -> Tensor:
    """Boxes `(..., 4)` with coordinates between 0 and the image size less `margin`.

    Args:
        boxes: `(R, 4)`, or `(N, R, 4)` when `max_shape` holds one size per image.
        max_shape: `(height, width[, channels])`, or `N` of them, as a sequence or tensor.
        margin: 1 when the last pixel inside is meant.

    Raises:
        ValueError: the number of sizes is not the number of images.
    """
    sizes = torch.as_tensor(max_shape, dtype=boxes.dtype, device=boxes.device)[..., :2]
    if sizes.ndim == 2:
        if boxes.ndim < 3 or len(sizes) != len(boxes):
            raise ValueError(f"{len(sizes)} image sizes do not fit boxes of shape {tuple(boxes.shape)}")
        sizes = sizes.view(len(sizes), *[1] * (boxes.ndim - 2), 2)
    limits = sizes.flip(-1).repeat(*[1] * (sizes.ndim - 1), 2) - margin
    return torch.minimum(boxes.clamp(min=0), limits)


def distance2bbox(points: Tensor, distance: Tensor, max_shape: Any = None) -> Tensor:
    """Boxes from points and the distances to their left, top, right and bottom sides.

    Args:
        points: `(..., 2)` x and y.
        distance: `(..., 4)`.
        max_shape: clip to this image size, or to one size per image; see `clip_boxes`.

    Returns:
        `(..., 4)` xyxy.
    """
    xy = points[..., :2]
    boxes = torch.cat([xy - distance[..., :2], xy + distance[..., 2:4]], dim=-1)
    return boxes if max_shape is None else clip_boxes(boxes, max_shape)


def bbox2distance(points: Tensor, bbox: Tensor, max_dis: float | None = None, eps: float = 0.1) -> Tensor:
    """Distances `(..., 4)` from points to the sides of boxes; with `max_dis` clipped to `[0, max_dis - eps]`."""
    xy = points[..., :2]
    distance = torch.cat([xy - bbox[..., :2], bbox[..., 2:4] - xy], dim=-1)
    return distance if max_dis is None else distance.clamp(0, max_dis - eps)


def find_inside_bboxes(bboxes: Tensor, img_h: int, img_w: int) -> Tensor:
    """`(R,)` bool: boxes that touch the image."""
    return (bboxes[:, 0] < img_w) & (bboxes[:, 2] > 0) & (bboxes[:, 1] < img_h) & (bboxes[:, 3] > 0)


def anchor_inside_flags(
    flat_anchors: Tensor, valid_flags: Tensor | None, img_shape: ImageSize, allowed_border: float = 0
) -> Tensor | None:
    """`(R,)` bool: valid anchors that stick out of the image by at most `allowed_border`; negative allows any.

    `valid_flags` None says that all are valid; None comes back when all may stay.
    """
    if allowed_border < 0:
        return valid_flags
    height, width = img_shape[:2]
    left, top, right, bottom = flat_anchors[:, :4].unbind(1)
    inside = (left >= -allowed_border) & (top >= -allowed_border)
    inside &= (right < width + allowed_border) & (bottom < height + allowed_border)
    return inside if valid_flags is None else valid_flags & inside
