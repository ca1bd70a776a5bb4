"""What bitmap and polygon masks have in common."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from typing import Any

import cv2
import numpy as np
import torch
from torch import Tensor
from typing_extensions import Self

Size = tuple[int, int]
FLIP_DIRECTIONS = ("horizontal", "vertical", "diagonal")


class Masks(ABC):
    """Masks of the instances of one image, all on one canvas of `height` x `width` pixels.

    Operations return new masks of the same kind; sizes are `(height, width)`.

    Attributes:
        masks: the masks themselves, in the form that the subclass documents.
        height: of the canvas.
        width: of the canvas.
    """

    masks: Any
    height: int
    width: int

    def __init__(self, masks: Any, height: int, width: int) -> None:
        self.height = height
        self.width = width
        self.masks = masks

    def __len__(self) -> int:
        return len(self.masks)

    def __iter__(self) -> Iterator[Any]:
        return iter(self.masks)

    def __repr__(self) -> str:
        return f"{type(self).__name__}(num_masks={len(self)}, height={self.height}, width={self.width})"

    @property
    @abstractmethod
    def areas(self) -> np.ndarray:
        """`(G,)` area of each mask in pixels."""

    @abstractmethod
    def __getitem__(self, index: Any) -> Self:
        """The masks at an int, a slice, a list or an index or bool array."""

    @abstractmethod
    def resize(self, out_shape: Size, interpolation: str = "nearest") -> Self:
        """Stretch to `out_shape`."""

    @abstractmethod
    def flip(self, flip_direction: str = "horizontal") -> Self:
        """Mirror `horizontal`, `vertical` or `diagonal` (both)."""

    @abstractmethod
    def pad(self, out_shape: Size, pad_val: int = 0) -> Self:
        """Enlarge the canvas to the right and below."""

    @abstractmethod
    def crop(self, bbox: np.ndarray) -> Self:
        """Keep the canvas inside `bbox` `(4,)`, at least one pixel wide and high."""

    @abstractmethod
    def crop_and_resize(
        self,
        bboxes: Any,
        out_shape: Size,
        inds: Any,
        device: str | torch.device = "cpu",
        interpolation: str = "bilinear",
        binarize: bool = True,
    ) -> Self:
        """Mask `inds[i]` inside box `bboxes[i]`, stretched to `out_shape`, for every `i`."""

    def crop_targets(self, boxes: Tensor, inds: Tensor, out_shape: Size, binarize: bool = True) -> Tensor:
        """`crop_and_resize` as a float tensor `(R, h, w)` on the device of the boxes."""
        cut = self.crop_and_resize(boxes, out_shape, inds, boxes.device, binarize=binarize)
        return torch.as_tensor(cut.to_ndarray(), device=boxes.device).float()

    @abstractmethod
    def expand(self, expanded_h: int, expanded_w: int, top: int, left: int) -> Self:
        """Place the canvas at `(top, left)` of a larger one."""

    @abstractmethod
    def to_ndarray(self) -> np.ndarray:
        """Bitmaps `(G, height, width)`."""

    @abstractmethod
    def get_bboxes(self) -> np.ndarray:
        """`(G, 4)` float32: the tightest box around each mask, zeros for an empty bitmap."""

    @abstractmethod
    def _warp(self, matrix: np.ndarray, out_shape: Size, fill: float, interpolation: str) -> Self:
        """Move every pixel or vertex by the `(2, 3)` affine `matrix`."""

    @classmethod
    @abstractmethod
    def cat(cls, masks: Sequence[Self]) -> Self:
        """Join masks of one canvas size."""

    def rescale(self, scale: float | Size, interpolation: str = "nearest") -> Self:
        """Stretch by a factor, or as large as fits into `(long edge, short edge)`, keeping the aspect ratio."""
        width, height = rescaled_size((self.width, self.height), scale)
        return self.resize((height, width), interpolation)

    def translate(
        self,
        out_shape: Size,
        offset: float,
        direction: str = "horizontal",
        fill_val: int | None = 0,
        interpolation: str = "bilinear",
    ) -> Self:
        """Move by `offset` pixels to the right (`horizontal`) or down (`vertical`)."""
        matrix = np.eye(2, 3, dtype=np.float32)
        matrix[_axis(direction), 2] = offset
        return self._warp(matrix, out_shape, fill_val or 0, interpolation)

    def shear(
        self,
        out_shape: Size,
        magnitude: float,
        direction: str = "horizontal",
        border_value: int = 0,
        interpolation: str = "bilinear",
    ) -> Self:
        """Move each row right (`horizontal`) or each column down (`vertical`) in proportion to its coordinate."""
        axis = _axis(direction)
        matrix = np.eye(2, 3, dtype=np.float32)
        matrix[axis, 1 - axis] = magnitude
        return self._warp(matrix, out_shape, border_value, interpolation)

    def rotate(
        self,
        out_shape: Size,
        angle: float,
        center: tuple[float, float] | None = None,
        scale: float = 1.0,
        fill_val: int = 0,
        interpolation: str = "bilinear",
    ) -> Self:
        """Turn clockwise by `angle` degrees around `center` (x, y) and scale.

        Without `center`, bitmaps turn around the middle of the canvas and polygons around its origin, as in 2.x.
        """
        matrix = cv2.getRotationMatrix2D(center or self._pivot(), -angle, scale)
        return self._warp(matrix, out_shape, fill_val, interpolation)

    def to_tensor(self, dtype: torch.dtype, device: str | torch.device) -> Tensor:
        """Bitmaps `(G, height, width)` as a tensor."""
        return torch.as_tensor(self.to_ndarray(), dtype=dtype, device=device)

    def _pivot(self) -> tuple[float, float]:
        """Center (x, y) of rotations that name none."""
        return (self.width - 1) * 0.5, (self.height - 1) * 0.5

    def _crop_window(self, bbox: np.ndarray) -> tuple[Any, Any, Any, Any]:
        """Top left corner and size of a crop that stays on the canvas."""
        box = np.asarray(bbox)
        if box.shape != (4,):
            raise ValueError(f"a crop window is one box of 4 numbers x1, y1, x2, y2, got shape {box.shape}")
        x1, x2 = np.clip(box[0::2], 0, self.width)
        y1, y2 = np.clip(box[1::2], 0, self.height)
        return x1, y1, np.maximum(x2 - x1, 1), np.maximum(y2 - y1, 1)


def rescaled_size(size: Size, scale: float | Size) -> Size:
    """Size `(w, h)` after scaling by a factor, or into the `(long edge, short edge)` limits, at least one pixel."""
    w, h = size
    if isinstance(scale, (int, float)):
        if scale <= 0:
            raise ValueError(f"a scale factor must be positive, got {scale}")
        factor = float(scale)
    else:
        factor = min(max(scale) / max(h, w), min(scale) / min(h, w))
    return max(int(w * factor + 0.5), 1), max(int(h * factor + 0.5), 1)


def check_flip(direction: str) -> None:
    """Raise ValueError unless `direction` is one of `FLIP_DIRECTIONS`."""
    if direction not in FLIP_DIRECTIONS:
        raise ValueError(f"flip direction must be one of {FLIP_DIRECTIONS}, got {direction!r}")


def one_canvas(masks: Sequence[Masks]) -> Size:
    """The canvas size that all `masks` share; ValueError when there is none."""
    sizes = {(m.height, m.width) for m in masks}
    if len(sizes) != 1:
        raise ValueError(f"masks can be joined when they share one canvas size, got {sorted(sizes)}")
    return sizes.pop()


def _axis(direction: str) -> int:
    if direction not in ("horizontal", "vertical"):
        raise ValueError(f"direction must be 'horizontal' or 'vertical', got {direction!r}")
    return int(direction == "vertical")
