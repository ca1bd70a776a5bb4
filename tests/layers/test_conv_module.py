import pytest
import torch
from torch import nn

from raydet.layers import ConvModule, DepthwiseSeparableConvModule


def test_keys_are_those_of_2x():
    module = ConvModule(3, 4, 3, norm_cfg=dict(type="GN", num_groups=2))
    assert list(module.state_dict()) == ["conv.weight", "gn.weight", "gn.bias"]


@pytest.mark.parametrize(
    ("norm_cfg", "bias", "expected"), [(None, "auto", True), (dict(type="BN"), "auto", False), (None, False, False)]
)
def test_bias_auto_follows_the_normalisation(norm_cfg, bias, expected):
    module = ConvModule(3, 4, 1, norm_cfg=norm_cfg, bias=bias)
    assert (module.conv.bias is not None) is module.with_bias is expected


def test_bias_before_batch_norm_warns():
    with pytest.warns(UserWarning, match="bias"):
        ConvModule(3, 4, 1, norm_cfg=dict(type="BN"), bias=True)


def test_forward_can_leave_activation_and_normalisation_out():
    module = ConvModule(3, 4, 1, norm_cfg=dict(type="BN")).eval()
    x = torch.randn(2, 3, 5, 5)
    plain = module.conv(x)
    assert torch.equal(module(x, activate=False, norm=False), plain)
    torch.testing.assert_close(module(x, activate=False), module.norm(plain))  # folded, which rounds otherwise
    torch.testing.assert_close(module(x), module.norm(plain).relu())


def test_order_norm_first_normalises_the_input():
    module = ConvModule(3, 4, 1, norm_cfg=dict(type="BN"), order=("norm", "conv", "act"), act_cfg=None).eval()
    x = torch.randn(2, 3, 5, 5)
    assert module.bn.num_features == 3
    assert torch.equal(module(x), module.conv(module.bn(x)))


@pytest.mark.parametrize("order", [("conv", "norm"), ("conv", "norm", "relu"), "conv"])
def test_wrong_order_raises(order):
    with pytest.raises(ValueError, match="order"):
        ConvModule(3, 4, 1, order=order)


@pytest.mark.parametrize("name", ["conv_cfg", "norm_cfg", "act_cfg"])
def test_cfg_that_is_no_dict_raises(name):
    with pytest.raises(TypeError, match=name):
        ConvModule(3, 4, 1, **{name: "BN"})


def test_unknown_padding_mode_raises():
    with pytest.raises(KeyError, match="constant"):
        ConvModule(3, 4, 1, padding_mode="constant")


@pytest.mark.parametrize("mode", ["zeros", "circular", "reflect", "replicate"])
def test_padding_mode_pads_as_torch_does(mode):
    module = ConvModule(1, 1, 3, padding=1, padding_mode=mode, act_cfg=None)
    twin = nn.Conv2d(1, 1, 3, padding=1, padding_mode=mode)
    twin.load_state_dict(module.conv.state_dict())
    x = torch.randn(1, 1, 6, 6)
    assert torch.allclose(module(x), twin(x), atol=1e-6)


def test_spectral_norm_bounds_the_weight():
    module = ConvModule(3, 8, 3, with_spectral_norm=True)
    module(torch.rand(1, 3, 8, 8))
    assert "conv.weight_orig" in module.state_dict()


def test_attributes_of_the_convolution_are_at_hand():
    module = ConvModule(4, 8, 3, stride=2, padding=1, groups=2)
    assert (module.in_channels, module.out_channels, module.groups) == (4, 8, 2)
    assert (module.stride, module.padding) == ((2, 2), 1)
    assert module.transposed is False


def test_weights_start_kaiming_for_the_slope_of_leaky_relu():
    torch.manual_seed(0)
    steep = ConvModule(64, 64, 3, act_cfg=dict(type="LeakyReLU", negative_slope=1.0))
    flat = ConvModule(64, 64, 3)
    ratio = steep.conv.weight.std() / flat.conv.weight.std()
    assert ratio.item() == pytest.approx(0.5**0.5, rel=0.02)


def test_convolution_that_initialises_itself_is_left_alone():
    from raydet.registry import LAYERS

    @LAYERS.register_module(name="_OwnInitConv", force=True)
    class OwnInitConv(nn.Conv2d):
        def __init__(self, *args, **kwargs):
            super().__init__(*args, **kwargs)
            nn.init.constant_(self.weight, 0.5)

        def init_weights(self):
            raise AssertionError

    assert bool((ConvModule(1, 1, 1, conv_cfg=dict(type="_OwnInitConv")).conv.weight == 0.5).all())


def test_depthwise_separable_parts_have_their_own_cfgs():
    module = DepthwiseSeparableConvModule(
        4, 8, 3, padding=1, norm_cfg=dict(type="BN"), dw_act_cfg=None, pw_norm_cfg=None
    )
    assert module.depthwise_conv.groups == 4
    assert not module.depthwise_conv.with_activation
    assert not module.pointwise_conv.with_norm
    assert module(torch.rand(2, 4, 6, 6)).shape == (2, 8, 6, 6)


def test_depthwise_separable_with_groups_raises():
    with pytest.raises(ValueError, match="groups"):
        DepthwiseSeparableConvModule(4, 8, 3, groups=2)
