"""Shear, move and turn samples by levels, as the policies of AutoAugment do (arXiv:1906.11172)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np

from raydet.transforms import boxes, images, objects
from raydet.transforms.base import Results, Transform
from raydet.transforms.levels import as_fraction, check_within, strength

DIRECTIONS = ("horizontal", "vertical")


class Warp(Transform):
    """An affine change of images, boxes, masks and semantic maps; its size is fixed, its sign drawn.

    Objects that end outside are taken away. Semantic maps are interpolated like images, as in 2.x.

    Args:
        magnitude: size of the change.
        prob: chance that it happens.
        random_negative_prob: chance of the opposite direction.
        img_fill_val: what images get where nothing is left, in [0, 255]; one value, or one per channel.
        seg_ignore_label: what semantic maps get there.
        min_size: boxes must stay wider and higher than this, in pixels.
    """

    interpolation = "bilinear"

    def __init__(
        self,
        magnitude: float,
        prob: float,
        random_negative_prob: float,
        img_fill_val: float | Sequence[float],
        seg_ignore_label: int,
        min_size: float = 0,
    ) -> None:
        self.magnitude = magnitude
        self.prob = as_fraction("prob", prob)
        self.random_negative_prob = as_fraction("random_negative_prob", random_negative_prob)
        self.img_fill_val = _fill_values(img_fill_val)
        check_within("seg_ignore_label", seg_ignore_label, 0, 255)
        self.seg_ignore_label = seg_ignore_label
        self.min_size = min_size

    def matrix(self, magnitude: float, shape: Sequence[int]) -> np.ndarray:
        """`(2, 3)` from points (x, y) of an image of `shape` to where they go."""
        raise NotImplementedError

    def move_masks(self, masks: Any, magnitude: float, shape: Sequence[int]) -> Any:
        """The masks, moved with an image of `shape`."""
        raise NotImplementedError

    def draw(self, results: Results) -> float | None:
        """The magnitude with its sign, or None for no change."""
        if np.random.rand() > self.prob:
            return None
        return -self.magnitude if np.random.rand() < self.random_negative_prob else self.magnitude

    def apply(self, results: Results, params: float | None) -> Results:
        if params is None:
            return results
        shape = results["img_shape"]
        matrix = self.matrix(params, shape)
        for key in results.get("img_fields", ["img"]):
            results[key] = self._move(results[key], matrix, self.img_fill_val)
        for key in results.get("mask_fields", []):
            results[key] = self.move_masks(results[key], params, shape)
        for key in results.get("seg_fields", []):
            results[key] = self._move(results[key], matrix, self.seg_ignore_label)
        for key in results.get("bbox_fields", []):
            results[key] = boxes.clip(boxes.warp(results[key], matrix), shape)
            objects.keep(results, key, boxes.larger_than(results[key], self.min_size))
        return results

    def _move(self, image: np.ndarray, matrix: np.ndarray, value: Any) -> np.ndarray:
        return images.warp(image, matrix, (image.shape[0], image.shape[1]), value, self.interpolation)


class Shear(Warp):
    """Push rows sideways or columns down in proportion to their coordinate.

    Args:
        level: strength in [0, 10]; 10 is `max_shear_magnitude`.
        img_fill_val: what images get where nothing is left, in [0, 255]; one value, or one per channel.
        seg_ignore_label: what semantic maps get there.
        prob: chance that it happens.
        direction: "horizontal" or "vertical".
        max_shear_magnitude: pixels per pixel, in [0, 1].
        random_negative_prob: chance of the opposite direction.
        interpolation: of images, masks and semantic maps.
    """

    def __init__(
        self,
        level: float,
        img_fill_val: float | Sequence[float] = 128,
        seg_ignore_label: int = 255,
        prob: float = 0.5,
        direction: str = "horizontal",
        max_shear_magnitude: float = 0.3,
        random_negative_prob: float = 0.5,
        interpolation: str = "bilinear",
    ) -> None:
        as_fraction("max_shear_magnitude", max_shear_magnitude)
        magnitude = strength(level) * max_shear_magnitude
        super().__init__(magnitude, prob, random_negative_prob, img_fill_val, seg_ignore_label)
        images.check_interpolation("cv2", interpolation)
        self.level = level
        self.direction = _checked_direction(direction)
        self.max_shear_magnitude = max_shear_magnitude
        self.interpolation = interpolation

    def matrix(self, magnitude: float, shape: Sequence[int]) -> np.ndarray:
        matrix: np.ndarray = np.eye(2, 3, dtype=np.float32)
        axis = DIRECTIONS.index(self.direction)
        matrix[axis, 1 - axis] = magnitude
        return matrix

    def move_masks(self, masks: Any, magnitude: float, shape: Sequence[int]) -> Any:
        return masks.shear(tuple(shape[:2]), magnitude, self.direction, interpolation=self.interpolation)


class Translate(Warp):
    """Move by a number of pixels.

    Args:
        level: strength in [0, 10]; 10 is `max_translate_offset`.
        prob: chance that it happens.
        img_fill_val: what images get where nothing is left, in [0, 255]; one value, or one per channel.
        seg_ignore_label: what semantic maps get there.
        direction: "horizontal" or "vertical".
        max_translate_offset: pixels.
        random_negative_prob: chance of the opposite direction.
        min_size: boxes must stay wider and higher than this, in pixels.
    """

    def __init__(
        self,
        level: float,
        prob: float = 0.5,
        img_fill_val: float | Sequence[float] = 128,
        seg_ignore_label: int = 255,
        direction: str = "horizontal",
        max_translate_offset: float = 250.0,
        random_negative_prob: float = 0.5,
        min_size: float = 0,
    ) -> None:
        offset = int(strength(level) * max_translate_offset)
        super().__init__(offset, prob, random_negative_prob, img_fill_val, seg_ignore_label, min_size)
        self.level = level
        self.direction = _checked_direction(direction)
        self.max_translate_offset = max_translate_offset

    def matrix(self, magnitude: float, shape: Sequence[int]) -> np.ndarray:
        matrix: np.ndarray = np.eye(2, 3, dtype=np.float32)
        matrix[DIRECTIONS.index(self.direction), 2] = magnitude
        return matrix

    def move_masks(self, masks: Any, magnitude: float, shape: Sequence[int]) -> Any:
        return masks.translate(tuple(shape[:2]), magnitude, self.direction, 0)


class Rotate(Warp):
    """Turn clockwise around a point, and scale.

    Args:
        level: strength in [0, 10]; 10 is `max_rotate_angle`.
        scale: factor on the size of what is turned.
        center: (x, y) in pixels, or one number for both; the middle of the image when left out.
        img_fill_val: what images get where nothing is left, in [0, 255]; one value, or one per channel.
        seg_ignore_label: what semantic maps get there.
        prob: chance that it happens.
        max_rotate_angle: degrees.
        random_negative_prob: chance to turn the other way.
    """

    def __init__(
        self,
        level: float,
        scale: float = 1,
        center: float | Sequence[float] | None = None,
        img_fill_val: float | Sequence[float] = 128,
        seg_ignore_label: int = 255,
        prob: float = 0.5,
        max_rotate_angle: float = 30,
        random_negative_prob: float = 0.5,
    ) -> None:
        angle = strength(level) * max_rotate_angle
        super().__init__(angle, prob, random_negative_prob, img_fill_val, seg_ignore_label)
        self.level = level
        self.scale = scale
        self.center = (center, center) if isinstance(center, (int, float)) else center
        self.max_rotate_angle = max_rotate_angle

    def matrix(self, magnitude: float, shape: Sequence[int]) -> np.ndarray:
        return np.asarray(cv2.getRotationMatrix2D(self._pivot(shape), -magnitude, self.scale))

    def move_masks(self, masks: Any, magnitude: float, shape: Sequence[int]) -> Any:
        return masks.rotate(tuple(shape[:2]), magnitude, self._pivot(shape), self.scale)

    def _pivot(self, shape: Sequence[int]) -> tuple[float, float]:
        if self.center is not None:
            return self.center[0], self.center[1]
        return (shape[1] - 1) * 0.5, (shape[0] - 1) * 0.5


def _fill_values(value: float | Sequence[float]) -> tuple[float, ...]:
    values = (float(value),) * 3 if isinstance(value, (int, float)) else tuple(float(each) for each in value)
    if len(values) != 3:
        raise ValueError(f"img_fill_val must be one value or three, got {value!r}")
    for each in values:
        check_within("img_fill_val", each, 0, 255)
    return values


def _checked_direction(direction: str) -> str:
    if direction not in DIRECTIONS:
        raise ValueError(f"direction must be one of {DIRECTIONS}, got {direction!r}")
    return direction
