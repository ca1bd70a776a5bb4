"""Small samples for the tests of transforms."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from raydet.structures import BitmapMasks


@pytest.fixture
def make_sample() -> Callable[..., dict[str, Any]]:
    """A sample `(40, 60)` with two boxes, their masks and a semantic map."""

    def make(height: int = 40, width: int = 60, **more: Any) -> dict[str, Any]:
        image = np.arange(height * width * 3, dtype=np.uint32).astype(np.uint8).reshape(height, width, 3)
        boxes = np.array([[2, 4, 20, 24], [30, 10, 50, 36]], np.float32)
        masks = np.zeros((2, height, width), np.uint8)
        for mask, (x1, y1, x2, y2) in zip(masks, boxes.astype(int), strict=True):
            mask[y1:y2, x1:x2] = 1
        return {
            "img": image,
            "img_shape": image.shape,
            "ori_shape": image.shape,
            "pad_shape": image.shape,
            "filename": "a.jpg",
            "ori_filename": "a.jpg",
            "img_fields": ["img"],
            "bbox_fields": ["gt_bboxes"],
            "mask_fields": ["gt_masks"],
            "seg_fields": ["gt_semantic_seg"],
            "gt_bboxes": boxes,
            "gt_labels": np.array([3, 1]),
            "gt_masks": BitmapMasks(masks, height, width),
            "gt_semantic_seg": masks.max(axis=0),
            **more,
        }

    return make
