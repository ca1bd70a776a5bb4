import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from raydet.layers import (
    Clamp,
    Conv2dAdaptivePadding,
    ConvWS2d,
    Dropout,
    DropPath,
    HSigmoid,
    InvertedResidual,
    NormedConv2d,
    NormedLinear,
    PixelShufflePack,
    Scale,
    SELayer,
    Swish,
    make_divisible,
)


@pytest.mark.parametrize(
    ("layer", "x", "y"),
    [
        (Clamp(), [-3.0, 0.5, 2.0], [-1.0, 0.5, 1.0]),
        (Clamp(0, 6), [-3.0, 0.5, 7.0], [0.0, 0.5, 6.0]),
        (HSigmoid(), [-4.0, 0.0, 1.5, 4.0], [0.0, 0.5, 0.75, 1.0]),
        (HSigmoid(bias=1, divisor=2), [-1.0, 0.0, 3.0], [0.0, 0.5, 1.0]),
        (Swish(), [0.0, 1.0], [0.0, 1 / (1 + math.exp(-1))]),
        (Scale(2.5), [2.0], [5.0]),
    ],
)
def test_activation_of_known_values(layer, x, y):
    assert layer(torch.tensor(x)).tolist() == pytest.approx(y)


def test_conv_ws_standardises_every_output_channel():
    conv = ConvWS2d(2, 3, 3, bias=False)
    twin = nn.Conv2d(2, 3, 3, bias=False)
    rows = conv.weight.detach().flatten(1)
    twin.weight.data = ((rows - rows.mean(1, True)) / (rows.std(1, keepdim=True) + 1e-5)).view_as(conv.weight)
    x = torch.randn(1, 2, 5, 5)
    assert torch.allclose(conv(x), twin(x), atol=1e-6)


@settings(max_examples=20, deadline=None)
@given(st.integers(3, 20), st.integers(3, 20), st.integers(1, 3), st.integers(1, 5), st.integers(1, 2))
def test_adaptive_padding_gives_size_over_stride_rounded_up(height, width, stride, kernel, dilation):
    conv = Conv2dAdaptivePadding(1, 1, kernel, stride, dilation=dilation)
    out = conv(torch.rand(1, 1, height, width))
    assert out.shape[-2:] == (math.ceil(height / stride), math.ceil(width / stride))


def test_drop_path_zeroes_whole_samples_and_keeps_the_mean():
    torch.manual_seed(0)
    out = DropPath(0.25)(torch.ones(4000, 3, 2))
    values = out.flatten(1)
    assert bool((values == values[:, :1]).all())
    assert out.unique().tolist() == pytest.approx([0, 4 / 3])
    assert out.mean().item() == pytest.approx(1, abs=0.05)


@pytest.mark.parametrize("layer", [DropPath(0.5).eval(), DropPath(0.0), Dropout(0.5).eval()])
def test_drop_layer_in_eval_mode_is_the_identity(layer):
    x = torch.rand(3, 4)
    assert torch.equal(layer(x), x)


def test_dropout_takes_drop_prob():
    assert Dropout(drop_prob=0.3).p == 0.3


def test_pixel_shuffle_moves_channels_to_pixels():
    layer = PixelShufflePack(2, 3, scale_factor=2, upsample_kernel=3)
    assert layer(torch.rand(1, 2, 4, 5)).shape == (1, 3, 8, 10)
    assert bool((layer.upsample_conv.bias == 0).all())


@pytest.mark.parametrize(
    ("value", "divisor", "expected"), [(32, 8, 32), (33, 8, 32), (36, 8, 40), (24 * 0.25, 8, 8), (10, 8, 16), (1, 8, 8)]
)
def test_make_divisible_rounds_without_losing_more_than_a_tenth(value, divisor, expected):
    assert make_divisible(value, divisor) == expected


def test_make_divisible_with_min_value_is_at_least_that():
    assert make_divisible(3, 4, min_value=8) == 8


def test_se_layer_scales_channels_between_zero_and_one():
    layer = SELayer(8, ratio=4)
    x = torch.rand(2, 8, 3, 3) + 0.5
    factors = layer(x) / x
    assert torch.allclose(factors, factors[..., :1, :1].expand_as(factors))
    assert 0 < factors.min() <= factors.max() < 1


def test_inverted_residual_without_expansion_has_no_expand_conv():
    block = InvertedResidual(4, 4, 4, with_expand_conv=False)
    assert not any(key.startswith("expand_conv") for key in block.state_dict())


def test_inverted_residual_of_equal_shape_adds_its_input():
    block = InvertedResidual(4, 4, 8).eval()
    block.linear_conv.bn.weight.data.zero_()
    x = torch.rand(1, 4, 5, 5)
    assert torch.equal(block(x), x)


def test_inverted_residual_recomputed_gives_the_same_gradients():
    torch.manual_seed(0)
    plain = InvertedResidual(4, 4, 8, se_cfg=dict(channels=8, ratio=4))
    saving = InvertedResidual(4, 4, 8, se_cfg=dict(channels=8, ratio=4), with_cp=True)
    saving.load_state_dict(plain.state_dict())
    grads = []
    for block in (plain, saving):
        x = torch.linspace(-1, 1, 100).view(1, 4, 5, 5).requires_grad_()
        block(x).square().sum().backward()
        grads.append(x.grad)
    assert torch.allclose(*grads)


@pytest.mark.parametrize("wrong", [dict(stride=3), dict(with_expand_conv=False)])
def test_inverted_residual_with_impossible_arguments_raises(wrong):
    with pytest.raises(ValueError, match=r"stride|mid_channels"):
        InvertedResidual(4, 4, 8, **wrong)


@pytest.mark.parametrize("power", [1.0, 2.0])
def test_normed_linear_compares_directions(power):
    torch.manual_seed(0)
    layer = NormedLinear(3, 2, bias=False, tempearture=10, power=power)
    nn.init.normal_(layer.weight)
    x = torch.randn(4, 3)
    lengths = (x.norm(dim=1, keepdim=True) * layer.weight.norm(dim=1)) ** power
    assert torch.allclose(layer(x), 10 * (x @ layer.weight.T) / lengths, rtol=1e-3)


def test_normed_convolution_normalises_taps_or_whole_kernels():
    x = torch.randn(1, 3, 4, 4)
    taps, kernels = (NormedConv2d(3, 2, 3, bias=False, norm_over_kernel=whole) for whole in (False, True))
    kernels.weight = taps.weight
    directions = 20 * x / x.norm(dim=1, keepdim=True)
    by_tap = taps.weight / taps.weight.norm(dim=1, keepdim=True)
    by_kernel = taps.weight / taps.weight.flatten(1).norm(dim=1).view(2, 1, 1, 1)
    assert torch.allclose(taps(x), nn.functional.conv2d(directions, by_tap), atol=1e-3)
    assert torch.allclose(kernels(x), nn.functional.conv2d(directions, by_kernel), atol=1e-3)
