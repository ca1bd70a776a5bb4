"""Whether the annotation of one image can be learned from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from raydet.transforms.files import BadSampleError


def check_annotation(ann_info: Any, img_info: Any, classes: Sequence[str] | None, path: str) -> None:
    """Refuse boxes and labels that would spoil a training.

    Args:
        ann_info: with `bboxes` `(G, 4)` and `labels` `(G,)`; anything else is left alone.
        img_info: with `width` and `height` where boxes are in pixels and the size is known.
        classes: names of the classes, None when they are not known.
        path: of the image, for messages.

    Raises:
        BadSampleError: a box is not finite, has no area or lies outside its image, or a label is no class.
    """
    if not isinstance(ann_info, Mapping) or "bboxes" not in ann_info:
        return
    boxes = np.asarray(ann_info["bboxes"], np.float64).reshape(-1, 4)
    labels = np.asarray(ann_info.get("labels", ()))
    for what, wrong in _faults(boxes, _size(img_info)).items():
        if wrong.any():
            first = ", ".join(f"{value:g}" for value in boxes[wrong][0])
            raise BadSampleError(f"{path}: {int(wrong.sum())} of {len(boxes)} boxes {what}, such as ({first})")
    outside = labels[(labels < 0) | (labels >= len(classes))] if classes and labels.size else labels[:0]
    if len(outside):
        raise BadSampleError(f"{path}: an object has label {outside[0]}, there are {len(classes or ())} classes")


def _faults(boxes: np.ndarray, size: tuple[float, float]) -> dict[str, np.ndarray]:
    """`(G,)` bool by what is wrong."""
    near, far = boxes[:, :2], boxes[:, 2:]
    with np.errstate(invalid="ignore"):
        return {
            "are NaN or infinite": ~np.isfinite(boxes).all(axis=1),
            "have no area": (far <= near).any(axis=1),
            "lie outside the image": (far <= 0).any(axis=1) | (near >= size).any(axis=1),
        }


def _size(img_info: Any) -> tuple[float, float]:
    """Width and height, infinite when they are not known."""
    sizes = (img_info.get(key) if isinstance(img_info, Mapping) else None for key in ("width", "height"))
    width, height = (np.inf if value is None else float(value) for value in sizes)
    return width, height
