"""What all prior generators share: pairs of strides, valid cells and remembered grids."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

Size = tuple[int, int]
Device = str | torch.device


def pairs(values: Sequence[Any]) -> list[tuple[Any, Any]]:
    """Each value as `(x, y)`; single numbers are taken twice."""
    return [(v[0], v[1]) if isinstance(v, Sequence) else (v, v) for v in values]


def check_levels(given: int, num_levels: int, what: str) -> None:
    """Raise ValueError unless there is one `what` per level."""
    if given != num_levels:
        raise ValueError(f"expected one {what} for each of the {num_levels} levels, got {given}")


def grid_points(size: Size, stride: tuple[float, float], offset: float, dtype: torch.dtype, device: Device) -> Tensor:
    """`(h * w, 2)` x and y in pixels of the cells of a feature map, row by row."""
    h, w = size
    x = (torch.arange(w, device=device, dtype=dtype) + offset) * stride[0]
    y = (torch.arange(h, device=device, dtype=dtype) + offset) * stride[1]
    return torch.stack([x.expand(h, w), y[:, None].expand(h, w)], dim=-1).view(-1, 2)


def valid_cells(size: Size, valid: Sequence[int], repeats: int, device: Device) -> Tensor:
    """`(h * w * repeats,)` bool: priors of the cells in the upper left `valid` `(h, w)` of a feature map."""
    flags = torch.zeros(size, dtype=torch.bool, device=device)
    flags[: valid[0], : valid[1]] = True
    return flags.view(-1, 1).expand(-1, repeats).reshape(-1)


def valid_flags(
    sizes: Sequence[Size],
    pad_shape: Sequence[int],
    strides: Sequence[tuple[float, float]],
    repeats: Sequence[int],
    device: Device,
) -> list[Tensor]:
    """Per level, which priors start inside the padded image `(h, w)`."""
    check_levels(len(sizes), len(strides), "feature map size")
    flags = []
    for (h, w), (stride_x, stride_y), count in zip(sizes, strides, repeats, strict=True):
        valid = min(-int(-pad_shape[0] // stride_y), h), min(-int(-pad_shape[1] // stride_x), w)
        flags.append(valid_cells((h, w), valid, count, device))
    return flags


class GridCache:
    """The most recently used grids, so that training on few image sizes computes each once.

    Grids are shared: whoever gets one must not change it. Copies and pickles of a cache are empty.
    """

    def __init__(self, limit: int = 48) -> None:
        self.limit = limit
        self._grids: OrderedDict[Any, Tensor] = OrderedDict()

    def __len__(self) -> int:
        return len(self._grids)

    def __reduce__(self) -> tuple[type[GridCache], tuple[int]]:
        return type(self), (self.limit,)

    def get(self, key: Any, compute: Callable[[], Tensor]) -> Tensor:
        """The grid under `key`, computed when it is not there."""
        if key in self._grids:
            self._grids.move_to_end(key)
            return self._grids[key]
        grid = self._grids[key] = compute()
        if len(self._grids) > self.limit:
            self._grids.popitem(last=False)
        return grid
