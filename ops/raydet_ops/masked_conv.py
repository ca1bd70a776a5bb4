"""Convolution at the pixels of a mask alone (arXiv:1901.03278)."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.utils import _pair

from raydet_ops._arrays import widened
from raydet_ops._checks import check_floating, check_pair, check_shape, check_tensors
from raydet_ops._deform_columns import deform_columns, deform_columns_backward, deform_columns_scatter
from raydet_ops._operator import alert_not_deterministic, define, differentiate

Size = int | tuple[int, int]


def _forward(features: Tensor, mask: Tensor, weight: Tensor, padding: list[int]) -> Tensor:
    ys, xs, positions, ones = _samples(features, mask, weight, padding)
    columns = deform_columns(features.permute(0, 2, 3, 1).contiguous(), positions, ones, 1)
    result = features.new_zeros(1, len(weight), *mask.shape[1:])
    result[0, :, ys, xs] = _matrix(weight) @ columns[0].flatten(1).t()
    return result


def _backward(
    grad: Tensor, features: Tensor, mask: Tensor, weight: Tensor, padding: list[int]
) -> tuple[Tensor, Tensor]:
    ys, xs, positions, ones = _samples(features, mask, weight, padding)
    image = features.permute(0, 2, 3, 1).contiguous()
    upstream = grad[0, :, ys, xs]
    slopes = (upstream.t() @ _matrix(weight)).view(1, -1, positions.shape[2], features.shape[1])
    columns, _, _ = deform_columns_backward(slopes, image, positions, ones)
    grad_image = torch.zeros_like(image)
    deform_columns_scatter(grad_image, slopes, positions, ones)
    grad_matrix = (upstream @ columns[0].flatten(1)).view(len(weight), *weight.shape[2:], weight.shape[1])
    return grad_image.permute(0, 3, 1, 2).contiguous(), grad_matrix.permute(0, 3, 1, 2).contiguous()


def _samples(features: Tensor, mask: Tensor, weight: Tensor, padding: list[int]) -> tuple[Tensor, ...]:
    """Rows and columns of the M pixels of the mask, positions `(1, M, h * w, 1, 2)` of their samples, and ones."""
    ys, xs = (mask[0] > 0).nonzero().unbind(1)
    kernel = weight.shape[2:]
    rows, columns = (torch.arange(kernel[i], device=mask.device) - padding[i] for i in range(2))
    y = (ys[:, None, None] + rows[:, None]).expand(-1, *kernel)
    x = (xs[:, None, None] + columns).expand(-1, *kernel)
    positions = torch.stack([y, x], dim=-1).view(1, len(ys), kernel[0] * kernel[1], 1, 2).to(features.dtype)
    return ys, xs, positions, positions.new_ones(positions.shape[:-1])


def _matrix(weight: Tensor) -> Tensor:
    """`(O, C, h, w)` as `(O, h * w * C)`."""
    return weight.permute(0, 2, 3, 1).flatten(1)


_convolve = define(
    "masked_conv2d(Tensor features, Tensor mask, Tensor weight, int[2] padding) -> Tensor",
    plain=_forward,
    built_on="deform_columns",
    fake=lambda features, mask, weight, padding: features.new_empty(1, len(weight), *mask.shape[1:]),
)
_convolve_backward = define(
    "masked_conv2d_backward(Tensor grad, Tensor features, Tensor mask, Tensor weight, int[2] padding)"
    " -> (Tensor, Tensor)",
    plain=_backward,
    built_on="deform_columns_backward",
    fake=lambda grad, features, mask, weight, padding: (
        features.new_empty(features.shape),
        weight.new_empty(weight.shape),
    ),
)


def _gradient(tensors: dict[str, Tensor], numbers: dict[str, Any], grad: Tensor) -> tuple[Tensor | None, ...]:
    alert_not_deterministic("deform_columns_scatter", grad)
    grad_features, grad_weight = _convolve_backward(grad, *tensors.values(), **numbers)
    return grad_features, None, grad_weight, None


differentiate(_convolve, _gradient, saves=("features", "mask", "weight"))


def masked_conv2d(
    features: Tensor, mask: Tensor, weight: Tensor, bias: Tensor | None, padding: Size = 0, stride: Size = 1
) -> Tensor:
    """Convolve where `mask` is above zero; everywhere else the result is zero.

    Args:
        features: `(1, C, H, W)`.
        mask: `(1, H', W')`, of the size of the result.
        weight: `(O, C, h, w)`.
        bias: `(O,)`, added at the same pixels, or None.
        padding: pixels of zeros on each side.
        stride: must be 1.

    Returns:
        `(1, O, H', W')` in the dtype of `features`.

    Raises:
        ValueError: shapes, devices or numbers do not fit.
        TypeError: features, weight or bias are not floating.
    """
    given = {"features": features, "weight": weight, **({} if bias is None else {"bias": bias})}
    check_tensors(**given, mask=mask)
    check_floating(**given)
    pads = check_pair("padding", padding, 0)
    _check(features, mask, weight, pads, stride)
    values = (widened(features), mask, widened(weight).to(widened(features).dtype))
    result: Tensor = _convolve(*values, pads)
    if bias is not None:
        check_shape("bias", bias, len(weight))
        result = result + bias.to(result.dtype)[:, None, None] * (mask > 0)
    return result.to(features.dtype)


def _check(features: Tensor, mask: Tensor, weight: Tensor, padding: tuple[int, int], stride: Size) -> None:
    if _pair(stride) != (1, 1):
        raise ValueError(f"stride must be 1, got {stride!r}")
    check_shape("features", features, 1, "C", "H", "W")
    check_shape("weight", weight, "O", features.shape[1], "h", "w")
    if 0 in (*features.shape, *weight.shape):
        raise ValueError(f"features {tuple(features.shape)} and weight {tuple(weight.shape)} must not be empty")
    out = [features.shape[i + 2] + 2 * padding[i] - weight.shape[i + 2] + 1 for i in range(2)]
    if min(out) < 1:
        raise ValueError(f"weight {tuple(weight.shape)} does not fit in features {tuple(features.shape)}")
    check_shape("mask", mask, 1, *out)


class MaskedConv2d(nn.Conv2d):
    """Convolution that can be asked for the pixels of a mask alone. Arguments are those of `nn.Conv2d`."""

    def forward(self, input: Tensor, mask: Tensor | None = None) -> Tensor:
        """Convolve everywhere, or where the mask `(1, H', W')` is above zero."""
        if mask is None:
            return super().forward(input)
        if self.groups != 1 or _pair(self.dilation) != (1, 1) or self.padding_mode != "zeros":
            raise ValueError("a mask needs groups=1, dilation=1 and padding_mode='zeros'")
        return masked_conv2d(input, mask, self.weight, self.bias, _pair(self.padding), _pair(self.stride))
