import itertools
import math

import torch
from op_contract import OpContract
from raydet_ops import ms_deform_attn

SHAPES = torch.tensor([[4, 3], [2, 5]])


def spelled_out(value, shapes, locations, weights):
    """The formula of arXiv:2010.04159, point by point."""
    num_images, _, num_heads, channels = value.shape
    out = value.new_zeros(num_images, weights.shape[1], num_heads, channels)
    for index in itertools.product(*map(range, weights.shape)):
        n, q, m, level, _ = index
        height, width = shapes[level].tolist()
        start = sum(h * w for h, w in shapes[:level].tolist())
        cells = value[n, start : start + height * width, m].view(height, width, channels)
        x, y = (locations[index] * torch.tensor([width, height]) - 0.5).tolist()
        for row, column in itertools.product((math.floor(y), math.floor(y) + 1), (math.floor(x), math.floor(x) + 1)):
            if 0 <= row < height and 0 <= column < width:
                share = (1 - abs(y - row)) * (1 - abs(x - column))
                out[n, q, m] += weights[index] * share * cells[row, column]
    return out.flatten(2)


class TestMultiScaleDeformableAttention(OpContract):
    operator = torch.ops.raydet.ms_deform_attn.default
    public = staticmethod(ms_deform_attn)
    reference = staticmethod(spelled_out)
    differentiable = (0, 2, 3)

    # Channels that fill no block, one block, or a block and a rest are all in one of the three sizes used here.
    def inputs(self, dtype=torch.float32, channels=3):
        generator = torch.Generator().manual_seed(0)
        value = torch.randn(2, 22, 2, channels, generator=generator).to(dtype)
        locations = (torch.rand(2, 3, 2, 2, 2, 2, generator=generator) * 1.4 - 0.2).to(dtype)
        return value, SHAPES, locations, torch.rand(2, 3, 2, 2, 2, generator=generator).to(dtype)

    def test_any_number_of_channels(self):
        for channels in (1, 8, 32, 43):
            inputs = self.inputs(torch.float64, channels)
            torch.testing.assert_close(ms_deform_attn(*inputs), spelled_out(*inputs))

    def empty_inputs(self):
        value, shapes, locations, weights = self.inputs()
        return [
            (value[:0], shapes, locations[:0], weights[:0]),
            (value, shapes, locations[:, :0], weights[:, :0]),
            (value[:, :0], shapes[:0], locations[:, :, :, :0], weights[:, :, :, :0]),
        ]

    def odd_inputs(self):
        value, shapes, locations, weights = self.inputs()
        return [
            (value, shapes, torch.full_like(locations, far), weights)
            for far in (math.nan, math.inf, -math.inf, 1e30, -1e30)
        ]

    def test_points_that_are_not_numbers_lie_outside(self):
        for inputs in self.odd_inputs():
            given = [x.clone().requires_grad_() if x.is_floating_point() else x for x in inputs]
            result = ms_deform_attn(*given)
            result.sum().backward()
            assert not result.any()
            assert not any(given[i].grad.any() for i in self.differentiable)

    def wrong_inputs(self):
        value, shapes, locations, weights = self.inputs()
        return [
            ((value[0], shapes, locations, weights), "value"),
            ((value, shapes.float(), locations, weights), "spatial_shapes"),
            ((value, -shapes, locations, weights), "spatial_shapes"),
            ((value[:, 1:], shapes, locations, weights), "add up to the 21 cells"),
            ((value, shapes, locations[:, :1], weights), "sampling_locations"),
            ((value, shapes, locations, weights[:, :, :1]), "attention_weights"),
            ((value.to("meta"), shapes, locations, weights), "one device"),
        ]

    def large_inputs(self):
        shapes = torch.tensor([[20, 20], [10, 10]])
        locations, weights = torch.rand(2, 50, 4, 2, 4, 2), torch.rand(2, 50, 4, 2, 4)
        return torch.randn(2, 500, 4, 16), shapes, locations, weights
