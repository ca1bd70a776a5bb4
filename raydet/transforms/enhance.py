"""Change colour, brightness and contrast by levels, as the policies of AutoAugment do (arXiv:1906.11172)."""

from __future__ import annotations

import cv2
import numpy as np
from PIL import Image, ImageOps

from raydet.transforms.base import Results, Transform
from raydet.transforms.levels import MAX_LEVEL, as_fraction, strength


class Enhancement(Transform):
    """A change of all images of a sample that happens by chance.

    Args:
        level: in [0, 10]; 5 leaves the image, for most.
        prob: chance that it happens.
    """

    def __init__(self, level: float, prob: float = 0.5) -> None:
        self.level = level
        self.factor = strength(level) * 1.8 + 0.1
        self.prob = as_fraction("prob", prob)

    def enhance(self, image: np.ndarray) -> np.ndarray:
        """The changed image."""
        raise NotImplementedError

    def draw(self, results: Results) -> bool:
        """Whether it happens."""
        return np.random.rand() <= self.prob

    def apply(self, results: Results, params: bool) -> Results:
        if params:
            for key in results.get("img_fields", ["img"]):
                results[key] = self.enhance(results[key])
        return results


class ColorTransform(Enhancement):
    """Between grey and more colour.

    Args:
        level: in [0, 10]; 0 is nearly grey, 5 leaves the image, 10 nearly doubles the colour.
        prob: chance that it happens.
    """

    def enhance(self, image: np.ndarray) -> np.ndarray:
        grey = cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY), cv2.COLOR_GRAY2BGR)
        mixed = cv2.addWeighted(image, self.factor, grey, 1 - self.factor, 0)
        return np.asarray(np.clip(mixed, 0, 255), image.dtype)


class BrightnessTransform(Enhancement):
    """Between black and brighter.

    Args:
        level: in [0, 10]; 0 is nearly black, 5 leaves the image, 10 nearly doubles the brightness.
        prob: chance that it happens.
    """

    def enhance(self, image: np.ndarray) -> np.ndarray:
        return _stretched(image, self.factor, 0)


class ContrastTransform(Enhancement):
    """Between an even grey and more contrast.

    Args:
        level: in [0, 10]; 0 is nearly even, 5 leaves the image, 10 nearly doubles the contrast.
        prob: chance that it happens.
    """

    def enhance(self, image: np.ndarray) -> np.ndarray:
        grey = cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)
        return _stretched(image, self.factor, round(float(grey.mean())))


class EqualizeTransform(Enhancement):
    """Spread the histogram of each channel over all values.

    Args:
        prob: chance that it happens.
    """

    def __init__(self, prob: float = 0.5) -> None:
        super().__init__(MAX_LEVEL, prob)  # it knows no half measures

    def enhance(self, image: np.ndarray) -> np.ndarray:
        if image.dtype != np.uint8:
            raise ValueError(f"EqualizeTransform needs uint8 images, got {image.dtype}; set to_float32=False")
        return np.array(ImageOps.equalize(Image.fromarray(image)))


def _stretched(image: np.ndarray, factor: float, pivot: float) -> np.ndarray:
    """Distances of values from `pivot` times `factor`, cut to [0, 255]."""
    values = image.astype(np.float32) * factor + pivot * (1 - factor)
    return np.asarray(values.clip(0, 255).astype(image.dtype))
