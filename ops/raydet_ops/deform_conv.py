"""Deformable convolution, plain (arXiv:1703.06211) and modulated (arXiv:1811.11168)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
import torchvision
from torch import Tensor

from raydet_ops._arrays import widened
from raydet_ops._checks import check_floating, check_pair, check_positive, check_shape, check_tensors
from raydet_ops._deform_columns import deform_columns, deform_columns_backward, deform_columns_scatter
from raydet_ops._operator import alert_not_deterministic, define, differentiate

Pair = tuple[int, int]
Size = int | Pair
_BLOCK_BYTES = {"cpu": 1 << 23, "cuda": 1 << 28}
"""Columns are made and multiplied in blocks of about this size: small enough for the caches of a CPU, large enough that
its threads seldom wait for each other."""


def _forward(
    input: Tensor,
    offset: Tensor,
    mask: Tensor,
    weight: Tensor,
    stride: list[int],
    padding: list[int],
    dilation: list[int],
    groups: int,
    deform_groups: int,
) -> Tensor:
    image = input.permute(0, 2, 3, 1).contiguous()
    positions, strengths = _samples(offset, mask, weight, stride, padding, dilation, deform_groups)
    matrices = _to_matrices(weight, groups)
    result = input.new_empty(len(input), len(weight), *offset.shape[2:])
    by_group = result.view(len(input), *matrices.shape[:2], positions.shape[1])
    for images, pixels in _blocks(positions, matrices):
        places = positions[images, pixels]
        columns = deform_columns(image[images], places, strengths[images, pixels], groups)
        product = matrices @ columns.flatten(2).transpose(1, 2)
        by_group[images, :, :, pixels] = product.view(*product.shape[:2], *places.shape[:2]).permute(2, 0, 1, 3)
    return result


def _backward(
    grad: Tensor,
    input: Tensor,
    offset: Tensor,
    mask: Tensor,
    weight: Tensor,
    stride: list[int],
    padding: list[int],
    dilation: list[int],
    groups: int,
    deform_groups: int,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    image = input.permute(0, 2, 3, 1).contiguous()
    positions, strengths = _samples(offset, mask, weight, stride, padding, dilation, deform_groups)
    matrices = _to_matrices(weight, groups)
    grad_image, grad_matrices = torch.zeros_like(image), torch.zeros_like(matrices)
    grad_positions, grad_strengths = torch.empty_like(positions), torch.empty_like(strengths)
    by_group = grad.reshape(len(input), *matrices.shape[:2], positions.shape[1])
    for images, pixels in _blocks(positions, matrices):
        places, factors = positions[images, pixels], strengths[images, pixels]
        upstream = by_group[images, :, :, pixels].permute(1, 2, 0, 3).flatten(2)  # (G, O / G, pixels of the block)
        slopes = (upstream.transpose(1, 2) @ matrices).view(groups, -1, positions.shape[2], input.shape[1] // groups)
        deform_columns_scatter(grad_image[images], slopes, places, factors)
        columns, grad_positions[images, pixels], grad_strengths[images, pixels] = deform_columns_backward(
            slopes, image[images], places, factors
        )
        grad_matrices.baddbmm_(upstream, columns.flatten(2))
    return (
        grad_image.permute(0, 3, 1, 2).contiguous(),
        grad_positions.permute(0, 3, 2, 4, 1).reshape(offset.shape),
        grad_strengths.permute(0, 3, 2, 1).reshape(mask.shape),
        grad_matrices.view(len(weight), -1, weight.shape[1]).transpose(1, 2).reshape(weight.shape),
    )


def _forward_on_cuda(
    input: Tensor,
    offset: Tensor,
    mask: Tensor,
    weight: Tensor,
    stride: list[int],
    padding: list[int],
    dilation: list[int],
    groups: int,
    deform_groups: int,
) -> Tensor:
    """The kernel of torchvision, which lays out columns without copies of the image and of the positions."""
    if len(input) == 0:
        return input.new_empty(0, len(weight), *offset.shape[2:])
    shifts = offset.nan_to_num(nan=torch.inf, posinf=torch.inf, neginf=-torch.inf)  # out of sight, as with ours
    result: Tensor = torchvision.ops.deform_conv2d(input, shifts, weight, None, stride, padding, dilation, mask)
    return result


def _samples(
    offset: Tensor,
    mask: Tensor,
    weight: Tensor,
    stride: list[int],
    padding: list[int],
    dilation: list[int],
    deform_groups: int,
) -> tuple[Tensor, Tensor]:
    """Positions `(N, P, T, D, 2)` and mask `(N, P, T, D)` of all samples."""
    size, kernel, device = offset.shape[2:], weight.shape[2:], offset.device
    taps, pixels = kernel[0] * kernel[1], size[0] * size[1]
    axes = [
        torch.arange(size[i], device=device)[:, None] * stride[i]
        - padding[i]
        + torch.arange(kernel[i], device=device) * dilation[i]
        for i in range(2)
    ]
    y = axes[0][:, None, :, None].expand(*size, *kernel)
    x = axes[1][None, :, None, :].expand(*size, *kernel)
    regular = torch.stack([y, x], dim=-1).reshape(pixels, taps, 1, 2)
    shifts = offset.reshape(len(offset), deform_groups, taps, 2, pixels).permute(0, 4, 2, 1, 3)
    strengths = mask.reshape(len(mask), deform_groups, taps, pixels).permute(0, 3, 2, 1)
    return (shifts.contiguous() + regular).contiguous(), strengths.contiguous()


def _to_matrices(weight: Tensor, groups: int) -> Tensor:
    """`(O, C / G, h, w)` as `(G, O / G, h * w * C / G)`."""
    return weight.flatten(2).transpose(1, 2).reshape(groups, len(weight) // groups, -1)


def _blocks(positions: Tensor, matrices: Tensor) -> Iterator[tuple[slice, slice]]:
    """Slices of images and of pixels: parts of one image, or whole images where they are small."""
    images, pixels = positions.shape[:2]
    per_pixel = matrices.shape[0] * matrices.shape[2] * matrices.element_size()
    most = max(1, _BLOCK_BYTES.get(positions.device.type, 1 << 28) // per_pixel)
    if pixels <= most:
        step = most // pixels
        yield from ((slice(n, n + step), slice(None)) for n in range(0, images, step))
        return
    for n in range(images):
        yield from ((slice(n, n + 1), slice(start, start + most)) for start in range(0, pixels, most))


_ARGUMENTS = (
    "Tensor input, Tensor offset, Tensor mask, Tensor weight, int[2] stride, int[2] padding, int[2] dilation, "
    "int groups, int deform_groups"
)
_convolve = define(
    f"modulated_deform_conv2d({_ARGUMENTS}) -> Tensor",
    plain=_forward,
    cuda=_forward_on_cuda,
    built_on="deform_columns",
    fake=lambda input, offset, mask, weight, *_: input.new_empty(len(input), len(weight), *offset.shape[2:]),
)
_convolve_backward = define(
    f"modulated_deform_conv2d_backward(Tensor grad, {_ARGUMENTS}) -> (Tensor, Tensor, Tensor, Tensor)",
    plain=_backward,
    built_on="deform_columns_backward",
    fake=lambda grad, *tensors_and_numbers: tuple(x.new_empty(x.shape) for x in tensors_and_numbers[:4]),
)


def _gradient(tensors: dict[str, Tensor], numbers: dict[str, Any], grad: Tensor) -> tuple[Tensor | None, ...]:
    alert_not_deterministic("deform_columns_scatter", grad)
    return *_convolve_backward(grad, *tensors.values(), **numbers), *[None] * 5


differentiate(_convolve, _gradient, saves=("input", "offset", "mask", "weight"))


def deform_conv2d(
    input: Tensor,
    offset: Tensor,
    weight: Tensor,
    stride: Size = 1,
    padding: Size = 0,
    dilation: Size = 1,
    groups: int = 1,
    deform_groups: int = 1,
    bias: bool = False,
    im2col_step: int = 32,
) -> Tensor:
    """Convolve with taps moved by `offset`.

    Args:
        input: `(N, C, H, W)`.
        offset: `(N, deform_groups * h * w * 2, H', W')` of y, x in pixels, tap by tap.
        weight: `(O, C / groups, h, w)`.
        stride: stride.
        padding: pixels of zeros on each side.
        dilation: spacing of the taps.
        groups: groups of the convolution.
        deform_groups: groups of channels with offsets of their own.
        bias: must be False.
        im2col_step: without meaning here: images are taken together as far as memory allows.

    Returns:
        `(N, O, H', W')` in the dtype of `input`.

    Raises:
        ValueError: shapes, devices or numbers do not fit.
        TypeError: a tensor is not floating.
    """
    if bias:
        raise ValueError("bias must be False: deform_conv2d adds none")
    check_tensors(offset=offset)
    check_shape("offset", offset, "N", "2 x taps", "H", "W")
    mask = offset.new_ones(len(offset), offset.shape[1] // 2, *offset.shape[2:])
    return modulated_deform_conv2d(input, offset, mask, weight, None, stride, padding, dilation, groups, deform_groups)


def modulated_deform_conv2d(
    input: Tensor,
    offset: Tensor,
    mask: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Size = 1,
    padding: Size = 0,
    dilation: Size = 1,
    groups: int = 1,
    deform_groups: int = 1,
) -> Tensor:
    """Convolve with taps moved by `offset` and weighed by `mask`.

    Args:
        input: `(N, C, H, W)`.
        offset: `(N, deform_groups * h * w * 2, H', W')` of y, x in pixels, tap by tap.
        mask: `(N, deform_groups * h * w, H', W')`.
        weight: `(O, C / groups, h, w)`.
        bias: `(O,)` or None.
        stride: stride.
        padding: pixels of zeros on each side.
        dilation: spacing of the taps.
        groups: groups of the convolution.
        deform_groups: groups of channels with offsets and masks of their own.

    Returns:
        `(N, O, H', W')` in the dtype of `input`.

    Raises:
        ValueError: shapes, devices or numbers do not fit.
        TypeError: a tensor is not floating.
    """
    tensors = {"input": input, "offset": offset, "mask": mask, "weight": weight}
    given = tensors if bias is None else {**tensors, "bias": bias}
    check_tensors(**given)
    check_floating(**given)
    steps = (check_pair("stride", stride, 1), check_pair("padding", padding, 0), check_pair("dilation", dilation, 1))
    _check_weight(input, weight, groups, deform_groups)
    _check_offsets(input, offset, mask, weight, steps, deform_groups)
    values = [widened(value) for value in tensors.values()]
    dtype = torch.float64 if any(value.dtype == torch.float64 for value in values) else torch.float32
    result: Tensor = _convolve(*(value.to(dtype) for value in values), *steps, groups, deform_groups)
    if bias is not None:
        check_shape("bias", bias, len(weight))
        result = result + bias.to(result.dtype)[:, None, None]
    return result.to(input.dtype)


def _check_weight(input: Tensor, weight: Tensor, groups: int, deform_groups: int) -> None:
    check_positive(groups=groups, deform_groups=deform_groups)
    check_shape("input", input, "N", "C", "H", "W")
    channels = input.shape[1]
    check_shape("weight", weight, "O", f"C / {groups}", "h", "w")
    if 0 in (*input.shape[1:], *weight.shape):
        raise ValueError(f"input {tuple(input.shape)} and weight {tuple(weight.shape)} must not be empty")
    if channels % groups or len(weight) % groups or weight.shape[1] * groups != channels:
        raise ValueError(f"weight {tuple(weight.shape)} in {groups} groups does not fit input {tuple(input.shape)}")
    if channels % deform_groups:
        raise ValueError(f"deform_groups must divide the {channels} channels of input, got {deform_groups}")


def _check_offsets(
    input: Tensor, offset: Tensor, mask: Tensor, weight: Tensor, steps: tuple[Pair, Pair, Pair], deform_groups: int
) -> None:
    kernel, size = weight.shape[2:], input.shape[2:]
    stride, padding, dilation = steps
    out = [(size[i] + 2 * padding[i] - dilation[i] * (kernel[i] - 1) - 1) // stride[i] + 1 for i in range(2)]
    if min(out) < 1:
        raise ValueError(
            f"weight {tuple(weight.shape)} of dilation {dilation} does not fit in input {tuple(input.shape)}"
        )
    taps = deform_groups * kernel[0] * kernel[1]
    check_shape("offset", offset, len(input), 2 * taps, *out)
    check_shape("mask", mask, len(input), taps, *out)
