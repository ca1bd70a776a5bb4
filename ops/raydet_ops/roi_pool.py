"""Maximum of the pixels inside regions of interest (arXiv:1504.08083)."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from raydet_ops._operator import alert_not_deterministic, define, differentiate, plain_gradients
from raydet_ops._regions import Size, check_regions, named_size, of_one_dtype, pair, readable


def _plain(input: Tensor, rois: Tensor, height: int, width: int, scale: float) -> Tensor:
    known = readable(rois, len(input))
    rows = _cell_edges(rois[:, 2], rois[:, 4], height, scale, input.shape[2]).tolist()
    columns = _cell_edges(rois[:, 1], rois[:, 3], width, scale, input.shape[3]).tolist()
    pooled = [input.new_zeros(0, input.shape[1], height, width)]
    for i, is_known in enumerate(known.tolist()):
        image = input[int(rois[i, 0])] if is_known else input.new_zeros(input.shape[1:])
        pooled.append(_window_max(_window_max(image, rows[i], dim=1), columns[i], dim=2)[None])
    return torch.cat(pooled)


def _cell_edges(start: Tensor, end: Tensor, cells: int, scale: float, limit: int) -> Tensor:
    """`(R, cells, 2)` first and past-the-last pixel of each cell along one axis."""
    first = start * scale
    extent = (end + 1) * scale - first
    step = extent[:, None] / cells
    index = torch.arange(cells, device=start.device)
    low = (index * step + first[:, None]).floor()
    high = ((index + 1) * step + first[:, None]).ceil()
    high = torch.where(extent[:, None] > 0, high, low)
    return torch.stack([low, high], dim=-1).nan_to_num(0).clamp(0, limit).long()


def _window_max(image: Tensor, windows: list[list[int]], dim: int) -> Tensor:
    """Maximum of each `[low, high)` window along `dim`, 0 where a window is empty."""
    planes = []
    for low, high in windows:
        if high > low:
            planes.append(image.narrow(dim, low, high - low).max(dim=dim).values)
        else:
            planes.append(torch.zeros_like(image.select(dim, 0)))
    return torch.stack(planes, dim=dim)


def _plain_backward(grad: Tensor, input: Tensor, rois: Tensor, output: Tensor, *rest: Any) -> Tensor:
    if grad.numel() == 0 or input.numel() == 0:
        return torch.zeros_like(input)
    return plain_gradients(lambda features: _plain(features, rois, *rest) + 0 * features.sum(), grad, [input])[0]


_pool = define(
    "roi_pool(Tensor input, Tensor rois, int height, int width, float scale) -> Tensor",
    plain=_plain,
    fake=lambda input, rois, height, width, scale: input.new_empty(len(rois), input.shape[1], height, width),
)
_pool_backward = define(
    "roi_pool_backward(Tensor grad, Tensor input, Tensor rois, Tensor output, int height, int width, float scale)"
    " -> Tensor",
    plain=_plain_backward,
    fake=lambda grad, input, *rest: torch.empty_like(input, memory_format=torch.contiguous_format),
)


def _gradient(tensors: dict[str, Tensor], numbers: dict[str, Any], grad: Tensor) -> tuple[Tensor | None, ...]:
    alert_not_deterministic("roi_pool_backward", grad)
    gradient = _pool_backward(grad, *(tensors[name] for name in ("input", "rois", "output")), *numbers.values())
    return gradient, None, None, None, None


differentiate(_pool, _gradient, saves=("input", "rois"), saves_output=True)


def roi_pool(input: Tensor, rois: Tensor, output_size: Size, spatial_scale: float = 1.0) -> Tensor:
    """Take the maximum of the pixels under each cell of a grid over each region (arXiv:1504.08083).

    torchvision's operator rounds regions to pixels first, this one does not.

    Args:
        input: `(N, C, H, W)`.
        rois: `(R, 5)` of image index, x1, y1, x2, y2 in pixels of the image, the last pixel included.
        output_size: cells of the grid, `(h, w)` or one number.
        spatial_scale: feature size over image size.

    Returns:
        `(R, C, h, w)` in the type of `input`; 0 in cells outside the image and in regions that name no image.

    Raises:
        ValueError: wrong shapes or sizes, or two devices.
        TypeError: `input` or `rois` is not floating.
    """
    check_regions(input, rois)
    features, regions = of_one_dtype(input, rois)
    pooled: Tensor = _pool(features, regions, *pair(output_size), float(spatial_scale))
    return pooled.to(input.dtype)


class RoIPool(nn.Module):
    """`roi_pool` as a module.

    Args:
        output_size: cells of the grid, `(h, w)` or one number.
        spatial_scale: feature size over image size.
        out_size: old name of `output_size`.
    """

    def __init__(
        self, output_size: Size | None = None, spatial_scale: float = 1.0, out_size: Size | None = None
    ) -> None:
        super().__init__()
        self.output_size = named_size(output_size, out_size)
        self.spatial_scale = float(spatial_scale)

    def forward(self, input: Tensor, rois: Tensor) -> Tensor:
        return roi_pool(input, rois, self.output_size, self.spatial_scale)

    def extra_repr(self) -> str:
        return f"output_size={self.output_size}, spatial_scale={self.spatial_scale}"
