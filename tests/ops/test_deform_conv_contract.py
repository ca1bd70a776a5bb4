import pytest
import torch
import torch.nn.functional as F
import torchvision
from op_contract import OpContract
from raydet_ops import _deform_columns, deform_conv, deform_conv2d, modulated_deform_conv2d, serves


def sampled_one_by_one(input, offset, mask, weight, stride, padding, dilation, groups, deform_groups):
    """The sum over taps, with every sample drawn from the image by itself."""
    result = input.new_zeros(len(input), len(weight), *offset.shape[2:])
    taps, per_group = weight.shape[2] * weight.shape[3], weight.shape[1]
    for n, o, c, i, j, t in torch.cartesian_prod(
        *map(torch.arange, (*result.shape[:2], per_group, *result.shape[2:], taps))
    ):
        channel = o // (len(weight) // groups) * per_group + c
        k = channel // (input.shape[1] // deform_groups) * taps + t
        y = i * stride[0] - padding[0] + t // weight.shape[3] * dilation[0] + offset[n, 2 * k, i, j]
        x = j * stride[1] - padding[1] + t % weight.shape[3] * dilation[1] + offset[n, 2 * k + 1, i, j]
        tap = weight[o, c, t // weight.shape[3], t % weight.shape[3]]
        result[n, o, i, j] += tap * mask[n, k, i, j] * bilinear(input[n, channel], y, x)
    return result


def bilinear(plane, y, x):
    total = 0.0
    for row in range(plane.shape[0]):
        for column in range(plane.shape[1]):
            total += plane[row, column] * (1 - (y - row).abs()).clamp(min=0) * (1 - (x - column).abs()).clamp(min=0)
    return total


class TestModulatedDeformConv2d(OpContract):
    operator = torch.ops.raydet.modulated_deform_conv2d.default
    differentiable = (0, 1, 2, 3)
    thread_tolerance = 1e-4  # a matrix product
    reference = staticmethod(sampled_one_by_one)

    @staticmethod
    def public(input, offset, mask, weight, *numbers):
        return modulated_deform_conv2d(input, offset, mask, weight, None, *numbers)

    def inputs(self, dtype=torch.float32):
        generator = torch.Generator().manual_seed(3)
        # Multiples of 1/8 survive rounding to half precision; odd ones keep clear of the kinks at whole pixels.
        eighths = torch.randint(-12, 12, (2, 32, 2, 3), generator=generator) * 2 + 1
        input = torch.randn(2, 4, 4, 3, generator=generator)
        weight, mask = torch.randn(2, 2, 2, 2, generator=generator), torch.rand(2, 16, 2, 3, generator=generator)
        return input.to(dtype), (eighths / 8).to(dtype), mask.to(dtype), weight.to(dtype), [2, 1], [0, 1], [1, 2], 2, 4

    def empty_inputs(self):
        return [
            (torch.zeros(0, 4, 5, 5), torch.zeros(0, 18, 5, 5), torch.zeros(0, 9, 5, 5), torch.ones(2, 4, 3, 3), 1, 1)
        ]

    def odd_inputs(self):
        odd = torch.tensor([float("nan"), float("inf"), -float("inf"), 1e30, -1e30, 3.0, -1.0, -0.5])
        offset = odd[torch.arange(2 * 18 * 25) % 8].view(2, 18, 5, 5)
        return [(torch.ones(2, 4, 5, 5), offset, torch.ones(2, 9, 5, 5), torch.ones(2, 4, 3, 3), 1, 1)]

    def wrong_inputs(self):
        input, offset, mask, weight, *numbers = self.inputs()
        return [
            ((input[0], offset, mask, weight, *numbers), "input"),
            ((input, offset[:1], mask, weight, *numbers), "offset"),
            ((input, offset, mask[:, 1:], weight, *numbers), "mask"),
            ((input, offset, mask, weight.repeat(1, 2, 1, 1), *numbers), "weight"),
            ((input, offset, mask, weight.long(), *numbers), "weight"),
            ((input, offset.to("meta"), mask, weight, *numbers), "offset"),
            ((input, offset, mask, weight, 0), "stride"),
        ]

    def large_inputs(self):
        sizes = ((2, 32, 40, 40), (2, 36, 40, 40), (2, 18, 40, 40), (8, 16, 3, 3))
        return *(torch.randn(size) for size in sizes), [1, 1], [1, 1], [1, 1], 2, 2


def test_samples_that_are_not_numbers_or_far_outside_count_nothing():
    input, offset, mask, weight, *numbers = TestModulatedDeformConv2d().odd_inputs()[0]
    far = torch.where(offset.abs() < 100, offset, 1000.0)
    result = modulated_deform_conv2d(input, offset, mask, weight, None, *numbers)
    assert torch.equal(result, modulated_deform_conv2d(input, far, mask, weight, None, *numbers))


@pytest.mark.parametrize(("groups", "deform_groups"), [(1, 1), (2, 1), (1, 3), (2, 3), (3, 2), (6, 6)])
def test_gradients_are_those_of_torchvision(groups, deform_groups):
    tensors = [
        torch.randn(2, 12, 9, 7),
        torch.randn(2, 18 * deform_groups, 5, 4) * 2,
        torch.rand(2, 9 * deform_groups, 5, 4),
    ]
    leaves = [x.double().requires_grad_() for x in (*tensors, torch.randn(6, 12 // groups, 3, 3), torch.randn(6))]
    input, offset, mask, weight, bias = leaves
    ours = modulated_deform_conv2d(input, offset, mask, weight, bias, 2, 1, 1, groups, deform_groups)
    theirs = torchvision.ops.deform_conv2d(input, offset, weight, bias, 2, 1, 1, mask)
    seed = torch.randn_like(ours)
    torch.testing.assert_close(ours, theirs)
    for a, b in zip(torch.autograd.grad(ours, leaves, seed), torch.autograd.grad(theirs, leaves, seed), strict=True):
        torch.testing.assert_close(a, b)


def test_what_serves_cuda_is_the_same_convolution():
    case = TestModulatedDeformConv2d()
    odd = (*case.odd_inputs()[0][:4], [1, 1], [1, 1], [1, 1], 1, 1)
    for inputs in (case.inputs(), odd):
        ours, lent = torch.ops.raydet.modulated_deform_conv2d(*inputs), deform_conv._forward_on_cuda(*inputs)
        torch.testing.assert_close(lent, ours)


@pytest.mark.parametrize("block", [1, 3000, 10**6])
@pytest.mark.parametrize("device_has", ["kernels", "plain versions"])
def test_blocks_do_not_change_the_result(monkeypatch, block, device_has):
    input, offset, mask, weight = (
        torch.randn(size, dtype=torch.float64) for size in ((3, 4, 6, 5), (3, 36, 6, 5), (3, 18, 6, 5), (4, 4, 3, 3))
    )
    numbers = ([1, 1], [1, 1], [1, 1], 1, 2)
    expected = torch.ops.raydet.modulated_deform_conv2d(input, offset, mask, weight, *numbers)
    slopes = deform_conv._backward(torch.ones_like(expected), input, offset, mask, weight, *numbers)
    monkeypatch.setitem(deform_conv._BLOCK_BYTES, "cpu", block)
    if device_has == "plain versions":
        monkeypatch.setattr(deform_conv, "deform_columns", _deform_columns._plain)
        monkeypatch.setattr(deform_conv, "deform_columns_backward", _deform_columns._plain_backward)
        monkeypatch.setattr(deform_conv, "deform_columns_scatter", _deform_columns._plain_scatter)
    torch.testing.assert_close(deform_conv._forward(input, offset, mask, weight, *numbers), expected)
    again = deform_conv._backward(torch.ones_like(expected), input, offset, mask, weight, *numbers)
    for a, b in zip(again, slopes, strict=True):
        torch.testing.assert_close(a, b)


@pytest.mark.skipif(
    serves("deform_columns", "cpu") == "torch", reason="plain gradients need autograd, which the check switches off"
)
def test_an_operator_of_columns_keeps_the_rules_of_pytorch():
    image, grad = torch.randn(2, 5, 6, 4), torch.randn(2, 14, 3, 2)
    positions, mask = torch.rand(2, 7, 3, 2, 2) * 6 - 1, torch.rand(2, 7, 3, 2)
    rules = ("test_schema", "test_faketensor")
    torch.library.opcheck(torch.ops.raydet.deform_columns.default, (image, positions, mask, 2), test_utils=rules)
    torch.library.opcheck(
        torch.ops.raydet.deform_columns_backward.default, (grad, image, positions, mask), test_utils=rules
    )
    torch.library.opcheck(
        torch.ops.raydet.deform_columns_scatter.default, (image, grad, positions, mask), test_utils=rules
    )


def test_offsets_of_zero_give_a_convolution_even_where_the_kernel_is_larger_than_the_image():
    input, weight = torch.randn(1, 2, 1, 2), torch.randn(3, 2, 3, 3)
    result = deform_conv2d(input, torch.zeros(1, 18, 1, 2), weight, 1, 1)
    torch.testing.assert_close(result, F.conv2d(input, weight, None, 1, 1))


def test_a_bias_is_refused_by_the_plain_function():
    with pytest.raises(ValueError, match="bias"):
        deform_conv2d(torch.ones(1, 1, 3, 3), torch.zeros(1, 2, 3, 3), torch.ones(1, 1, 1, 1), bias=True)


def test_what_serves_a_convolution_is_what_serves_its_columns():
    name = "modulated_deform_conv2d"
    assert serves(name, "cpu") == serves("deform_columns", "cpu")
    assert serves(name, "cuda") == "torchvision"
    assert serves(f"{name}_backward", "cuda") == serves("deform_columns", "cuda")
