"""Move a sample by some pixels."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from raydet.transforms import boxes, images, objects
from raydet.transforms.base import Results, Transform
from raydet.transforms.levels import as_fraction


class Offset(NamedTuple):
    """Pixels to the right and down."""

    x: int
    y: int


class RandomShift(Transform):
    """Move images, boxes, masks and semantic maps; what comes in is black, 255 in semantic maps (arXiv:2103.09460).

    A sample that would lose all its objects stays where it is.

    Args:
        shift_ratio: chance that it happens.
        max_shift_px: largest movement in either direction.
        filter_thr_px: boxes must stay wider and higher than this.
    """

    def __init__(self, shift_ratio: float = 0.5, max_shift_px: int = 32, filter_thr_px: int = 1) -> None:
        self.shift_ratio = as_fraction("shift_ratio", shift_ratio)
        if max_shift_px < 0:
            raise ValueError(f"max_shift_px must not be negative, got {max_shift_px}")
        self.max_shift_px = max_shift_px
        self.filter_thr_px = int(filter_thr_px)

    def draw(self, results: Results) -> Offset | None:
        """The movement, or None."""
        if np.random.random() >= self.shift_ratio:
            return None
        x, y = (np.random.randint(-self.max_shift_px, max(self.max_shift_px, 1)) for _ in range(2))
        return Offset(int(x), int(y))

    def apply(self, results: Results, params: Offset | None) -> Results:
        if params is None:
            return results
        shape = results["img"].shape
        moved = {key: self._move_boxes(results[key], params, shape) for key in results.get("bbox_fields", [])}
        kept = {key: boxes.larger_than(found, self.filter_thr_px) for key, found in moved.items()}
        if "gt_bboxes" in kept and not kept["gt_bboxes"].any():
            return results
        for key in results.get("mask_fields", []):
            sideways = results[key].translate(shape[:2], params.x, "horizontal", 0)
            results[key] = sideways.translate(shape[:2], params.y, "vertical", 0)
        for key, found in moved.items():
            results[key] = found
            objects.keep(results, key, kept[key])
        for key in results.get("img_fields", ["img"]):
            results[key] = _moved(results[key], params, 0)
        for key in results.get("seg_fields", []):
            results[key] = _moved(results[key], params, 255)
        return results

    def _move_boxes(self, found: np.ndarray, offset: Offset, shape: tuple[int, ...]) -> np.ndarray:
        return boxes.clip(found + np.array(offset * 2, found.dtype), shape)


def _moved(image: np.ndarray, offset: Offset, value: float) -> np.ndarray:
    moved: np.ndarray = np.full_like(image, value)
    images.paste(moved, image, offset.x, offset.y)
    return moved
