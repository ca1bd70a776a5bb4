"""Between one flat axis of priors and the levels of a feature pyramid."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


def images_to_levels(target: Sequence[Tensor], num_levels: Sequence[int]) -> list[Tensor]:
    """`N` tensors `(R, ...)` to one `(N, r, ...)` per level, where `num_levels` counts the `r` of each."""
    return list(torch.split(torch.stack(list(target)), list(num_levels), dim=1))


def unmap(data: Tensor, count: int, inds: Tensor, fill: float = 0) -> Tensor:
    """Put `data` `(r, ...)` back at the places `inds` `(count,)` bool of a full axis, `fill` elsewhere."""
    full = data.new_full((count, *data.shape[1:]), fill)
    full[inds.bool()] = data
    return full


def select_single_mlvl(mlvl_tensors: Sequence[Tensor], batch_id: int, detach: bool = True) -> list[Tensor]:
    """The maps of one image from one batched tensor per level."""
    return [level[batch_id].detach() if detach else level[batch_id] for level in mlvl_tensors]
