"""Normalising the pixels of a batch where the model is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import cv2
import numpy as np
import torch
from torch import Tensor

NORM_SPEC = "norm_spec"
"""A batch's key for its `NormSpec`."""


@dataclass(frozen=True)
class NormSpec:
    """A normalisation that is still to be done.

    Attributes:
        mean: one value per channel, after `to_rgb`.
        std: likewise.
        to_rgb: turn BGR into RGB first.
        pad_value: of `Pad`, between `img_shape` and `pad_shape`; one value, or one per channel.
        batch_value: of collation, beyond `pad_shape`.
        padded_before: `Pad` stood before `Normalize`, so that its padding is normalised like pixels.
    """

    mean: tuple[float, ...]
    std: tuple[float, ...]
    to_rgb: bool
    pad_value: float | tuple[float, ...] = 0.0
    batch_value: float = 0.0
    padded_before: bool = False


def normalize_images(images: Tensor, metas: Sequence[Mapping[str, Any]], spec: NormSpec) -> Tensor:
    """Normalise and fill the padding.

    Args:
        images: `(N, 3, H, W)` uint8.
        metas: N entries with `img_shape` and `pad_shape`.
        spec: what to do.

    Returns:
        `(N, 3, H, W)` float32, contiguous.
    """
    pixels = (_on_cpu if images.device.type == "cpu" else _on_accelerator)(images, spec)
    if not spec.padded_before:
        _fill_beyond(pixels, metas, "img_shape", spec.pad_value)
    _fill_beyond(pixels, metas, "pad_shape", spec.batch_value)
    return pixels


def _on_accelerator(images: Tensor, spec: NormSpec) -> Tensor:
    if spec.to_rgb:
        images = images.flip(1)
    mean, std = (torch.tensor(each, device=images.device).view(-1, 1, 1) for each in (spec.mean, spec.std))
    return images.to(torch.float32, memory_format=torch.contiguous_format).sub_(mean).mul_(1 / std)


def _on_cpu(images: Tensor, spec: NormSpec) -> Tensor:
    """A byte has 256 values: splitting channels and looking them up takes a sixth of the time of arithmetic."""
    # numpy asks for large pages, which saves thousands of page faults per image
    pixels = np.empty(tuple(images.shape), np.float32)
    tables = _tables(spec)
    for image, result in zip(images, pixels, strict=True):
        planes = image.numpy() if image.is_contiguous() else cv2.split(image.permute(1, 2, 0).contiguous().numpy())
        for plane, table, target in zip(planes[:: -1 if spec.to_rgb else 1], tables, result, strict=True):
            cv2.LUT(plane, table, target)
    return torch.from_numpy(pixels)


@lru_cache(maxsize=16)
def _tables(spec: NormSpec) -> np.ndarray:
    """`(C, 256)` float32, what becomes of each value of each channel."""
    mean, std = (torch.tensor(each)[:, None] for each in (spec.mean, spec.std))
    return np.asarray((torch.arange(256, dtype=torch.float32) - mean).mul_(1 / std).numpy())


def _fill_beyond(images: Tensor, metas: Sequence[Mapping[str, Any]], key: str, value: float | Sequence[float]) -> None:
    """Write `value` at the right of and below the shape that `metas[i][key]` gives."""
    filling = torch.as_tensor(value, dtype=images.dtype, device=images.device).view(-1, 1, 1)
    for image, meta in zip(images, metas, strict=True):
        height, width = meta[key][:2]
        image[:, height:] = filling
        image[:, :height, width:] = filling
