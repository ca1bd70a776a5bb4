"""Change colours by chance."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np

from raydet.transforms.base import Results, Transform


class Distortion(NamedTuple):
    """What `PhotoMetricDistortion` drew; None leaves that property as it is."""

    brightness: float | None
    contrast: float | None
    contrast_first: bool
    saturation: float | None
    hue: float | None
    channels: np.ndarray | None


class PhotoMetricDistortion(Transform):
    """Brightness, contrast, saturation, hue and channel order, each by a chance of one half (SSD, arXiv:1512.02325).

    Args:
        brightness_delta: added to pixel values, drawn from [-delta, delta].
        contrast_range: factor on pixel values.
        saturation_range: factor on the saturation.
        hue_delta: added to the hue in degrees, drawn from [-delta, delta].
    """

    def __init__(
        self,
        brightness_delta: float = 32,
        contrast_range: Sequence[float] = (0.5, 1.5),
        saturation_range: Sequence[float] = (0.5, 1.5),
        hue_delta: float = 18,
    ) -> None:
        self.brightness_delta = brightness_delta
        self.contrast_range = (contrast_range[0], contrast_range[1])
        self.saturation_range = (saturation_range[0], saturation_range[1])
        self.hue_delta = hue_delta

    def draw(self, results: Results) -> Distortion:
        brightness = _perhaps(-self.brightness_delta, self.brightness_delta)
        contrast_first = np.random.randint(2) == 1
        contrast = _perhaps(*self.contrast_range) if contrast_first else None
        saturation = _perhaps(*self.saturation_range)
        hue = _perhaps(-self.hue_delta, self.hue_delta)
        if not contrast_first:
            contrast = _perhaps(*self.contrast_range)
        channels = np.random.permutation(3) if np.random.randint(2) else None
        return Distortion(brightness, contrast, contrast_first, saturation, hue, channels)

    def apply(self, results: Results, params: Distortion) -> Results:
        if results.get("img_fields", ["img"]) != ["img"]:
            raise ValueError(f"PhotoMetricDistortion works on one image, got img_fields={results['img_fields']!r}")
        image = results["img"].astype(np.float32)
        if params.brightness is not None:
            image += params.brightness
        if params.contrast is not None and params.contrast_first:
            image *= params.contrast
        image = self._distort_hsv(image, params)
        if params.contrast is not None and not params.contrast_first:
            image *= params.contrast
        results["img"] = image if params.channels is None else image[..., params.channels]
        return results

    def _distort_hsv(self, image: np.ndarray, params: Distortion) -> np.ndarray:
        hsv = cv2.cvtColor(image, cv2.COLOR_BGR2HSV)
        if params.saturation is not None:
            hsv[..., 1] *= params.saturation  # may exceed 1, as in 2.x: colours then leave [0, 255]
        if params.hue is not None:
            hue = hsv[..., 0]
            hue += params.hue
            hue[hue > 360] -= 360
            hue[hue < 0] += 360
        return np.asarray(cv2.cvtColor(hsv, cv2.COLOR_HSV2BGR))


class YOLOXHSVRandomAug(Transform):
    """Shift hue, saturation and value of an 8-bit image, each by a chance of one half (YOLOX, arXiv:2107.08430).

    Args:
        hue_delta: largest shift of the hue, in units of two degrees.
        saturation_delta: largest shift of the saturation, in [0, 255].
        value_delta: largest shift of the value, in [0, 255].
    """

    def __init__(self, hue_delta: int = 5, saturation_delta: int = 30, value_delta: int = 30) -> None:
        self.hue_delta = hue_delta
        self.saturation_delta = saturation_delta
        self.value_delta = value_delta

    def draw(self, results: Results) -> np.ndarray:
        """`(3,)` int16 shifts."""
        shifts = np.random.uniform(-1, 1, 3) * [self.hue_delta, self.saturation_delta, self.value_delta]
        return (shifts * np.random.randint(0, 2, 3)).astype(np.int16)

    def apply(self, results: Results, params: np.ndarray) -> Results:
        image = results["img"]
        if image.dtype != np.uint8:
            raise ValueError(f"YOLOXHSVRandomAug needs uint8 images, got {image.dtype}; set to_float32=False")
        values = np.arange(256)[:, None] + params
        tables = np.stack([values[:, 0] % 180, *values[:, 1:].clip(0, 255).T], axis=1).astype(np.uint8)
        hsv = cv2.LUT(cv2.cvtColor(image, cv2.COLOR_BGR2HSV), tables[None])
        results["img"] = cv2.cvtColor(hsv, cv2.COLOR_HSV2BGR)
        return results


def _perhaps(low: float, high: float) -> float | None:
    return np.random.uniform(low, high) if np.random.randint(2) else None
