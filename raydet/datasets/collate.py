"""Samples into a batch: the 2.x data dict without containers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from raydet.structures import DataContainer

Batch = dict[str, Any]
Empty = Callable[[Sequence[int], torch.dtype], Tensor]
"""Makes a contiguous tensor of a shape and a type, with whatever in it."""


def new_memory(shape: Sequence[int], dtype: torch.dtype) -> Tensor:
    """The `Empty` that asks the system."""
    return torch.empty(tuple(shape), dtype=dtype)


def collate(samples: Sequence[Mapping[str, Any]], empty: Empty = new_memory) -> Batch:
    """Join the samples of a batch.

    Fields in a stacking `DataContainer`, and bare tensors, become one tensor padded at the right and the bottom; other
    containers become lists. Lists (of `MultiScaleFlipAug`) are joined entry by entry, one list entry per augmentation.

    Args:
        samples: what the pipeline ends with, all with the same fields.
        empty: makes the tensors that samples are stacked in.

    Returns:
        `img` `(N, C, H, W)`, `img_metas` a list of N dicts, `gt_bboxes` a list of N tensors, ...
    """
    if not samples:
        raise ValueError("a batch needs one sample at least")
    keys = list(samples[0])
    for sample in samples:
        if set(sample) != set(keys):
            raise ValueError(f"the samples of a batch have different fields: {sorted(keys)} and {sorted(sample)}")
    return {key: _join([sample[key] for sample in samples], key, empty) for key in keys}


def _join(values: list[Any], key: str, empty: Empty) -> Any:
    first = values[0]
    if isinstance(first, DataContainer):
        if first.stack and not first.cpu_only:
            return stack([each.data for each in values], first.padding_value, first.pad_dims, key, empty)
        return [each.data for each in values]
    if isinstance(first, list):
        lengths = {len(each) for each in values}
        if len(lengths) > 1:
            raise ValueError(f"{key}: the samples of a batch have {sorted(lengths)} augmentations")
        return [_join(list(entries), key, empty) for entries in zip(*values, strict=True)]
    if isinstance(first, np.ndarray):
        values = [torch.from_numpy(each) for each in values]
    if isinstance(values[0], Tensor):
        return stack(values, 0, 2 if values[0].dim() >= 3 else None, key, empty)
    if isinstance(first, (bool, int, float)):
        return torch.tensor(values)
    return values


def stack(
    tensors: Sequence[Tensor],
    padding_value: float,
    pad_dims: int | None,
    key: str = "field",
    empty: Empty = new_memory,
) -> Tensor:
    """Stack tensors after padding their last `pad_dims` dimensions to the largest.

    Images that lie in memory pixel by pixel stay so (`torch.channels_last`): that is one straight copy.
    """
    first = tensors[0]
    padded = pad_dims or 0
    if any(each.dtype != first.dtype or each.dim() != first.dim() for each in tensors):
        kinds = {(str(each.dtype), each.dim()) for each in tensors}
        raise ValueError(f"{key}: cannot stack tensors of different types or dimensions: {sorted(kinds)}")
    fixed = first.dim() - padded
    if any(each.shape[:fixed] != first.shape[:fixed] for each in tensors):
        shapes = [tuple(each.shape) for each in tensors]
        raise ValueError(f"{key}: cannot stack shapes {shapes}; only the last {padded} dimensions may differ")
    shape = [max(sizes) for sizes in zip(*(each.shape for each in tensors), strict=True)]
    batch = _like(first, [len(tensors), *shape], empty)
    for row, each in zip(batch, tensors, strict=True):
        if list(each.shape) != shape:
            row.fill_(padding_value)
        row[tuple(slice(0, size) for size in each.shape)].copy_(each)
    return batch


def _like(tensor: Tensor, shape: Sequence[int], empty: Empty) -> Tensor:
    by_pixel = tensor.dim() == 3 and tensor.shape[0] > 1 and not tensor.is_contiguous() and tensor.stride(0) == 1
    if not by_pixel:
        return empty(shape, tensor.dtype)
    images, channels, height, width = shape
    return empty((images, height, width, channels), tensor.dtype).permute(0, 3, 1, 2)
