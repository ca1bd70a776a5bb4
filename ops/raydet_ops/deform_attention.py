"""Multi-scale deformable attention (arXiv:2010.04159)."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from raydet_ops._arrays import widened
from raydet_ops._checks import check_floating, check_integers, check_shape, check_tensors
from raydet_ops._operator import alert_not_deterministic, define, differentiate, plain_gradients


def _plain(value: Tensor, spatial_shapes: Tensor, sampling_locations: Tensor, attention_weights: Tensor) -> Tensor:
    num_images, _, num_heads, num_channels = value.shape
    shapes: list[list[int]] = spatial_shapes.tolist()
    num_queries = sampling_locations.shape[1]
    maps = torch.split(value.permute(0, 2, 3, 1).flatten(0, 1), [height * width for height, width in shapes], dim=2)
    near = (sampling_locations > -1) & (sampling_locations < 2)  # the rest, and what is not a number, sees nothing
    grids = (2 * torch.where(near, sampling_locations, 2) - 1).transpose(1, 2).flatten(0, 1)  # (N M, Q, L, P, 2)
    sampled = [
        F.grid_sample(level.reshape(*level.shape[:2], *shape), grids[:, :, i], align_corners=False)
        for i, (level, shape) in enumerate(zip(maps, shapes, strict=True))
    ]
    weights = attention_weights.transpose(1, 2).flatten(0, 1).flatten(2).unsqueeze(1)  # (N M, 1, Q, L P)
    nothing = value.new_zeros(len(grids), num_channels, num_queries)
    out = (torch.cat(sampled, dim=3) * weights).sum(3) if sampled else nothing
    return out.view(num_images, num_heads * num_channels, num_queries).transpose(1, 2).contiguous()


def _plain_backward(
    grad: Tensor, value: Tensor, spatial_shapes: Tensor, sampling_locations: Tensor, attention_weights: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    def run(value: Tensor, sampling_locations: Tensor, attention_weights: Tensor) -> Tensor:
        return _plain(value, spatial_shapes, sampling_locations, attention_weights)

    a, b, c = plain_gradients(run, grad, (value, sampling_locations, attention_weights))
    return a.contiguous(), b.contiguous(), c.contiguous()


def _contiguous_like(*tensors: Tensor) -> tuple[Tensor, ...]:
    return tuple(torch.empty_like(tensor, memory_format=torch.contiguous_format) for tensor in tensors)


_attend = define(
    "ms_deform_attn(Tensor value, Tensor spatial_shapes, Tensor sampling_locations, Tensor attention_weights)"
    " -> Tensor",
    plain=_plain,
    fake=lambda value, spatial_shapes, sampling_locations, attention_weights: value.new_empty(
        value.shape[0], attention_weights.shape[1], value.shape[2] * value.shape[3]
    ),
)
_attend_backward = define(
    "ms_deform_attn_backward(Tensor grad, Tensor value, Tensor spatial_shapes, Tensor sampling_locations,"
    " Tensor attention_weights) -> (Tensor, Tensor, Tensor)",
    plain=_plain_backward,
    fake=lambda grad, value, spatial_shapes, sampling_locations, attention_weights: _contiguous_like(
        value, sampling_locations, attention_weights
    ),
)


def _gradient(tensors: dict[str, Tensor], numbers: dict[str, Any], grad: Tensor) -> tuple[Tensor | None, ...]:
    alert_not_deterministic("ms_deform_attn_backward", grad)
    value, locations, weights = _attend_backward(grad, **tensors)
    return value, None, locations, weights


differentiate(_attend, _gradient, saves=("value", "spatial_shapes", "sampling_locations", "attention_weights"))


def ms_deform_attn(
    value: Tensor, spatial_shapes: Tensor, sampling_locations: Tensor, attention_weights: Tensor
) -> Tensor:
    """Average the values of every head at points between the cells of several maps.

    Args:
        value: `(N, S, M, D)` the cells of all maps, one map after the other, row by row, for M heads of D channels.
        spatial_shapes: `(L, 2)` int64 height and width of each map; their areas add up to S.
        sampling_locations: `(N, Q, M, L, P, 2)` x and y, from 0 to 1 over a map. Values outside the map are zero;
            a coordinate that is not a number lies outside.
        attention_weights: `(N, Q, M, L, P)` factor of each point.

    Returns:
        `(N, Q, M * D)`, of the dtype of `value`.

    Raises:
        ValueError: shapes or devices do not go together.
        TypeError: values, locations or weights are not floating, or shapes not integers.
    """
    floating = {"value": value, "sampling_locations": sampling_locations, "attention_weights": attention_weights}
    check_tensors(spatial_shapes=spatial_shapes, **floating)
    check_floating(**floating)
    check_integers(spatial_shapes=spatial_shapes)
    _check_shapes(value, spatial_shapes, sampling_locations, attention_weights)
    dtype = torch.promote_types(value.dtype, torch.promote_types(sampling_locations.dtype, attention_weights.dtype))
    values, locations, weights = (widened(x.to(dtype)) for x in floating.values())
    out: Tensor = _attend(values, spatial_shapes.long(), locations, weights)
    return out.to(value.dtype)


def _check_shapes(value: Tensor, spatial_shapes: Tensor, locations: Tensor, weights: Tensor) -> None:
    check_shape("value", value, "N", "S", "M", "D")
    check_shape("spatial_shapes", spatial_shapes, "L", 2)
    num_images, num_cells, num_heads, _ = value.shape
    num_levels = len(spatial_shapes)
    check_shape("attention_weights", weights, num_images, "Q", num_heads, num_levels, "P")
    check_shape("sampling_locations", locations, *weights.shape, 2)
    if spatial_shapes.device.type == "cpu" and not torch.compiler.is_compiling():  # elsewhere reading them would wait
        shapes: list[list[int]] = spatial_shapes.tolist()
        if min((side for shape in shapes for side in shape), default=0) < 0:
            raise ValueError(f"spatial_shapes must not be negative, got {shapes}")
        if sum(height * width for height, width in shapes) != num_cells:
            raise ValueError(f"spatial_shapes {shapes} do not add up to the {num_cells} cells of value")
