"""Masks stored as polygons."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pycocotools.mask as mask_utils
import torch
from typing_extensions import Self

from raydet.structures.masks.base import Masks, Size, check_flip, one_canvas
from raydet.structures.masks.bitmap import BitmapMasks

Polygons = list[np.ndarray]


class PolygonMasks(Masks):
    """Masks as a list, per instance, of polygons `(2 V,)` of alternating x and y in pixels.

    Args:
        masks: `G` lists of polygons.
        height: of the canvas.
        width: of the canvas.

    Raises:
        TypeError: `masks` is not a list of lists of arrays.
    """

    masks: list[Polygons]

    def __init__(self, masks: list[Polygons], height: int, width: int) -> None:
        if not isinstance(masks, list) or any(not isinstance(polygons, list) for polygons in masks):
            raise TypeError(f"polygon masks are a list of lists of arrays, got {type(masks).__name__}")
        if any(not isinstance(polygon, np.ndarray) for polygons in masks for polygon in polygons):
            raise TypeError("polygon masks are a list of lists of arrays, got another type than array inside")
        super().__init__(masks, height, width)

    def __getitem__(self, index: Any) -> Self:
        """The masks at an int, a slice, or a list or array of indices.

        A bool array counts as the indices 0 and 1, as in 2.x; select by condition with `np.flatnonzero(condition)`.
        """
        if isinstance(index, slice):
            return self._like(self.masks[index])
        places = np.asarray(index)
        try:
            places = places.astype(np.int64, casting="safe" if places.size else "unsafe")
            return self._like([self.masks[i] for i in places.reshape(-1)])
        except (IndexError, TypeError) as error:
            raise ValueError(f"cannot index {len(self)} polygon masks with {index!r}: {error}") from error

    @property
    def areas(self) -> np.ndarray:
        return np.asarray([sum(_area(polygon) for polygon in polygons) for polygons in self.masks])

    def resize(self, out_shape: Size, interpolation: str | None = None) -> Self:
        factors = out_shape[1] / self.width, out_shape[0] / self.height
        return self._mapped(lambda xy: xy * factors, out_shape)

    def flip(self, flip_direction: str = "horizontal") -> Self:
        check_flip(flip_direction)
        mirrored = np.array([flip_direction != "vertical", flip_direction != "horizontal"])
        size = np.array([self.width, self.height])
        return self._mapped(lambda xy: np.where(mirrored, size - xy, xy))

    def pad(self, out_shape: Size, pad_val: int = 0) -> Self:
        return self._like(self.masks, out_shape)

    def crop(self, bbox: np.ndarray) -> Self:
        """Keep the canvas inside `bbox` `(4,)`; polygons may go on beyond the new canvas."""
        x, y, w, h = self._crop_window(bbox)
        return self._mapped(lambda xy: xy - (x, y), (int(h), int(w)))

    def crop_and_resize(
        self,
        bboxes: Any,
        out_shape: Size,
        inds: Any,
        device: str | torch.device = "cpu",
        interpolation: str = "bilinear",
        binarize: bool = True,
    ) -> Self:
        if not binarize:
            raise ValueError("polygons are always binary; use bitmap masks with binarize=False")
        if len(self) == 0:
            return self._like([], out_shape)
        boxes, rows = (np.asarray(torch.as_tensor(x).cpu()) for x in (bboxes, inds))
        sizes = np.maximum(boxes[:, 2:4] - boxes[:, :2], 1)
        factors = np.array([out_shape[1], out_shape[0]]) / sizes

        def inside(i: int) -> Polygons:
            return [_moved(p, lambda xy: (xy - boxes[i, :2]) * factors[i]) for p in self.masks[rows[i]]]

        return self._like([inside(i) for i in range(len(boxes))], out_shape)

    def expand(self, expanded_h: int, expanded_w: int, top: int, left: int) -> Self:
        return self._mapped(lambda xy: xy + np.array([left, top]), (expanded_h, expanded_w))

    def translate(
        self,
        out_shape: Size,
        offset: float,
        direction: str = "horizontal",
        fill_val: int | None = None,
        interpolation: str | None = None,
    ) -> Self:
        """Move by `offset` pixels, clipped at the canvas in the direction of the movement."""
        if fill_val:
            raise ValueError(f"polygons can only be filled with 0, got fill_val={fill_val}")
        if direction not in ("horizontal", "vertical"):
            raise ValueError(f"direction must be 'horizontal' or 'vertical', got {direction!r}")
        moving = np.array([direction == "horizontal", direction == "vertical"])
        limits = np.array([out_shape[1], out_shape[0]])
        return self._mapped(lambda xy: np.where(moving, np.clip(xy + offset, 0, limits), xy), out_shape)

    def to_ndarray(self) -> np.ndarray:
        if len(self) == 0:
            return np.empty((0, self.height, self.width), dtype=np.uint8)
        return np.stack([polygons_to_bitmap(polygons, self.height, self.width) for polygons in self.masks])

    def to_bitmap(self) -> BitmapMasks:
        """The same masks as bitmaps."""
        return BitmapMasks(self.to_ndarray(), self.height, self.width)

    def get_bboxes(self) -> np.ndarray:
        boxes = np.zeros((len(self), 4), dtype=np.float32)
        limit = np.array([[self.width * 2, self.height * 2]])
        for box, polygons in zip(boxes, self.masks, strict=True):
            points = [polygon.reshape(-1, 2) for polygon in polygons]
            box[:2] = np.concatenate([*points, limit]).min(axis=0)
            box[2:] = np.concatenate([*points, 0 * limit]).max(axis=0)
        return boxes

    @classmethod
    def cat(cls, masks: Sequence[Self]) -> Self:
        return cls([polygons for m in masks for polygons in m.masks], *one_canvas(masks))

    @classmethod
    def random(
        cls,
        num_masks: int = 3,
        height: int = 32,
        width: int = 32,
        n_verts: int = 5,
        dtype: Any = np.float32,
        rng: int | np.random.RandomState | None = None,
    ) -> Self:
        """Star-shaped masks of one polygon each for demonstrations and tests."""
        draw = rng if isinstance(rng, np.random.RandomState) else np.random.RandomState(rng)

        def star() -> np.ndarray:
            angles = np.sort(draw.rand(n_verts)) * 2 * np.pi
            reach = draw.rand(n_verts, 1) * np.minimum(center, (width, height) - center)
            points = center + reach * np.stack([np.cos(angles), np.sin(angles)], axis=1)
            return points.reshape(-1).astype(dtype)  # type: ignore[no-any-return]

        masks = []
        for _ in range(num_masks):
            center = (0.2 + 0.6 * draw.rand(2)) * (width, height)
            masks.append([star()])
        return cls(masks, height, width)

    def _warp(self, matrix: np.ndarray, out_shape: Size, fill: float, interpolation: str) -> Self:
        limits = np.array([out_shape[1], out_shape[0]])
        linear, shift = matrix[:, :2].T, matrix[:, 2]
        return self._mapped(lambda xy: np.clip(xy @ linear + shift, 0, limits), out_shape)

    def _pivot(self) -> tuple[float, float]:
        return 0.0, 0.0

    def _mapped(self, change: Callable[[np.ndarray], np.ndarray], out_shape: Size | None = None) -> Self:
        """Apply a change to the vertices `(V, 2)` of every polygon."""
        return self._like([[_moved(p, change) for p in polygons] for polygons in self.masks], out_shape)

    def _like(self, masks: list[Polygons], out_shape: Size | None = None) -> Self:
        return type(self)(masks, *(out_shape or (self.height, self.width)))


def polygons_to_bitmap(polygons: Polygons, height: int, width: int) -> np.ndarray:
    """The union of polygons as a bool array `(height, width)`."""
    if not polygons:
        return np.zeros((height, width), dtype=bool)
    rles = mask_utils.frPyObjects([polygon.tolist() for polygon in polygons], height, width)
    return mask_utils.decode(mask_utils.merge(rles)).astype(bool)  # type: ignore[no-any-return]


def _moved(polygon: np.ndarray, change: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    return change(polygon.reshape(-1, 2)).reshape(-1).astype(polygon.dtype)


def _area(polygon: np.ndarray) -> float:
    """Shoelace formula."""
    x, y = polygon[0::2], polygon[1::2]
    return 0.5 * float(np.abs(np.dot(x, np.roll(y, 1)) - np.dot(y, np.roll(x, 1))))
