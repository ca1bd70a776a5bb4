"""Precise RoI pooling (arXiv:1807.11590): the mean of the interpolated features over each cell, without sampling."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from raydet_ops._operator import alert_not_deterministic, define, differentiate, plain_gradients
from raydet_ops._regions import Size, check_regions, of_one_dtype, pair, readable


def _plain(input: Tensor, rois: Tensor, height: int, width: int, scale: float) -> Tensor:
    known = readable(rois, len(input))
    regions = torch.where(known[:, None], rois, 0)
    rows = _cell_weights(regions[:, 2] * scale, regions[:, 4] * scale, height, input.shape[2])
    columns = _cell_weights(regions[:, 1] * scale, regions[:, 3] * scale, width, input.shape[3])
    pooled = input.new_zeros(len(rois), input.shape[1], height, width)
    for image, features in enumerate(input):
        inside = (known & (regions[:, 0].long() == image)).to(input.dtype)[:, None, None]
        pooled = pooled + torch.einsum("chw,rph,rqw->rcpq", features, rows * inside, columns)
    return pooled


def _cell_weights(start: Tensor, end: Tensor, cells: int, limit: int) -> Tensor:
    """`(R, cells, limit)` share of each pixel in the mean over each cell; 0 for a region without extent."""
    cell = (end - start)[:, None, None] / cells
    borders = start[:, None, None] + cell * torch.arange(cells + 1, device=start.device)[:, None]
    offsets = (borders - torch.arange(limit, device=start.device)).clamp(-1, 1)
    # The area under the hat function of a pixel, left of an offset.
    areas = torch.where(offsets < 0, (1 + offsets) ** 2 / 2, 1 - (1 - offsets) ** 2 / 2)
    has_extent = cell > 0
    return torch.where(has_extent, areas.diff(dim=1) / torch.where(has_extent, cell, 1), 0)


def _plain_backward(grad: Tensor, input: Tensor, rois: Tensor, *rest: Any) -> Tensor:
    if grad.numel() == 0 or input.numel() == 0:
        return torch.zeros_like(input)
    return plain_gradients(lambda features: _plain(features, rois, *rest), grad, [input])[0]


_pool = define(
    "prroi_pool(Tensor input, Tensor rois, int height, int width, float scale) -> Tensor",
    plain=_plain,
    fake=lambda input, rois, height, width, scale: input.new_empty(len(rois), input.shape[1], height, width),
)
_pool_backward = define(
    "prroi_pool_backward(Tensor grad, Tensor input, Tensor rois, int height, int width, float scale) -> Tensor",
    plain=_plain_backward,
    fake=lambda grad, input, *rest: torch.empty_like(input, memory_format=torch.contiguous_format),
)


def _gradient(tensors: dict[str, Tensor], numbers: dict[str, Any], grad: Tensor) -> tuple[Tensor | None, ...]:
    alert_not_deterministic("prroi_pool_backward", grad)
    return _pool_backward(grad, tensors["input"], tensors["rois"], *numbers.values()), None, None, None, None


differentiate(_pool, _gradient, saves=("input", "rois"))


def prroi_pool(input: Tensor, rois: Tensor, output_size: Size, spatial_scale: float = 1.0) -> Tensor:
    """Average the bilinear interpolation of a map over each cell of a grid over each region (arXiv:1807.11590).

    Regions that need a gradient are pooled in plain torch, which is slower: the kernels differentiate in `input` alone.

    Args:
        input: `(N, C, H, W)`; counts as 0 outside.
        rois: `(R, 5)` of image index, x1, y1, x2, y2 in pixels of the image.
        output_size: cells of the grid, `(h, w)` or one number.
        spatial_scale: feature size over image size.

    Returns:
        `(R, C, h, w)` in the type of `input`; 0 for regions without extent, not finite, or of no image.

    Raises:
        ValueError: wrong shapes or sizes, or two devices.
        TypeError: `input` or `rois` is not floating.
    """
    check_regions(input, rois)
    features, regions = of_one_dtype(input, rois)
    pool = _plain if rois.requires_grad and torch.is_grad_enabled() else _pool
    pooled: Tensor = pool(features, regions, *pair(output_size), float(spatial_scale))
    return pooled.to(input.dtype)


class PrRoIPool(nn.Module):
    """`prroi_pool` as a module.

    Args:
        output_size: cells of the grid, `(h, w)` or one number.
        spatial_scale: feature size over image size.
    """

    def __init__(self, output_size: Size, spatial_scale: float = 1.0) -> None:
        super().__init__()
        self.output_size = pair(output_size)
        self.spatial_scale = float(spatial_scale)

    def forward(self, features: Tensor, rois: Tensor) -> Tensor:
        return prroi_pool(features, rois, self.output_size, self.spatial_scale)

    def extra_repr(self) -> str:
        return f"output_size={self.output_size}, spatial_scale={self.spatial_scale}"
