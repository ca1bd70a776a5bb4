import pytest
import torch
import torch.nn.functional as F

from raydet.layers import ConvAWS2d, SAConv2d, build_conv_layer


def test_a_standardised_weight_has_the_moments_of_its_buffers():
    conv = ConvAWS2d(8, 4, 3)
    conv.weight_gamma.fill_(2.0)
    conv.weight_beta.fill_(-1.0)
    weight = conv.standard_weight().flatten(1)
    torch.testing.assert_close(weight.mean(1), torch.full((4,), -1.0))
    torch.testing.assert_close(weight.std(1), torch.full((4,), 2.0), rtol=1e-2, atol=0)


def test_a_checkpoint_of_an_ordinary_convolution_gives_that_convolution():
    plain, conv, x = torch.nn.Conv2d(8, 4, 3), ConvAWS2d(8, 4, 3), torch.randn(1, 8, 6, 5)
    result = conv.load_state_dict(plain.state_dict())
    assert not result.missing_keys
    torch.testing.assert_close(conv(x), plain(x))


def test_a_checkpoint_of_its_own_is_loaded_as_it_is():
    source, conv = ConvAWS2d(8, 4, 3), ConvAWS2d(8, 4, 3)
    source.weight_gamma.fill_(0.3)
    conv.load_state_dict(source.state_dict())
    assert torch.equal(conv.weight_gamma, source.weight_gamma)
    assert not conv.weight_beta.any()
    incomplete = {key: value for key, value in source.state_dict().items() if key != "weight"}
    assert conv.load_state_dict(incomplete, strict=False).missing_keys == ["weight"]


@pytest.mark.parametrize("use_deform", [False, True])
def test_a_new_switchable_convolution_is_the_one_of_small_dilation(use_deform):
    conv = build_conv_layer({"type": "SAC", "use_deform": use_deform}, 8, 6, 3, stride=2, padding=1, bias=False)
    x = torch.randn(2, 8, 7, 9)
    torch.testing.assert_close(conv(x), F.conv2d(x, conv.standard_weight(), None, 2, 1))


@pytest.mark.parametrize("use_deform", [False, True])
def test_the_switch_turns_to_three_times_the_dilation(use_deform):
    conv, x = SAConv2d(4, 4, 3, padding=1, use_deform=use_deform), torch.randn(1, 4, 9, 9)
    torch.nn.init.zeros_(conv.switch.bias)
    torch.nn.init.normal_(conv.weight_diff)
    weight = conv.standard_weight() + conv.weight_diff
    torch.testing.assert_close(conv(x), F.conv2d(x, weight, None, 1, 3, 3))


def test_contexts_add_the_mean_before_and_after():
    conv, x = SAConv2d(4, 4, 3, padding=1), torch.randn(2, 4, 6, 6)
    for context in (conv.pre_context, conv.post_context):
        torch.nn.init.normal_(context.weight)
    shifted = x + conv.pre_context(x.mean((2, 3), keepdim=True))
    near = F.conv2d(shifted, conv.standard_weight(), None, 1, 1)
    torch.testing.assert_close(conv(x), near + conv.post_context(near.mean((2, 3), keepdim=True)))


def test_the_keys_are_those_of_2x():
    names = {name for name, _ in SAConv2d(4, 4, 3, use_deform=True).named_children()}
    assert names == {"switch", "pre_context", "post_context", "offset_s", "offset_l"}
    own = {name for name in SAConv2d(4, 4, 3).state_dict() if "." not in name}
    assert own == {"weight", "bias", "weight_gamma", "weight_beta", "weight_diff"}
