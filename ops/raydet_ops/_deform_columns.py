"""Columns of a deformable convolution: what its taps see, sampled bilinearly with zeros outside the image.

Images are `(N, H, W, C)`. Positions `(N, P, T, D, 2)` are y, x in pixels for P pixels of the output, T taps and
D deform groups, masks `(N, P, T, D)`, and columns `(groups, N * P, T, C / groups)`.
"""

from __future__ import annotations

import torch
from torch import Tensor

from raydet_ops._operator import define, plain_gradients


def _plain(image: Tensor, positions: Tensor, mask: Tensor, groups: int) -> Tensor:
    images, height, width, channels = image.shape
    deform_groups = positions.shape[3]
    pixels, weights = _corners(positions, height, width)
    picked = image.view(images, height * width, deform_groups, -1)[
        torch.arange(images, device=image.device).view(-1, 1, 1, 1, 1),
        pixels,
        torch.arange(deform_groups, device=image.device).view(-1, 1),
    ]
    columns = (picked * (weights * mask[..., None])[..., None]).sum(-2)  # (N, P, T, D, C / D)
    return columns.reshape(-1, positions.shape[2], groups, channels // groups).permute(2, 0, 1, 3).contiguous()


def _corners(positions: Tensor, height: int, width: int) -> tuple[Tensor, Tensor]:
    """Index `y * W + x` of the four pixels around each position and their weights, `(..., 4)` each."""
    size = positions.new_tensor([height, width])
    inside = ((positions > -1) & (positions < size)).all(-1, keepdim=True)
    positions = torch.where(inside, positions, -2)
    low = positions.detach().floor()
    share = positions - low
    steps = positions.new_tensor([[0, 0], [0, 1], [1, 0], [1, 1]])
    corners = low[..., None, :] + steps
    weights = torch.where(steps > 0, share[..., None, :], 1 - share[..., None, :]).prod(-1)
    within = ((corners >= 0) & (corners < size)).all(-1)
    y, x = corners.clamp(min=0).minimum(size - 1).long().unbind(-1)
    return y * width + x, torch.where(within, weights, 0)


def _plain_backward(grad: Tensor, image: Tensor, positions: Tensor, mask: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    groups = len(grad)
    slopes = plain_gradients(lambda p, m: _plain(image, p, m, groups), grad, (positions, mask))
    return _plain(image, positions, mask, groups), slopes[0], slopes[1]


def _plain_scatter(image: Tensor, grad: Tensor, positions: Tensor, mask: Tensor) -> None:
    image += plain_gradients(_plain, grad, (image,), positions, mask, len(grad))[0]


deform_columns = define(
    "deform_columns(Tensor image, Tensor positions, Tensor mask, int groups) -> Tensor",
    plain=_plain,
    fake=lambda image, positions, mask, groups: image.new_empty(
        groups, positions.shape[0] * positions.shape[1], positions.shape[2], image.shape[3] // groups
    ),
)
deform_columns_backward = define(
    "deform_columns_backward(Tensor grad, Tensor image, Tensor positions, Tensor mask) -> (Tensor, Tensor, Tensor)",
    plain=_plain_backward,
    fake=lambda grad, image, positions, mask: (
        grad.new_empty(grad.shape),
        positions.new_empty(positions.shape),
        mask.new_empty(mask.shape),
    ),
)
"""The columns, and the gradients of positions and mask from that of the columns."""
deform_columns_scatter = define(
    "deform_columns_scatter(Tensor(a!) image, Tensor grad, Tensor positions, Tensor mask) -> ()",
    plain=_plain_scatter,
    fake=lambda image, grad, positions, mask: None,
)
"""Adds the gradient of the image that follows from that of the columns."""
