"""Subtract the mean, divide by the deviation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np

from raydet.transforms.base import Results, Transform


class Normalize(Transform):
    """Normalise images channel by channel.

    Args:
        mean: one value per channel, in the channel order after `to_rgb`.
        std: likewise.
        to_rgb: turn BGR into RGB first.
    """

    def __init__(self, mean: Sequence[float], std: Sequence[float], to_rgb: bool = True) -> None:
        self.mean = np.array(mean, np.float32)
        self.std = np.array(std, np.float32)
        self.to_rgb = to_rgb
        if self.mean.shape != self.std.shape or (self.std == 0).any():
            raise ValueError(f"mean and std must be of one length and std not zero, got mean={mean!r}, std={std!r}")

    def apply(self, results: Results, params: None) -> Results:
        for key in results.get("img_fields", ["img"]):
            results[key] = normalize(results[key], self.mean, self.std, self.to_rgb)
        results["img_norm_cfg"] = self.config()
        return results

    def config(self) -> dict[str, Any]:
        """What `img_norm_cfg` of the image's metadata says."""
        return {"mean": self.mean, "std": self.std, "to_rgb": self.to_rgb}


def normalize(image: np.ndarray, mean: np.ndarray, std: np.ndarray, to_rgb: bool) -> np.ndarray:
    """`(image - mean) / std` as float32, of an image `(H, W, C)` or `(H, W)`."""
    if image.dtype == np.uint8 and image.ndim == 3 and image.shape[2] == len(mean) == 3:
        image = cv2.cvtColor(image, cv2.COLOR_BGR2RGB) if to_rgb else image
        return np.asarray(cv2.LUT(image, normalize(_EVERY_VALUE, mean, std, to_rgb=False)))
    normalized = image.astype(np.float32, order="C")  # OpenCV writes into no other layout
    if to_rgb:
        cv2.cvtColor(normalized, cv2.COLOR_BGR2RGB, normalized)
    if normalized.ndim == 3 and normalized.shape[2] == len(mean) == 3:
        cv2.subtract(normalized, mean.astype(np.float64).reshape(1, -1), normalized)
        cv2.multiply(normalized, 1 / std.astype(np.float64).reshape(1, -1), normalized)
        return normalized
    return np.asarray((normalized - mean) * (1 / std), np.float32)


_EVERY_VALUE = np.repeat(np.arange(256, dtype=np.float32)[:, None, None], 3, axis=2)
"""`(256, 1, 3)`: what bytes can hold, normalised once per image and then looked up."""
