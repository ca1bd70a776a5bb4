"""Mean or maximum of bilinear samples inside regions of interest (arXiv:1703.06870)."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
import torchvision
from torch import Tensor, nn

from raydet_ops._operator import alert_not_deterministic, define, differentiate, plain_gradients
from raydet_ops._regions import Size, check_regions, named_size, of_one_dtype, pair, readable


def _plain(
    input: Tensor, rois: Tensor, height: int, width: int, scale: float, ratio: int, aligned: bool, maximum: bool
) -> Tensor:
    known = readable(rois, len(input))
    if input.numel() == 0 or len(rois) == 0:
        return input.new_zeros(len(rois), input.shape[1], height, width)
    regions = torch.where(known[:, None], rois, 0)
    if maximum:
        pooled = _plain_max(input, regions, (height, width), scale, ratio, aligned)
    else:
        if ratio <= 0:  # torchvision's operator fails on regions that run backwards; they have no samples
            regions = torch.cat([regions[:, :3], regions[:, 3:].maximum(regions[:, 1:3])], dim=1)
        pooled = torchvision.ops.roi_align(input, regions, (height, width), scale, ratio, aligned)
    return torch.where(known[:, None, None, None], pooled, 0)


def _plain_max(input: Tensor, rois: Tensor, size: tuple[int, int], scale: float, ratio: int, aligned: bool) -> Tensor:
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


def _plain_backward(grad: Tensor, input: Tensor, rois: Tensor, *rest: Any) -> Tensor:
    if grad.numel() == 0 or input.numel() == 0:
        return torch.zeros_like(input)
    return plain_gradients(lambda features: _plain(features, rois, *rest), grad, [input])[0]


_NUMBERS = "int height, int width, float scale, int sampling_ratio, bool aligned, bool maximum"
_align = define(
    f"roi_align(Tensor input, Tensor rois, {_NUMBERS}) -> Tensor",
    plain=_plain,
    fake=lambda input, rois, height, width, *rest: input.new_empty(len(rois), input.shape[1], height, width),
)
_align_backward = define(
    f"roi_align_backward(Tensor grad, Tensor input, Tensor rois, {_NUMBERS}) -> Tensor",
    plain=_plain_backward,
    fake=lambda grad, input, *rest: torch.empty_like(input, memory_format=torch.contiguous_format),
)


def _gradient(tensors: dict[str, Tensor], numbers: dict[str, Any], grad: Tensor) -> tuple[Tensor | None, ...]:
    alert_not_deterministic("roi_align_backward", grad)
    gradient = _align_backward(grad, tensors["input"], tensors["rois"], *numbers.values())
    return gradient, None, *[None for _ in numbers]


differentiate(_align, _gradient, saves=("input", "rois"))


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
        `(R, C, h, w)` in the type of `input`; 0 for regions that are not finite or name no image.

    Raises:
        ValueError: wrong shapes, sizes or mode, or two devices.
        TypeError: `input` or `rois` is not floating.
    """
    check_regions(input, rois)
    if pool_mode not in ("avg", "max"):
        raise ValueError(f"pool_mode must be 'avg' or 'max', got {pool_mode!r}")
    features, regions = of_one_dtype(input, rois)
    scale, ratio = float(spatial_scale), int(sampling_ratio)
    pooled: Tensor = _align(features, regions, *pair(output_size), scale, ratio, bool(aligned), pool_mode == "max")
    return pooled.to(input.dtype)


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
        self.output_size = named_size(output_size, out_size)
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
