"""Cover parts of an image."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from raydet.transforms.base import Results, Transform
from raydet.transforms.crop import Window


class CutOut(Transform):
    """Fill rectangles of an image with one colour (arXiv:1708.04552).

    Args:
        n_holes: how many, or (least, most).
        cutout_shape: (width, height) in pixels, or several to draw from.
        cutout_ratio: (width, height) as fractions of the image, or several. Exactly one of these two.
        fill_in: value of each channel.
    """

    def __init__(
        self,
        n_holes: int | Sequence[int],
        cutout_shape: Any = None,
        cutout_ratio: Any = None,
        fill_in: Sequence[float] = (0, 0, 0),
    ) -> None:
        if (cutout_shape is None) == (cutout_ratio is None):
            raise ValueError(
                "CutOut needs exactly one of cutout_shape and cutout_ratio, got "
                f"cutout_shape={cutout_shape!r}, cutout_ratio={cutout_ratio!r}"
            )
        self.n_holes = (n_holes, n_holes) if isinstance(n_holes, int) else (n_holes[0], n_holes[1])
        if not 0 <= self.n_holes[0] <= self.n_holes[1]:
            raise ValueError(f"n_holes must be a number or (least, most), got {n_holes!r}")
        self.with_ratio = cutout_ratio is not None
        sizes = cutout_ratio if self.with_ratio else cutout_shape
        self.candidates = [sizes] if isinstance(sizes[0], (int, float)) else list(sizes)
        self.fill_in = fill_in

    def draw(self, results: Results) -> list[Window]:
        """The holes; those that begin near an edge may go beyond it."""
        height, width = results["img"].shape[:2]
        count = np.random.randint(self.n_holes[0], self.n_holes[1] + 1)
        return [self._draw_hole(height, width) for _ in range(count)]

    def _draw_hole(self, height: int, width: int) -> Window:
        left = np.random.randint(0, width)
        top = np.random.randint(0, height)
        hole = self.candidates[np.random.randint(0, len(self.candidates))]
        if self.with_ratio:
            return Window(top, left, int(hole[1] * height), int(hole[0] * width))
        return Window(top, left, int(hole[1]), int(hole[0]))

    def apply(self, results: Results, params: list[Window]) -> Results:
        image = results["img"].copy()
        for hole in params:
            hole.cut(image)[...] = self.fill_in
        results["img"] = image
        return results
