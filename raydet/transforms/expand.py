"""Put an image somewhere on a larger canvas."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from raydet.transforms import images
from raydet.transforms.base import Results, Transform
from raydet.transforms.levels import as_fraction


class Canvas(NamedTuple):
    """Size of a canvas and where the image's upper left corner lies on it, in pixels."""

    height: int
    width: int
    top: int
    left: int


class Expand(Transform):
    """Make objects smaller by more surroundings (SSD, arXiv:1512.02325).

    Args:
        mean: colour of the canvas, in the channel order after `to_rgb`, as for `Normalize`.
        to_rgb: `mean` is in RGB order, the images in BGR.
        ratio_range: canvas size in units of the image size, drawn between the two.
        seg_ignore_label: value of the canvas in semantic maps.
        prob: chance that it happens.
    """

    def __init__(
        self,
        mean: Sequence[float] = (0, 0, 0),
        to_rgb: bool = True,
        ratio_range: Sequence[float] = (1, 4),
        seg_ignore_label: int | None = None,
        prob: float = 0.5,
    ) -> None:
        self.to_rgb = to_rgb
        self.mean = tuple(mean)[::-1] if to_rgb else tuple(mean)
        self.ratio_range = (ratio_range[0], ratio_range[1])
        if not 1 <= ratio_range[0] <= ratio_range[1]:
            raise ValueError(f"ratio_range must be (low, high) with 1 <= low <= high, got {ratio_range!r}")
        self.seg_ignore_label = seg_ignore_label
        self.prob = as_fraction("prob", prob)

    def draw(self, results: Results) -> Canvas | None:
        """The canvas, or None for no change."""
        if np.random.uniform(0, 1) > self.prob:
            return None
        height, width = results["img"].shape[:2]
        ratio = np.random.uniform(*self.ratio_range)
        left = int(np.random.uniform(0, width * ratio - width))
        top = int(np.random.uniform(0, height * ratio - height))
        return Canvas(int(height * ratio), int(width * ratio), top, left)

    def apply(self, results: Results, params: Canvas | None) -> Results:
        if params is None:
            return results
        results["img"] = self._expand(results["img"], params, self.mean)
        results["img_shape"] = results["img"].shape
        for key in results.get("bbox_fields", []):
            results[key] = results[key] + np.array([params.left, params.top] * 2, results[key].dtype)
        for key in results.get("mask_fields", []):
            results[key] = results[key].expand(*params)
        for key in results.get("seg_fields", []):
            if self.seg_ignore_label is None:
                raise ValueError(f"Expand needs seg_ignore_label, since the sample has the semantic map {key!r}")
            results[key] = self._expand(results[key], params, self.seg_ignore_label)
        return results

    def _expand(self, image: np.ndarray, canvas: Canvas, value: float | Sequence[float]) -> np.ndarray:
        expanded: np.ndarray = np.empty((canvas.height, canvas.width, *image.shape[2:]), image.dtype)
        expanded[...] = value
        images.paste(expanded, image, canvas.left, canvas.top)
        return expanded
