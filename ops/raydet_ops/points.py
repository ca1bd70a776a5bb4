"""Features at points, and points in the coordinates of regions and of images.

Relative coordinates run from 0 to 1 across a region or an image, whose pixels have their centres at (i + 0.5) / size.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from raydet_ops._checks import check_shape, check_tensors
from raydet_ops._regions import Size, check_regions, pair


def normalize(grid: Tensor) -> Tensor:
    """Coordinates of `grid_sample`, in [-1, 1], as relative ones in [0, 1]."""
    return (grid + 1) / 2


def denormalize(grid: Tensor) -> Tensor:
    """Relative coordinates in [0, 1] as those of `grid_sample`, in [-1, 1]."""
    return grid * 2 - 1


def generate_grid(num_grid: int, size: Sequence[int], device: torch.device | str) -> Tensor:
    """`(num_grid, h * w, 2)` relative x, y of the centres of the cells of a grid, row by row.

    Args:
        num_grid: how many times to repeat the grid.
        size: `(h, w)` cells.
        device: of the result.
    """
    h, w = pair(size, "size")
    y = (torch.arange(h, device=device) + 0.5) / h
    x = (torch.arange(w, device=device) + 0.5) / w
    centres = torch.stack([x.expand(h, w), y[:, None].expand(h, w)], dim=-1)
    return centres.view(1, h * w, 2).expand(num_grid, -1, -1)


def rel_roi_point_to_abs_img_point(rois: Tensor, rel_roi_points: Tensor) -> Tensor:
    """Points relative to regions, in pixels of the image.

    Args:
        rois: `(R, 4)` xyxy or `(R, 5)` with the image index first.
        rel_roi_points: `(R, P, 2)` x, y.

    Returns:
        `(R, P, 2)` without gradient.

    Raises:
        ValueError: wrong shapes, or two devices.
    """
    check_tensors(rois=rois, rel_roi_points=rel_roi_points)
    if rois.ndim != 2 or rois.shape[1] not in (4, 5):
        raise ValueError(f"rois must be (R, 4) or (R, 5), got shape {tuple(rois.shape)}")
    check_shape("rel_roi_points", rel_roi_points, len(rois), "P", 2)
    corners = rois.detach()[:, -4:]
    start = corners[:, None, :2]
    return rel_roi_points.detach() * (corners[:, None, 2:] - start) + start


def abs_img_point_to_rel_img_point(
    abs_img_points: Tensor, img: Tensor | Sequence[int], spatial_scale: float = 1.0
) -> Tensor:
    """Points in pixels of the image, relative to it.

    Args:
        abs_img_points: `(R, P, 2)` x, y.
        img: `(height, width)`, or a feature map `(N, C, height, width)`.
        spatial_scale: size of `img` over the size that the points are in.

    Raises:
        ValueError: `img` is neither.
    """
    height, width = img.shape[2:] if isinstance(img, Tensor) and img.ndim == 4 else _two(img)
    return abs_img_points / abs_img_points.new_tensor([width, height]) * spatial_scale


def _two(size: Any) -> Any:
    if isinstance(size, Tensor) or len(size) != 2:
        got = tuple(size.shape) if isinstance(size, Tensor) else size
        raise ValueError(f"img must be (height, width) or a map (N, C, height, width), got {got}")
    return size


def rel_roi_point_to_rel_img_point(
    rois: Tensor, rel_roi_points: Tensor, img: Tensor | Sequence[int], spatial_scale: float = 1.0
) -> Tensor:
    """Points relative to regions, relative to the image.

    Args:
        rois: `(R, 4)` xyxy or `(R, 5)` with the image index first.
        rel_roi_points: `(R, P, 2)` x, y.
        img: `(height, width)`, or a feature map `(N, C, height, width)`.
        spatial_scale: size of `img` over the size that the regions are in.
    """
    return abs_img_point_to_rel_img_point(rel_roi_point_to_abs_img_point(rois, rel_roi_points), img, spatial_scale)


def point_sample(input: Tensor, points: Tensor, align_corners: bool = False, **kwargs: Any) -> Tensor:
    """Bilinear features at relative points; outside the image features are 0.

    Args:
        input: `(N, C, H, W)`.
        points: `(N, P, 2)` or `(N, h, w, 2)` x, y in [0, 1].
        align_corners: 0 and 1 are the centres of the outermost pixels, not their outer borders.
        kwargs: further arguments of `torch.nn.functional.grid_sample`.

    Returns:
        `(N, C, P)` or `(N, C, h, w)`.

    Raises:
        ValueError: wrong shapes, or two devices.
    """
    check_tensors(input=input, points=points)
    check_shape("input", input, "N", "C", "H", "W")
    if 0 in input.shape[2:]:
        raise ValueError(f"input must have pixels to sample, got shape {tuple(input.shape)}")
    if points.ndim not in (3, 4) or points.shape[-1] != 2 or len(points) != len(input):
        wanted = f"({len(input)}, P, 2) or ({len(input)}, h, w, 2)"
        raise ValueError(f"points must be {wanted}, got {tuple(points.shape)}")
    is_list = points.ndim == 3
    grid = denormalize(points.unsqueeze(2) if is_list else points)
    sampled = F.grid_sample(input, grid, align_corners=align_corners, **kwargs)
    return sampled.squeeze(3) if is_list else sampled


class SimpleRoIAlign(nn.Module):
    """One bilinear sample at the centre of each cell, as PointRend takes it (arXiv:1912.08193).

    Args:
        output_size: cells of the grid, `(h, w)` or one number.
        spatial_scale: feature size over image size.
        aligned: samples lie where pixels are; else they are shifted by half a pixel.
    """

    def __init__(self, output_size: Size, spatial_scale: float, aligned: bool = True) -> None:
        super().__init__()
        self.output_size = pair(output_size)
        self.spatial_scale = float(spatial_scale)
        self.aligned = aligned
        self.use_torchvision = False

    def forward(self, features: Tensor, rois: Tensor) -> Tensor:
        """`(R, C, h, w)` of maps `(N, C, H, W)` and regions `(R, 5)`."""
        check_regions(features, rois)
        grid = generate_grid(len(rois), self.output_size, rois.device)
        points = rel_roi_point_to_rel_img_point(rois, grid, features, self.spatial_scale).to(features.dtype)
        images = rois[:, 0].long()
        pooled = features.new_zeros(len(rois), features.shape[1], points.shape[1])
        for image in range(len(features)):
            (own,) = (images == image).nonzero(as_tuple=True)
            sampled = point_sample(features[image, None], points[own][None], align_corners=not self.aligned)
            pooled = pooled.index_copy(0, own, sampled[0].transpose(0, 1))
        return pooled.view(*pooled.shape[:2], *self.output_size)

    def extra_repr(self) -> str:
        return f"output_size={self.output_size}, spatial_scale={self.spatial_scale}"
