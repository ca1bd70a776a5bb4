"""Pooling of feature maps inside regions of interest."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
import torchvision
from torch import Tensor, nn

Size = int | tuple[int, int]


def roi_align(
    input: Tensor,
    rois: Tensor,
    output_size: Size,
    spatial_scale: float = 1.0,
    sampling_ratio: int = 0,
    pool_mode: str = "avg",
    aligned: bool = True,
) -> Tensor:
    """Pool bilinear samples in each cell of a grid over each region (arXiv:1703.06870).

    Args:
        input: `(N, C, H, W)`.
        rois: `(R, 5)` of image index, x1, y1, x2, y2 in pixels of the image.
        output_size: cells of the grid, `(h, w)` or one number.
        spatial_scale: feature size over image size.
        sampling_ratio: samples per cell and axis; 0 takes as many as cover the region.
        pool_mode: `avg` or `max` of the samples of a cell.
        aligned: shift by half a pixel so that samples lie where pixels are.

    Returns:
        `(R, C, h, w)`.

    Raises:
        ValueError: wrong shape of `rois` or unknown mode.
    """
    _check_rois(rois)
    if pool_mode not in ("avg", "max"):
        raise ValueError(f"pool_mode must be 'avg' or 'max', got {pool_mode!r}")
    size, dtype = _pair(output_size), torch.promote_types(input.dtype, rois.dtype)
    features, regions = input.to(dtype), rois.to(dtype)
    if pool_mode == "avg":
        pooled = torchvision.ops.roi_align(features, regions, size, spatial_scale, sampling_ratio, aligned)
    else:
        pooled = _roi_align_max(features, regions, size, spatial_scale, sampling_ratio, aligned)
    return pooled.to(input.dtype)  # type: ignore[no-any-return]


def _roi_align_max(
    input: Tensor, rois: Tensor, size: tuple[int, int], scale: float, ratio: int, aligned: bool
) -> Tensor:
    """A finer grid with one sample per cell gives the samples themselves; take the maximum of each block."""
    grids = _samples_per_cell(rois, size, scale, ratio, aligned)
    pooled = input.new_zeros(len(rois), input.shape[1], *size)
    for grid in torch.unique(grids, dim=0):
        members = (grids == grid).all(dim=1).nonzero().squeeze(1)
        h, w = grid.tolist()
        fine = torchvision.ops.roi_align(input, rois[members], (size[0] * h, size[1] * w), scale, 1, aligned)
        pooled = pooled.index_copy(0, members, F.max_pool2d(fine, (h, w)))
    return pooled


def _samples_per_cell(rois: Tensor, size: tuple[int, int], scale: float, ratio: int, aligned: bool) -> Tensor:
    """`(R, 2)` rows and columns of samples in each cell."""
    if ratio > 0:
        return torch.full((len(rois), 2), ratio, dtype=torch.long, device=rois.device)
    extent = (rois[:, [4, 3]] - rois[:, [2, 1]]) * scale
    if not aligned:
        extent = extent.clamp(min=1)
    return (extent / extent.new_tensor(size)).ceil().long().clamp(min=1)


def roi_pool(input: Tensor, rois: Tensor, output_size: Size, spatial_scale: float = 1.0) -> Tensor:
    """Take the maximum of the pixels under each cell of a grid over each region (arXiv:1504.08083).

    Args:
        input: `(N, C, H, W)`.
        rois: `(R, 5)` of image index, x1, y1, x2, y2 in pixels of the image, the last pixel included.
        output_size: cells of the grid, `(h, w)` or one number.
        spatial_scale: feature size over image size.

    Returns:
        `(R, C, h, w)`; 0 in cells that lie outside the image.

    Raises:
        ValueError: wrong shape of `rois`.
    """
    _check_rois(rois)
    h, w = _pair(output_size)
    if len(rois) == 0:
        return input.new_zeros(0, input.shape[1], h, w)
    rows = _cell_edges(rois[:, 2], rois[:, 4], h, spatial_scale, input.shape[2]).tolist()
    columns = _cell_edges(rois[:, 1], rois[:, 3], w, spatial_scale, input.shape[3]).tolist()
    images = rois[:, 0].long().tolist()
    return torch.stack(
        [_window_max(_window_max(input[image], rows[i], dim=1), columns[i], dim=2) for i, image in enumerate(images)]
    )


def _cell_edges(start: Tensor, end: Tensor, cells: int, scale: float, limit: int) -> Tensor:
    """`(R, cells, 2)` first and past-the-last pixel of each cell along one axis."""
    first = start * scale
    extent = (end + 1) * scale - first
    step = extent[:, None] / cells
    index = torch.arange(cells, device=start.device)
    low = (index * step + first[:, None]).floor()
    high = ((index + 1) * step + first[:, None]).ceil()
    high = torch.where(extent[:, None] > 0, high, low)
    return torch.stack([low, high], dim=-1).clamp(0, limit).long()


def _window_max(image: Tensor, windows: list[list[int]], dim: int) -> Tensor:
    """Maximum of each `[low, high)` window along `dim`, 0 where a window is empty."""
    planes = []
    for low, high in windows:
        if high > low:
            planes.append(image.narrow(dim, low, high - low).max(dim=dim).values)
        else:
            planes.append(torch.zeros_like(image.select(dim, 0)))
    return torch.stack(planes, dim=dim)


class RoIAlign(nn.Module):
    """`roi_align` as a module.

    Args:
        output_size: cells of the grid, `(h, w)` or one number.
        spatial_scale: feature size over image size.
        sampling_ratio: samples per cell and axis; 0 takes as many as cover the region.
        pool_mode: `avg` or `max` of the samples of a cell.
        aligned: shift by half a pixel so that samples lie where pixels are.
        use_torchvision: accepted for 2.x configs; changes nothing.
        out_size: old name of `output_size`.
        sample_num: old name of `sampling_ratio`.
    """

    def __init__(
        self,
        output_size: Size | None = None,
        spatial_scale: float = 1.0,
        sampling_ratio: int = 0,
        pool_mode: str = "avg",
        aligned: bool = True,
        use_torchvision: bool = False,
        out_size: Size | None = None,
        sample_num: int | None = None,
    ) -> None:
        super().__init__()
        self.output_size = _named_size(output_size, out_size)
        self.spatial_scale = float(spatial_scale)
        self.sampling_ratio = int(sampling_ratio if sample_num is None else sample_num)
        self.pool_mode = pool_mode
        self.aligned = aligned
        self.use_torchvision = use_torchvision

    def forward(self, input: Tensor, rois: Tensor) -> Tensor:
        return roi_align(
            input, rois, self.output_size, self.spatial_scale, self.sampling_ratio, self.pool_mode, self.aligned
        )

    def extra_repr(self) -> str:
        return (
            f"output_size={self.output_size}, spatial_scale={self.spatial_scale}, "
            f"sampling_ratio={self.sampling_ratio}, pool_mode={self.pool_mode}, aligned={self.aligned}"
        )


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
        self.output_size = _named_size(output_size, out_size)
        self.spatial_scale = float(spatial_scale)

    def forward(self, input: Tensor, rois: Tensor) -> Tensor:
        return roi_pool(input, rois, self.output_size, self.spatial_scale)

    def extra_repr(self) -> str:
        return f"output_size={self.output_size}, spatial_scale={self.spatial_scale}"


def _named_size(output_size: Size | None, out_size: Size | None) -> tuple[int, int]:
    size = out_size if output_size is None else output_size
    if size is None:
        raise TypeError("pooling of regions needs the argument 'output_size'")
    return _pair(size)


def _pair(size: Any) -> tuple[int, int]:
    h, w = (size, size) if isinstance(size, int) else size
    return int(h), int(w)


def _check_rois(rois: Tensor) -> None:
    if rois.ndim != 2 or rois.shape[1] != 5:
        raise ValueError(f"rois must be (R, 5): image index, x1, y1, x2, y2; got shape {tuple(rois.shape)}")
