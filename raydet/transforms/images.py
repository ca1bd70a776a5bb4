"""Resizing, flipping, padding, pasting and warping of numpy images `(H, W)` or `(H, W, C)`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import cv2
import numpy as np
from PIL import Image

from raydet.structures.masks.bitmap import INTERPOLATIONS

Size = tuple[int, int]

PILLOW_FILTERS = {
    "nearest": Image.Resampling.NEAREST,
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "box": Image.Resampling.BOX,
    "lanczos": Image.Resampling.LANCZOS,
    "hamming": Image.Resampling.HAMMING,
}
BACKENDS: Mapping[str, Mapping[str, Any]] = {"cv2": INTERPOLATIONS, "pillow": PILLOW_FILTERS}


def check_interpolation(backend: str, interpolation: str) -> None:
    """Raise ValueError unless `backend` can interpolate like that."""
    if backend not in BACKENDS:
        raise ValueError(f"backend must be one of {sorted(BACKENDS)}, got {backend!r}")
    if interpolation not in BACKENDS[backend]:
        raise ValueError(
            f"interpolation of backend {backend!r} must be one of {sorted(BACKENDS[backend])}, got {interpolation!r}"
        )


def resize(image: np.ndarray, size: Size, interpolation: str = "bilinear", backend: str = "cv2") -> np.ndarray:
    """Resize to `size` = (width, height)."""
    check_interpolation(backend, interpolation)
    if backend == "pillow":
        if image.dtype != np.uint8:
            raise ValueError(f"backend 'pillow' resizes uint8 images, got {image.dtype}; use backend 'cv2'")
        return np.array(Image.fromarray(image).resize(size, PILLOW_FILTERS[interpolation]))
    return np.asarray(cv2.resize(image, size, interpolation=INTERPOLATIONS[interpolation]))


def fit(size: Size, scale: float | Sequence[int]) -> Size:
    """The largest (width, height) of the aspect ratio of `size` within `scale`.

    Args:
        size: (width, height).
        scale: a factor, or the bounds of the long and the short edge in any order.
    """
    if isinstance(scale, (float, int)):
        if scale <= 0:
            raise ValueError(f"a scale factor must be positive, got {scale}")
        factor = float(scale)
    else:
        factor = min(max(scale) / max(size), min(scale) / min(size))
    return max(int(size[0] * factor + 0.5), 1), max(int(size[1] * factor + 0.5), 1)


def flip(image: np.ndarray, direction: str) -> np.ndarray:
    """Mirror "horizontal" (left to right), "vertical" or "diagonal" (both)."""
    axes = {"horizontal": (1,), "vertical": (0,), "diagonal": (0, 1)}[direction]
    if image.dtype in (np.uint8, np.float32) and image.size and (image.ndim == 2 or 1 < image.shape[2] <= 4):
        return np.asarray(cv2.flip(image, {(1,): 1, (0,): 0, (0, 1): -1}[axes]))
    return np.ascontiguousarray(np.flip(image, axes))


def pad(image: np.ndarray, size: Size, value: float | Sequence[float]) -> np.ndarray:
    """Pad at the right and the bottom to `size` = (height, width); an edge that is longer stays.

    Args:
        image: `(H, W)` or `(H, W, C)`.
        size: (height, width).
        value: one value, or one per channel.
    """
    height, width = max(size[0], image.shape[0]), max(size[1], image.shape[1])
    if (height, width) == image.shape[:2]:
        return image
    padded = np.empty((height, width, *image.shape[2:]), image.dtype)
    padded[image.shape[0] :] = value
    padded[: image.shape[0], image.shape[1] :] = value
    padded[: image.shape[0], : image.shape[1]] = image
    return padded


def paste(canvas: np.ndarray, image: np.ndarray, left: int, top: int) -> None:
    """Write `image` into `canvas` with its upper left corner at (left, top), as far as it lies inside."""
    y1, x1 = max(top, 0), max(left, 0)
    part = image[y1 - top : max(canvas.shape[0] - top, 0), x1 - left : max(canvas.shape[1] - left, 0)]
    canvas[y1 : y1 + part.shape[0], x1 : x1 + part.shape[1]] = part


def warp(
    image: np.ndarray,
    matrix: np.ndarray,
    size: Size,
    value: float | Sequence[float] = 0,
    interpolation: str = "bilinear",
) -> np.ndarray:
    """Move every pixel by the affine `matrix` `(2, 3)`.

    Args:
        image: `(H, W)` or `(H, W, C)`, at most four channels.
        matrix: from points (x, y) of the image to points of the result.
        size: (height, width) of the result.
        value: where nothing comes from the image; one value, or one per channel.
        interpolation: a key of `INTERPOLATIONS`.
    """
    fill = [float(value)] * 4 if isinstance(value, (int, float)) else [float(each) for each in value]
    flags = INTERPOLATIONS[interpolation]
    return np.asarray(cv2.warpAffine(image, matrix, (size[1], size[0]), flags=flags, borderValue=fill))
