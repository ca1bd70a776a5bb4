"""Ground truth masks as tensors, in the sizes in which heads learn them."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from raydet.structures import GroundTruth


def bitmaps(truth: GroundTruth) -> Tensor:
    """`(G, H, W)` uint8 of 0 and 1 on the device of the boxes.

    Raises:
        ValueError: there are no masks.
    """
    if truth.masks is None:
        raise ValueError("the head learns masks, but the batch has none: LoadAnnotations needs with_mask=True")
    return truth.masks.to_tensor(torch.uint8, truth.boxes.device)


def shrunk(masks: Tensor, size: Sequence[int]) -> Tensor:
    """Masks `(G, H, W)` as `(G, *size)` of 0 and 1, float: 1 where more than half of the middle pixels are inside."""
    return (soft(masks, size) > 0.5).float()


def shrunk_by(masks: Tensor, stride: float, size: Sequence[int]) -> Tensor:
    """Masks `(G, H, W)` smaller by `stride`, 1 from one half on, and cut or padded to `size`."""
    height, width = (int(side / stride + 0.5) for side in masks.shape[1:])
    small = (soft(masks, (height, width)) >= 0.5).to(masks.dtype)
    return F.pad(small, (0, size[1] - width, 0, size[0] - height))


def soft(masks: Tensor, size: Sequence[int]) -> Tensor:
    """Masks `(G, H, W)` interpolated to `(G, *size)`."""
    if len(masks) == 0:  # torch interpolates no empty tensors
        return masks.new_zeros(0, *size, dtype=torch.float32)
    return F.interpolate(masks[:, None].float(), size=tuple(size), mode="bilinear", align_corners=False)[:, 0]
