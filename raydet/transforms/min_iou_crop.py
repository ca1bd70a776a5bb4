"""Cut a window that overlaps enough with every object."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from raydet.transforms import boxes, objects
from raydet.transforms.base import Results, Transform
from raydet.transforms.crop import Window
from raydet.transforms.levels import as_fraction

_TRIES = 50
_WHOLE_IMAGE = 1


class MinIoURandomCrop(Transform):
    """Cut a window that has a least IoU with all boxes; objects with their center inside stay (SSD, arXiv:1512.02325).

    Args:
        min_ious: least IoUs to draw from, besides none and the whole image.
        min_crop_size: least side of the window as a fraction of the image's.
        bbox_clip_border: clip boxes to the window.
    """

    def __init__(
        self,
        min_ious: Sequence[float] = (0.1, 0.3, 0.5, 0.7, 0.9),
        min_crop_size: float = 0.3,
        bbox_clip_border: bool = True,
    ) -> None:
        self.min_ious = tuple(min_ious)
        self.sample_mode = (_WHOLE_IMAGE, *self.min_ious, 0)
        self.min_crop_size = as_fraction("min_crop_size", min_crop_size)
        self.bbox_clip_border = bbox_clip_border

    def draw(self, results: Results) -> Window | None:
        """The window, or None for the whole image."""
        found = np.concatenate([results[key] for key in results["bbox_fields"]])
        while (least := np.random.choice(self.sample_mode)) != _WHOLE_IMAGE:
            for _ in range(_TRIES):
                window = self._draw_window(*results["img"].shape[:2])
                if window is not None and _is_good(window, found, least):
                    return window
        return None

    def _draw_window(self, height: int, width: int) -> Window | None:
        """A window, or None when it is too long."""
        new_width = np.random.uniform(self.min_crop_size * width, width)
        new_height = np.random.uniform(self.min_crop_size * height, height)
        if not 0.5 <= new_height / new_width <= 2:
            return None
        left = np.random.uniform(0, width - new_width)
        top = np.random.uniform(0, height - new_height)
        right, bottom = int(left + new_width), int(top + new_height)
        if right == int(left) or bottom == int(top):
            return None
        return Window(int(top), int(left), bottom - int(top), right - int(left))

    def apply(self, results: Results, params: Window | None) -> Results:
        if results.get("img_fields", ["img"]) != ["img"]:
            raise ValueError(f"MinIoURandomCrop works on one image, got img_fields={results['img_fields']!r}")
        if params is None:
            return results
        results["img"] = params.cut(results["img"])
        results["img_shape"] = results["img"].shape
        for key in results["bbox_fields"]:
            inside = boxes.centered_in(results[key], params.corners)
            results[key] = params.move(results[key], self.bbox_clip_border)
            objects.keep(results, key, inside)
            objects.crop_masks(results, key, params.corners)
        for key in results.get("seg_fields", []):
            results[key] = params.cut(results[key])
        return results


def _is_good(window: Window, found: np.ndarray, least: float) -> bool:
    if not len(found):
        return True
    overlap = boxes.overlaps(window.corners, found)
    return bool(overlap.min() >= least and boxes.centered_in(found, window.corners).any())
