"""Deformable RoI pooling (arXiv:1703.06211): RoIAlign whose cells are shifted, each by an offset of its own."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from raydet_ops._checks import check_floating, check_shape, check_tensors
from raydet_ops._operator import alert_not_deterministic, define, differentiate, plain_gradients
from raydet_ops._regions import Size, check_regions, of_one_dtype, pair, readable


def _plain(
    input: Tensor,
    rois: Tensor,
    offset: Tensor | None,
    height: int,
    width: int,
    scale: float,
    ratio: int,
    gamma: float,
) -> Tensor:
    pooled = [input.new_zeros(0, input.shape[1], height, width)]
    for i, is_known in enumerate(readable(rois, len(input)).tolist()):
        if not is_known:
            pooled.append(input.new_zeros(1, input.shape[1], height, width))
            continue
        x1, y1, x2, y2 = rois[i, 1:] * scale - 0.5
        x_shift, y_shift = rois.new_zeros(2, height, width) if offset is None else offset[i]
        index = torch.arange(height * width, device=rois.device)
        rows = _cell_weights(y1, y2, index // width, gamma * y_shift.flatten(), height, ratio, input.shape[2])
        columns = _cell_weights(x1, x2, index % width, gamma * x_shift.flatten(), width, ratio, input.shape[3])
        mean = torch.einsum("chw,ph,pw->cp", input[int(rois[i, 0])], rows, columns)
        pooled.append(mean.view(1, -1, height, width))
    return torch.cat(pooled)


def _cell_weights(
    start: Tensor, end: Tensor, cell: Tensor, shift: Tensor, cells: int, ratio: int, limit: int
) -> Tensor:
    """`(P, limit)` weight of each pixel of an axis in the mean of samples of each cell."""
    extent = (end - start) / cells
    samples = ratio if ratio > 0 else max(math.ceil(extent), 0)
    within = (torch.arange(samples, dtype=start.dtype, device=start.device) + 0.5) / max(samples, 1)
    places = (start + shift * (end - start))[:, None] + (cell[:, None] + within) * extent
    inside = (places >= -1) & (places <= limit)
    distance = places.clamp(0, limit - 1)[..., None] - torch.arange(limit, device=start.device)
    return ((1 - distance.abs()).clamp(min=0) * inside[..., None]).sum(dim=1) / max(samples, 1)


def _plain_backward(
    grad: Tensor, input: Tensor, rois: Tensor, offset: Tensor | None, *rest: Any
) -> tuple[Tensor, Tensor]:
    if grad.numel() == 0 or input.numel() == 0:
        return torch.zeros_like(input), input.new_zeros(0) if offset is None else torch.zeros_like(offset)
    if offset is None:
        one = plain_gradients(lambda features: _plain(features, rois, None, *rest), grad, [input])
        return one[0], _no_offset(grad)
    both = plain_gradients(
        lambda features, shifts: _plain(features, rois, shifts, *rest) + 0 * (features.sum() + shifts.sum()),
        grad,
        [input, offset],
    )
    return both[0], both[1]


def _no_offset(grad: Tensor) -> Tensor:
    return grad.new_empty(0, 2, *grad.shape[2:])


_NUMBERS = "int height, int width, float scale, int sampling_ratio, float gamma"
_pool = define(
    f"deform_roi_pool(Tensor input, Tensor rois, Tensor? offset, {_NUMBERS}) -> Tensor",
    plain=_plain,
    fake=lambda input, rois, offset, height, width, *rest: input.new_empty(len(rois), input.shape[1], height, width),
)
_pool_backward = define(
    f"deform_roi_pool_backward(Tensor grad, Tensor input, Tensor rois, Tensor? offset, {_NUMBERS}) -> (Tensor, Tensor)",
    plain=_plain_backward,
    fake=lambda grad, input, rois, offset, *rest: (
        torch.empty_like(input, memory_format=torch.contiguous_format),
        _no_offset(grad) if offset is None else torch.empty_like(offset, memory_format=torch.contiguous_format),
    ),
)


def _gradient(tensors: dict[str, Tensor], numbers: dict[str, Any], grad: Tensor) -> tuple[Tensor | None, ...]:
    alert_not_deterministic("deform_roi_pool_backward", grad)
    offset = tensors["offset"]
    rest = [numbers[name] for name in ("height", "width", "scale", "sampling_ratio", "gamma")]
    gradient, offset_gradient = _pool_backward(grad, tensors["input"], tensors["rois"], offset, *rest)
    return gradient, None, None if offset is None else offset_gradient, *[None for _ in rest]


differentiate(_pool, _gradient, saves=("input", "rois", "offset"))


def deform_roi_pool(
    input: Tensor,
    rois: Tensor,
    offset: Tensor | None,
    output_size: Size,
    spatial_scale: float = 1.0,
    sampling_ratio: int = 0,
    gamma: float = 0.1,
) -> Tensor:
    """Average bilinear samples in cells of each region, every cell shifted on its own (arXiv:1703.06211).

    Args:
        input: `(N, C, H, W)`.
        rois: `(R, 5)` of image index, x1, y1, x2, y2 in pixels of the image.
        offset: `(R, 2, h, w)` shift of each cell in x and y, in widths and heights of its region over `gamma`; or None.
        output_size: cells of the grid, `(h, w)` or one number.
        spatial_scale: feature size over image size.
        sampling_ratio: samples per cell and axis; 0 takes as many as cover the region.
        gamma: what offsets are multiplied with.

    Returns:
        `(R, C, h, w)` in the type of `input`; 0 for regions that are not finite or name no image.

    Raises:
        ValueError: wrong shapes or sizes, or two devices.
        TypeError: `input` or `rois` is not floating.
    """
    check_regions(input, rois)
    size = pair(output_size)
    if offset is not None:
        check_tensors(input=input, offset=offset)
        check_floating(offset=offset)
        check_shape("offset", offset, len(rois), 2, *size)
    tensors = of_one_dtype(input, rois, *([] if offset is None else [offset]))
    features, regions, shifts = tensors if len(tensors) == 3 else (*tensors, None)
    pooled: Tensor = _pool(features, regions, shifts, *size, float(spatial_scale), int(sampling_ratio), float(gamma))
    return pooled.to(input.dtype)
