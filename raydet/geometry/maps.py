"""Feature maps and heatmaps: mirroring, peaks, values at places, coordinates."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

MIRRORED_AXES = {"horizontal": (3,), "vertical": (2,), "diagonal": (2, 3)}


def flip_tensor(src_tensor: Tensor, flip_direction: str) -> Tensor:
    """Mirror maps `(N, C, H, W)`.

    Raises:
        ValueError: unknown direction.
    """
    if flip_direction not in MIRRORED_AXES:
        raise ValueError(f"flip_direction must be one of {list(MIRRORED_AXES)}, got {flip_direction!r}")
    return src_tensor.flip(MIRRORED_AXES[flip_direction])


def center_of_mass(mask: Tensor, eps: float = 1e-6) -> tuple[Tensor, Tensor]:
    """Row and column of the center of a mask `(H, W)`, or of each of `(..., H, W)`; 0 for an empty one."""
    height, width = mask.shape[-2:]
    mass = mask.sum(dim=(-2, -1)).float().clamp(min=eps)
    rows = torch.arange(height, device=mask.device)
    columns = torch.arange(width, device=mask.device)
    return (mask.sum(dim=-1) * rows).sum(dim=-1) / mass, (mask.sum(dim=-2) * columns).sum(dim=-1) / mass


def generate_coordinate(featmap_sizes: Sequence[int], device: str | torch.device = "cuda") -> Tensor:
    """Coordinates `(N, 2, H, W)`, x and y from -1 to 1, of maps with shape `(N, C, H, W)` (arXiv:1807.03247)."""
    num, height, width = featmap_sizes[0], *featmap_sizes[-2:]
    y = torch.linspace(-1, 1, height, device=device)[:, None].expand(height, width)
    x = torch.linspace(-1, 1, width, device=device).expand(height, width)
    return torch.stack([x, y]).expand(num, 2, height, width)


def get_local_maximum(heat: Tensor, kernel: int = 3) -> Tensor:
    """A heatmap `(N, C, H, W)` with 0 wherever another value of the window of `kernel` cells is greater."""
    peaks = F.max_pool2d(heat, kernel, stride=1, padding=(kernel - 1) // 2)
    return heat * (peaks == heat)


def get_topk_from_heatmap(scores: Tensor, k: int = 20) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """The best cells of heatmaps.

    Args:
        scores: `(N, K, H, W)`.
        k: how many for each image.

    Returns:
        Scores best first, places `y * W + x`, classes, rows and columns (as floats), each `(N, k)`.
    """
    height, width = scores.shape[-2:]
    best, places = scores.flatten(1).topk(k)
    classes, places = places // (height * width), places % (height * width)
    return best, places, classes, places // width, (places % width).float()


def transpose_and_gather_feat(feat: Tensor, ind: Tensor) -> Tensor:
    """Vectors `(N, k, C)` of maps `(N, C, H, W)` at places `y * W + x` `(N, k)`."""
    columns = feat.flatten(2).transpose(1, 2)
    return columns.gather(1, ind[..., None].expand(*ind.shape, feat.shape[1]))
