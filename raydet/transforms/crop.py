"""Cut a window out of a sample."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from raydet.transforms import boxes, objects
from raydet.transforms.base import Results, Transform

CROP_TYPES = ("relative_range", "relative", "absolute", "absolute_range")


class Window(NamedTuple):
    """A part of an image in pixels."""

    top: int
    left: int
    height: int
    width: int

    def cut(self, image: np.ndarray) -> np.ndarray:
        """The part of `image` inside."""
        return image[self.top : self.top + self.height, self.left : self.left + self.width]

    @property
    def corners(self) -> np.ndarray:
        """`(4,)` x1, y1, x2, y2."""
        return np.array([self.left, self.top, self.left + self.width, self.top + self.height])

    def move(self, found: np.ndarray, clip: bool) -> np.ndarray:
        """Boxes `(G, 4)` of the image in pixels of the part, cut to it or not."""
        moved = found - np.array([self.left, self.top] * 2, np.float32)
        return boxes.clip(moved, (self.height, self.width)) if clip else moved


class RandomCrop(Transform):
    """Cut a random window out of images, boxes, masks and semantic maps.

    Args:
        crop_size: (height, width) in pixels, or as fractions of the image for the relative types; for
            "absolute_range" the (least, largest) length of either side.
        crop_type: "absolute" and "relative" fix the size, "absolute_range" draws it between the two numbers,
            "relative_range" between the fractions and 1.
        allow_negative_crop: accept windows without any object; else such a sample is given up.
        recompute_bbox: take boxes anew from the cut masks.
        bbox_clip_border: clip boxes to the window.
    """

    def __init__(
        self,
        crop_size: Sequence[float],
        crop_type: str = "absolute",
        allow_negative_crop: bool = False,
        recompute_bbox: bool = False,
        bbox_clip_border: bool = True,
    ) -> None:
        _check_size(crop_size, crop_type)
        self.crop_size = tuple(crop_size)
        self.crop_type = crop_type
        self.allow_negative_crop = allow_negative_crop
        self.recompute_bbox = recompute_bbox
        self.bbox_clip_border = bbox_clip_border

    def draw(self, results: Results) -> Window:
        image = results[results.get("img_fields", ["img"])[0]]
        height, width = (min(a, b) for a, b in zip(self._draw_size(image.shape), image.shape[:2], strict=True))
        top = np.random.randint(0, image.shape[0] - height + 1)
        return Window(top, np.random.randint(0, image.shape[1] - width + 1), height, width)

    def _draw_size(self, shape: Sequence[int]) -> tuple[int, int]:
        height, width = shape[:2]
        if self.crop_type == "absolute":
            return int(self.crop_size[0]), int(self.crop_size[1])
        if self.crop_type == "absolute_range":
            low, high = (int(side) for side in self.crop_size)
            crop_height = np.random.randint(min(height, low), min(height, high) + 1)
            return crop_height, np.random.randint(min(width, low), min(width, high) + 1)
        fractions: np.ndarray = np.asarray(
            self.crop_size, np.float32 if self.crop_type == "relative_range" else np.float64
        )
        if self.crop_type == "relative_range":
            fractions = fractions + np.random.rand(2) * (1 - fractions)
        return int(height * fractions[0] + 0.5), int(width * fractions[1] + 0.5)

    def apply(self, results: Results, params: Window) -> Results | None:
        for key in results.get("img_fields", ["img"]):
            results[key] = params.cut(results[key])
            results["img_shape"] = results[key].shape
        for key in results.get("bbox_fields", []):
            results[key] = params.move(results[key], self.bbox_clip_border)
            inside = boxes.has_area(results[key])
            if key == "gt_bboxes" and not inside.any() and not self.allow_negative_crop:
                return None
            objects.keep(results, key, inside)
            objects.crop_masks(results, key, params.corners)
            masks = objects.companion(results, key, "masks")
            if self.recompute_bbox and masks is not None:
                results[key] = results[masks].get_bboxes()
        for key in results.get("seg_fields", []):
            results[key] = params.cut(results[key])
        return results


def _check_size(crop_size: Any, crop_type: str) -> None:
    if crop_type not in CROP_TYPES:
        raise ValueError(f"crop_type must be one of {CROP_TYPES}, got {crop_type!r}")
    if len(crop_size) != 2 or min(crop_size) <= 0:
        raise ValueError(f"crop_size must be two positive numbers, got {crop_size!r}")
    if crop_type.startswith("relative") and max(crop_size) > 1:
        raise ValueError(f"crop_size of crop_type {crop_type!r} must lie in (0, 1], got {crop_size!r}")
    if crop_type == "absolute_range" and crop_size[0] > crop_size[1]:
        raise ValueError(f"crop_size of crop_type 'absolute_range' must be (least, largest), got {crop_size!r}")
