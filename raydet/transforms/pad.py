"""Pad to a size, to a multiple or to a square."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from raydet.transforms import images
from raydet.transforms.base import Results, Transform

PAD_VALUES: Mapping[str, Any] = {"img": 0, "masks": 0, "seg": 255}


class Pad(Transform):
    """Pad images, masks and semantic maps at the right and the bottom.

    Args:
        size: (height, width) in pixels.
        size_divisor: pad both edges to a multiple of this.
        pad_to_square: pad to a square of the longer edge. Exactly one of these three.
        pad_val: values for "img" (one, or one per channel), "masks" and "seg"; a number is for images and masks.
    """

    def __init__(
        self,
        size: Sequence[int] | None = None,
        size_divisor: int | None = None,
        pad_to_square: bool = False,
        pad_val: Mapping[str, Any] | float = PAD_VALUES,
    ) -> None:
        if (size is not None) + (size_divisor is not None) + bool(pad_to_square) != 1:
            raise ValueError(
                "Pad needs exactly one of size, size_divisor and pad_to_square, got "
                f"size={size!r}, size_divisor={size_divisor!r}, pad_to_square={pad_to_square!r}"
            )
        self.size = None if size is None else (int(size[0]), int(size[1]))
        self.size_divisor = size_divisor
        self.pad_to_square = pad_to_square
        if isinstance(pad_val, (int, float)):
            pad_val = {"img": pad_val, "masks": pad_val, "seg": 255}
        self.pad_val = dict(pad_val)

    def apply(self, results: Results, params: None) -> Results:
        for key in results.get("img_fields", ["img"]):
            size = self._target(results[key].shape)
            results[key] = images.pad(results[key], size, self.pad_val.get("img", 0))
            results["pad_shape"] = results[key].shape
            results["pad_fixed_size"] = None if self.size_divisor is not None else size
        results["pad_size_divisor"] = self.size_divisor
        padded = results["pad_shape"][:2]
        for key in results.get("mask_fields", []):
            results[key] = results[key].pad(padded, pad_val=self.pad_val.get("masks", 0))
        for key in results.get("seg_fields", []):
            results[key] = images.pad(results[key], padded, self.pad_val.get("seg", 255))
        return results

    def _target(self, shape: Sequence[int]) -> images.Size:
        if self.size is not None:
            return self.size
        if self.pad_to_square:
            return max(shape[:2]), max(shape[:2])
        divisor = self.size_divisor or 1
        return -(-shape[0] // divisor) * divisor, -(-shape[1] // divisor) * divisor
