"""Masks stored as one bitmap per instance."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import cv2
import numpy as np
import torch
from torch import Tensor
from typing_extensions import Self

from raydet.structures.masks.base import Masks, Size, check_flip, one_canvas

INTERPOLATIONS = {
    "nearest": cv2.INTER_NEAREST,
    "bilinear": cv2.INTER_LINEAR,
    "bicubic": cv2.INTER_CUBIC,
    "area": cv2.INTER_AREA,
    "lanczos": cv2.INTER_LANCZOS4,
}


class BitmapMasks(Masks):
    """Masks as an array `(G, height, width)`, non-zero inside.

    Args:
        masks: the array, or a sequence of `(height, width)` arrays.
        height: of the canvas.
        width: of the canvas.

    Raises:
        ValueError: a mask has another size than the canvas.
        TypeError: `masks` is neither a sequence nor an array.
    """

    masks: np.ndarray

    def __init__(self, masks: np.ndarray | Sequence[np.ndarray], height: int, width: int) -> None:
        super().__init__(_stacked(masks, height, width), height, width)

    def __getitem__(self, index: Any) -> Self:
        return self._like(self.masks[index].reshape(-1, self.height, self.width))

    @property
    def areas(self) -> np.ndarray:
        return np.asarray(self.masks.sum((1, 2)))

    def resize(self, out_shape: Size, interpolation: str = "nearest") -> Self:
        h, w = out_shape
        flag = _interpolation(interpolation)
        return self._mapped(lambda mask: cv2.resize(mask, (w, h), interpolation=flag), out_shape)

    def flip(self, flip_direction: str = "horizontal") -> Self:
        check_flip(flip_direction)
        axes = {"horizontal": (2,), "vertical": (1,), "diagonal": (1, 2)}[flip_direction]
        return self._like(np.ascontiguousarray(np.flip(self.masks, axes)))

    def pad(self, out_shape: Size, pad_val: int = 0) -> Self:
        h, w = out_shape
        if h < self.height or w < self.width:
            raise ValueError(f"cannot pad masks of {self.height} x {self.width} to the smaller {h} x {w}; crop them")
        margins = ((0, 0), (0, h - self.height), (0, w - self.width))
        return self._like(np.pad(self.masks, margins, constant_values=pad_val))

    def crop(self, bbox: np.ndarray) -> Self:
        x, y, w, h = (int(v) for v in self._crop_window(bbox))
        # A window beyond the right or lower edge still gives one pixel.
        window = self.masks[:, y : y + h, x : x + w]
        missing = ((0, 0), (0, h - window.shape[1]), (0, w - window.shape[2]))
        return self._like(np.pad(window, missing) if any(m[1] for m in missing) else window)

    def crop_and_resize(
        self,
        bboxes: Any,
        out_shape: Size,
        inds: Any,
        device: str | torch.device = "cpu",
        interpolation: str = "bilinear",
        binarize: bool = True,
    ) -> Self:
        if len(self) == 0:
            return self._like(np.empty((0, *out_shape), dtype=np.uint8))
        boxes, rows = torch.as_tensor(bboxes, device=device), torch.as_tensor(inds, device=device)
        return self._like(self._sampled(boxes, rows, out_shape, binarize).cpu().numpy())

    def crop_targets(self, boxes: Tensor, inds: Tensor, out_shape: Size, binarize: bool = True) -> Tensor:
        """`crop_and_resize` as a float tensor `(R, h, w)` that never leaves the device of the boxes."""
        return self._sampled(boxes, inds, out_shape, binarize).float()

    def _sampled(self, boxes: Tensor, inds: Tensor, out_shape: Size, binarize: bool) -> Tensor:
        """Mean of each mask in the cells of a grid over its box, rounded if binary."""
        from raydet_ops import roi_align  # brings torchvision, whose import takes longer than all of a data actor's

        images = torch.as_tensor(self.masks, device=boxes.device)[:, None].to(boxes.dtype)
        rois = torch.cat([inds.to(boxes.dtype)[:, None], boxes[:, :4]], dim=1)
        soft = roi_align(images, rois, out_shape, 1.0, 0, "avg", True)[:, 0]
        return soft >= 0.5 if binarize else soft

    def expand(self, expanded_h: int, expanded_w: int, top: int, left: int) -> Self:
        canvas = np.zeros((len(self), expanded_h, expanded_w), dtype=self.masks.dtype)
        canvas[:, top : top + self.height, left : left + self.width] = self.masks
        return self._like(canvas)

    def to_ndarray(self) -> np.ndarray:
        return self.masks

    def get_bboxes(self) -> np.ndarray:
        columns, rows = np.asarray(self.masks.any(axis=1)), np.asarray(self.masks.any(axis=2))
        right, bottom = self.width - columns[:, ::-1].argmax(1), self.height - rows[:, ::-1].argmax(1)
        boxes = np.stack([columns.argmax(1), rows.argmax(1), right, bottom], axis=1).astype(np.float32)
        boxes[~np.any(columns, axis=1)] = 0
        return boxes

    @classmethod
    def cat(cls, masks: Sequence[Self]) -> Self:
        height, width = one_canvas(masks)
        return cls(np.concatenate([m.masks for m in masks]), height, width)

    @classmethod
    def random(
        cls,
        num_masks: int = 3,
        height: int = 32,
        width: int = 32,
        dtype: Any = np.uint8,
        rng: int | np.random.RandomState | None = None,
    ) -> Self:
        """Speckled masks for demonstrations and tests."""
        draw = rng if isinstance(rng, np.random.RandomState) else np.random.RandomState(rng)
        return cls((draw.rand(num_masks, height, width) > 0.1).astype(dtype), height, width)

    def _warp(self, matrix: np.ndarray, out_shape: Size, fill: float, interpolation: str) -> Self:
        h, w = out_shape
        flag = _interpolation(interpolation)

        def move(mask: np.ndarray) -> np.ndarray:
            return cv2.warpAffine(mask, matrix, (w, h), flags=flag, borderValue=fill)  # type: ignore[no-any-return]

        return self._mapped(move, out_shape)

    def _mapped(self, change: Callable[[np.ndarray], np.ndarray], out_shape: Size) -> Self:
        """Apply an OpenCV operation, which knows no bools, to each mask."""
        dtype = self.masks.dtype
        planes = self.masks.astype(np.uint8) if dtype in (np.dtype(bool), np.dtype(np.int64)) else self.masks
        result = np.empty((len(self), *out_shape), dtype=dtype)
        for i, mask in enumerate(planes):
            result[i] = change(mask)
        return self._like(result)

    def _like(self, masks: np.ndarray) -> Self:
        return type(self)(masks, *masks.shape[1:])


def _stacked(masks: Any, height: int, width: int) -> np.ndarray:
    """`masks` as one `(G, height, width)` array."""
    if not isinstance(masks, (np.ndarray, Sequence)):
        raise TypeError(f"masks must be an array or a sequence of arrays, got {type(masks).__name__}")
    if len(masks) == 0:
        dtype = masks.dtype if isinstance(masks, np.ndarray) else np.uint8
        return np.zeros((0, height, width), dtype=dtype)
    array = masks if isinstance(masks, np.ndarray) else np.stack(masks)
    if array.shape[1:] != (height, width):
        raise ValueError(f"masks must be {height} x {width} pixels each, got an array of shape {array.shape}")
    return array


def _interpolation(name: str) -> int:
    if name not in INTERPOLATIONS:
        raise ValueError(f"interpolation must be one of {sorted(INTERPOLATIONS)}, got {name!r}")
    return INTERPOLATIONS[name]
