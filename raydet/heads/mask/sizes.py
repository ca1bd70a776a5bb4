"""Sizes of maps and masks on the way from features to the image."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from raydet.geometry import generate_coordinate

Size = tuple[int, int]
AT_ONCE = 16  # masks enlarged to the image at once, so that many do not fill the memory


def doubled(feature: Tensor) -> Tensor:
    """Maps at twice the size."""
    return resized(feature, (feature.shape[-2] * 2, feature.shape[-1] * 2))


def stretched(logits: Tensor, size: Size) -> Tensor:
    """Probabilities `(M, *size)` of logits `(M, h, w)`."""
    if len(logits) == 0:
        return logits.new_zeros(0, *size, dtype=torch.float32)
    return resized(logits.float().sigmoid()[None], size)[0]


def size_of(maps: Tensor) -> Size:
    """`(h, w)` of maps."""
    return maps.shape[-2], maps.shape[-1]


def resized(feature: Tensor, size: Sequence[int]) -> Tensor:
    """Maps `(N, C, H, W)` at another size."""
    return F.interpolate(feature, size=tuple(size), mode="bilinear", align_corners=False)


def neighbour_sizes(feats: Sequence[Tensor]) -> list[Tensor]:
    """Feature maps with the first and the last at the sizes of their neighbours."""
    first, last = resized(feats[0], feats[1].shape[-2:]), resized(feats[-1], feats[-2].shape[-2:])
    return [first, *feats[1:-1], last]


def with_coordinates(feature: Tensor) -> Tensor:
    """`(N, C, H, W)` with two more channels: x and y between -1 and 1."""
    places = generate_coordinate(feature.shape, feature.device)
    return torch.cat([feature, places.to(feature.dtype)], dim=1)


def full_size(masks: Tensor, size: Sequence[int], threshold: float, padded: Sequence[Size] = ()) -> np.ndarray:
    """`(D, *size)` bool from masks `(D, h, w)` between 0 and 1.

    Args:
        masks: over the image, or over the padded image.
        size: height and width of the image.
        threshold: what is more is inside.
        padded: of masks over a padded image, its `(height, width)` and that of the part that shows the image.
    """
    full = np.empty((len(masks), *size), dtype=bool)
    for start in range(0, len(masks), AT_ONCE):
        part = masks[start : start + AT_ONCE, None]
        if padded:
            height, width = padded[1]
            part = resized(part, padded[0])[..., :height, :width]
        full[start : start + AT_ONCE] = (resized(part, size)[:, 0] > threshold).cpu().numpy()
    return full
