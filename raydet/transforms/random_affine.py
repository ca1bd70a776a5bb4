"""Turn, scale, shear and move a sample at once."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from raydet.transforms import boxes, images, objects
from raydet.transforms.base import Results, Transform
from raydet.transforms.levels import as_fraction


class Movement(NamedTuple):
    """What `RandomAffine` drew: a matrix `(2, 3)`, the size (height, width) of the result, and the scale in it."""

    matrix: np.ndarray
    size: tuple[int, int]
    scale: float


class RandomAffine(Transform):
    """A random affine change of images and boxes (YOLOX, arXiv:2107.08430); masks are not supported.

    Args:
        max_rotate_degree: largest angle.
        max_translate_ratio: largest movement as a fraction of the result's size.
        scaling_ratio_range: scale, drawn between the two.
        max_shear_degree: largest angle of the shear in either direction.
        border: (height, width) added on each side of the image; negative ones take away.
        border_val: what stands where nothing comes from the image.
        min_bbox_size: boxes must stay wider and higher than this, in pixels.
        min_area_ratio: of the scaled box, more than this fraction must be left.
        max_aspect_ratio: of the longer side of a box to the shorter one, not to be reached.
        bbox_clip_border: clip boxes to the result.
        skip_filter: leave the last three rules out; boxes that end outside always go.
    """

    def __init__(
        self,
        max_rotate_degree: float = 10.0,
        max_translate_ratio: float = 0.1,
        scaling_ratio_range: Sequence[float] = (0.5, 1.5),
        max_shear_degree: float = 2.0,
        border: Sequence[int] = (0, 0),
        border_val: Sequence[float] = (114, 114, 114),
        min_bbox_size: float = 2,
        min_area_ratio: float = 0.2,
        max_aspect_ratio: float = 20,
        bbox_clip_border: bool = True,
        skip_filter: bool = True,
    ) -> None:
        if not 0 < scaling_ratio_range[0] <= scaling_ratio_range[1]:
            raise ValueError(f"scaling_ratio_range must be (low, high), both positive, got {scaling_ratio_range!r}")
        self.max_rotate_degree = max_rotate_degree
        self.max_translate_ratio = as_fraction("max_translate_ratio", max_translate_ratio)
        self.scaling_ratio_range = (scaling_ratio_range[0], scaling_ratio_range[1])
        self.max_shear_degree = max_shear_degree
        self.border = (border[0], border[1])
        self.border_val = tuple(border_val)
        self.min_bbox_size = min_bbox_size
        self.min_area_ratio = min_area_ratio
        self.max_aspect_ratio = max_aspect_ratio
        self.bbox_clip_border = bbox_clip_border
        self.skip_filter = skip_filter

    def draw(self, results: Results) -> Movement:
        height, width = (edge + 2 * more for edge, more in zip(results["img"].shape, self.border, strict=False))
        angle = _symmetric(self.max_rotate_degree)
        scale = np.random.uniform(*self.scaling_ratio_range)
        shear_x, shear_y = (math.tan(math.radians(_symmetric(self.max_shear_degree))) for _ in range(2))
        right, down = (_symmetric(self.max_translate_ratio) * edge for edge in (width, height))
        sine, cosine = math.sin(math.radians(angle)), math.cos(math.radians(angle))
        turned = scale * np.array([[cosine, -sine], [sine, cosine]])
        linear = np.array([[1, shear_x], [shear_y, 1]]) @ turned
        matrix = np.column_stack([linear, [right, down]]).astype(np.float32)
        return Movement(matrix, (height, width), scale)

    def apply(self, results: Results, params: Movement) -> Results:
        objects.need_boxes_only(results, self)
        results["img"] = images.warp(results["img"], params.matrix, params.size, self.border_val)
        results["img_shape"] = results["img"].shape
        for key in results.get("bbox_fields", []):
            before = results[key] * np.float32(params.scale)
            moved = boxes.warp(results[key], params.matrix)
            results[key] = boxes.clip(moved, params.size) if self.bbox_clip_border else moved
            objects.keep(results, key, self._valid(before, results[key], params.size))
        return results

    def _valid(self, before: np.ndarray, after: np.ndarray, size: tuple[int, int]) -> np.ndarray:
        valid: np.ndarray = boxes.touching(after, size)
        if not self.skip_filter:
            rules = (self.min_bbox_size, self.min_area_ratio, self.max_aspect_ratio)
            valid &= boxes.survivors(before, after, *rules)
        return valid


def _symmetric(limit: float) -> float:
    return np.random.uniform(-limit, limit)
