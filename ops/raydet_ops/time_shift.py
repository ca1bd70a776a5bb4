"""Temporal interlacing (arXiv:2001.06499): groups of channels of a clip move along time by whole frames."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from raydet_ops._arrays import widened
from raydet_ops._checks import check_floating, check_integers, check_shape, check_tensors
from raydet_ops._operator import define, differentiate


def _plain(input: Tensor, shift: Tensor, direction: int) -> Tensor:
    frames, channels = input.shape[1:3]
    moves = shift.repeat_interleave(channels // shift.shape[1], dim=1) * direction  # (N, C)
    source = torch.arange(frames, device=input.device)[:, None] - moves[:, None]  # (N, T, C)
    arrives = (source >= 0) & (source < frames)
    index = source.clamp(0, frames - 1)[..., None].expand(input.shape)
    return torch.where(arrives[..., None], input.gather(1, index), 0)


_shift = define(
    "tin_shift(Tensor input, Tensor shift, int direction) -> Tensor",
    plain=_plain,
    fake=lambda input, shift, direction: input.new_empty(input.shape),
    float32=False,
)


def _gradient(tensors: dict[str, Tensor], numbers: dict[str, Any], grad: Tensor) -> tuple[Tensor | None, ...]:
    return _shift(grad, tensors["shift"], -numbers["direction"]), None, None


differentiate(_shift, _gradient, saves=("shift",))


def tin_shift(input: Tensor, shift: Tensor) -> Tensor:
    """Move each group of channels by its number of frames; frames that nothing moves to become zero.

    Args:
        input: `(N, T, C, P)` of clips, frames, channels and pixels.
        shift: `(N, G)` integers: by how many frames each of G groups of `C / G` channels moves to later frames.

    Returns:
        The shape and dtype of `input`.

    Raises:
        ValueError: shapes or devices do not fit.
        TypeError: `input` is not floating or `shift` not of integers.
    """
    check_tensors(input=input, shift=shift)
    check_floating(input=input)
    check_integers(shift=shift)
    check_shape("input", input, "N", "T", "C", "P")
    check_shape("shift", shift, len(input), "G")
    groups, channels = shift.shape[1], input.shape[2]
    if groups < 1 or channels < groups or channels % groups:
        raise ValueError(f"the {groups} columns of shift must divide the {channels} channels of input")
    return _shift(widened(input), shift.long(), 1).to(input.dtype)  # type: ignore[no-any-return]


class TINShift(nn.Module):
    """`tin_shift` as a module."""

    def forward(self, input: Tensor, shift: Tensor) -> Tensor:
        """Move groups of channels of `(N, T, C, P)` by `(N, G)` frames."""
        return tin_shift(input, shift)
