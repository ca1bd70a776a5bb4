import math

import pytest
import torch
from op_contract import OpContract
from raydet_ops import corner_pool
from raydet_ops.corners import MODES

NAMES = {directions: mode for mode, directions in MODES.items()}


def looking(x, down, reverse):
    """The largest of everything that each cell sees, one line at a time."""
    lines = (x if down else x.transpose(2, 3)).clone()
    steps = range(lines.shape[2])
    for at in steps:
        seen = lines[:, :, at:] if reverse else lines[:, :, : at + 1]
        lines[:, :, at] = seen.amax(2)
        if not reverse:  # later cells look at the originals
            lines[:, :, at + 1 :] = (x if down else x.transpose(2, 3))[:, :, at + 1 :]
    return lines if down else lines.transpose(2, 3)


class CornerContract(OpContract):
    operator = torch.ops.raydet.corner_pool.default
    reference = staticmethod(looking)
    differentiable = (0,)
    directions = ()

    @staticmethod
    def public(x, down, reverse):
        return corner_pool(x, NAMES[down, reverse])

    def inputs(self, dtype=torch.float32):
        x = torch.randperm(2 * 2 * 5 * 9, generator=torch.Generator().manual_seed(0)).view(2, 2, 5, 9) / 8
        return x.to(dtype), *self.directions

    def empty_inputs(self):
        return [(torch.zeros(size), *self.directions) for size in ((0, 2, 3, 3), (1, 2, 0, 3), (1, 2, 3, 0))]

    def odd_inputs(self):
        return [(torch.full((1, 1, 3, 3), value), *self.directions) for value in (math.nan, math.inf, -math.inf)]

    def wrong_inputs(self):
        return [
            ((torch.zeros(3, 3), *self.directions), "x must have shape"),
            ((torch.zeros(1, 1, 3, 3).long(), *self.directions), "x must be a floating"),
        ]

    def large_inputs(self):
        return torch.randn(4, 8, 40, 50), *self.directions

    def test_ties_and_nan_go_where_cummax_sends_them(self):
        x = torch.tensor([[1.0, 3, 3, 2], [3, math.nan, 3, 5], [-math.inf, 0, math.nan, 1]]).view(1, 1, 3, 4)
        ours, theirs = (x.clone().requires_grad_() for _ in range(2))
        down, reverse = self.directions
        dim = 2 if down else 3
        expected = (theirs.flip(dim) if reverse else theirs).cummax(dim).values
        expected = expected.flip(dim) if reverse else expected
        result = self.public(ours, down, reverse)
        torch.testing.assert_close(result, expected, equal_nan=True)
        slopes = torch.arange(12.0).view_as(x)
        result.backward(slopes)
        expected.backward(slopes)
        torch.testing.assert_close(ours.grad, theirs.grad)


class TestTop(CornerContract):
    directions = MODES["top"]


class TestBottom(CornerContract):
    directions = MODES["bottom"]


class TestLeft(CornerContract):
    directions = MODES["left"]


class TestRight(CornerContract):
    directions = MODES["right"]


def test_an_unknown_direction_is_named():
    with pytest.raises(ValueError, match="'up'"):
        corner_pool(torch.zeros(1, 1, 2, 2), "up")
