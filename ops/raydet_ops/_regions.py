"""What all pooling of regions shares: sizes of grids, checks of arguments, what a region must be to be read."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from raydet_ops._arrays import widened
from raydet_ops._checks import check_floating, check_shape, check_tensors

Size = int | tuple[int, int]


def pair(size: Any, name: str = "output_size") -> tuple[int, int]:
    """`(h, w)` of a grid given as such or as one number.

    Raises:
        ValueError: not one or two positive numbers.
    """
    sides = (size, size) if isinstance(size, int) else tuple(size)
    if len(sides) != 2 or min(sides) < 1:
        raise ValueError(f"{name} must be a positive number or two of them, got {size!r}")
    return int(sides[0]), int(sides[1])


def named_size(output_size: Size | None, out_size: Size | None) -> tuple[int, int]:
    """The size under its name or its old one.

    Raises:
        TypeError: it has neither.
    """
    size = out_size if output_size is None else output_size
    if size is None:
        raise TypeError("pooling of regions needs the argument 'output_size'")
    return pair(size)


def check_regions(input: Tensor, rois: Tensor) -> None:
    """Refuse arguments that are not maps and regions.

    Raises:
        ValueError: wrong shapes, or two devices.
        TypeError: not tensors, or not floating.
    """
    check_tensors(input=input, rois=rois)
    check_shape("input", input, "N", "C", "H", "W")
    if rois.ndim != 2 or rois.shape[1] != 5:
        raise ValueError(f"rois must be (R, 5): image index, x1, y1, x2, y2; got shape {tuple(rois.shape)}")
    check_floating(input=input, rois=rois)


def of_one_dtype(input: Tensor, *others: Tensor) -> list[Tensor]:
    """All in the wider of their types, at least single precision."""
    dtype = input.dtype
    for other in others:
        dtype = torch.promote_types(dtype, other.dtype)
    return [widened(value.to(dtype)) for value in (input, *others)]


def readable(rois: Tensor, num_images: int) -> Tensor:
    """`(R,)` whether a region is finite and names an image that there is."""
    return rois.isfinite().all(dim=1) & (rois[:, 0] >= 0) & (rois[:, 0] < num_images)
