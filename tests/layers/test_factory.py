import pytest
import torch
from torch import nn

from raydet.layers import (
    ConvWS2d,
    DropPath,
    build_activation_layer,
    build_conv_layer,
    build_dropout,
    build_norm_layer,
    build_padding_layer,
    build_plugin_layer,
    build_upsample_layer,
    is_norm,
)
from raydet.registry import LAYERS


def test_conv_without_cfg_is_conv2d():
    conv = build_conv_layer(None, 3, 4, 3, padding=1, bias=False)
    assert type(conv) is nn.Conv2d
    assert conv.bias is None


def test_conv_cfg_gives_type_and_arguments():
    conv = build_conv_layer(dict(type="ConvWS", eps=1e-3), 3, 4, kernel_size=3)
    assert type(conv) is ConvWS2d
    assert conv.eps == 1e-3


@pytest.mark.parametrize(
    ("cfg", "error", "message"),
    [
        (dict(type="Nope"), KeyError, "Nope"),
        (dict(eps=1), KeyError, "type"),
        ("Conv2d", TypeError, "dict"),
        (dict(type="Conv2d", paddin=1), TypeError, "did you mean 'padding'"),
        (dict(type="Conv2d", stride=2, out_channels=5), TypeError, "multiple values"),
    ],
)
def test_wrong_conv_cfg_raises(cfg, error, message):
    with pytest.raises(error, match=message):
        build_conv_layer(cfg, 3, 4, 3)


@pytest.mark.parametrize(
    ("cfg", "postfix", "name", "kind"),
    [
        (dict(type="BN"), 1, "bn1", nn.BatchNorm2d),
        (dict(type="BN1d"), "", "bn", nn.BatchNorm1d),
        (dict(type="GN", num_groups=2), "_a", "gn_a", nn.GroupNorm),
        (dict(type="LN"), 2, "ln2", nn.LayerNorm),
        (dict(type="IN"), "", "in", nn.InstanceNorm2d),
        (dict(type="SyncBN"), "", "bn", nn.modules.batchnorm._BatchNorm),
        (dict(type="MMSyncBN"), 3, "bn3", nn.modules.batchnorm._BatchNorm),
    ],
)
def test_norm_is_named_after_its_kind(cfg, postfix, name, kind):
    built_name, layer = build_norm_layer(cfg, 4, postfix)
    assert built_name == name
    assert isinstance(layer, kind)
    assert is_norm(layer)


def test_norm_with_requires_grad_false_is_fixed_and_cfg_untouched():
    cfg = dict(type="BN", requires_grad=False)
    _, layer = build_norm_layer(cfg, 4)
    assert not any(parameter.requires_grad for parameter in layer.parameters())
    assert cfg == dict(type="BN", requires_grad=False)


def test_group_norm_without_groups_says_so():
    with pytest.raises(TypeError, match="num_groups"):
        build_norm_layer(dict(type="GN"), 4)


def test_norm_of_a_plug_in_class_gets_a_name_from_its_class():
    @LAYERS.register_module(name="_MyBatchThing", force=True)
    class MyBatchThing(nn.Module):
        def __init__(self, num_features, eps):
            super().__init__()

    assert build_norm_layer(dict(type="_MyBatchThing"), 4)[0] == "bn"


@pytest.mark.parametrize("kind", ["ReLU", "LeakyReLU", "HSwish", "SiLU", "ReLU6"])
def test_activation_takes_inplace_where_it_can(kind):
    assert build_activation_layer(dict(type=kind), inplace=True).inplace is True


@pytest.mark.parametrize("kind", ["Sigmoid", "Tanh", "GELU", "PReLU", "HSigmoid", "Swish", "Clip"])
def test_activation_without_inplace_is_built_all_the_same(kind):
    build_activation_layer(dict(type=kind), inplace=True)


def test_cfg_of_activation_wins_over_the_inplace_default():
    assert build_activation_layer(dict(type="ReLU", inplace=False), inplace=True).inplace is False


@pytest.mark.parametrize(
    ("cfg", "arguments", "shape"),
    [
        (dict(type="nearest", scale_factor=2), {}, (1, 2, 8, 8)),
        (dict(type="bilinear", scale_factor=2, align_corners=False), {}, (1, 2, 8, 8)),
        (
            dict(type="pixel_shuffle", scale_factor=2, upsample_kernel=3),
            dict(in_channels=2, out_channels=3),
            (1, 3, 8, 8),
        ),
        (dict(type="deconv", kernel_size=2, stride=2), dict(in_channels=2, out_channels=5), (1, 5, 8, 8)),
    ],
)
def test_upsample_layer_doubles_the_size(cfg, arguments, shape):
    assert build_upsample_layer(cfg, **arguments)(torch.rand(1, 2, 4, 4)).shape == shape


def test_upsample_mode_follows_the_type():
    assert build_upsample_layer(dict(type="bilinear", scale_factor=2)).mode == "bilinear"


def test_padding_layer_pads():
    assert build_padding_layer(dict(type="reflect"), 2)(torch.rand(1, 1, 4, 4)).shape == (1, 1, 8, 8)


def test_dropout_is_built_with_defaults_below_the_cfg():
    layer = build_dropout(dict(type="DropPath", drop_prob=0.2), default_args=dict(drop_prob=0.9))
    assert isinstance(layer, DropPath)
    assert layer.drop_prob == 0.2


def test_plugin_is_named_by_abbreviation_or_class():
    @LAYERS.register_module(name="_TestPlugin2d", force=True)
    class TestPlugin2d(nn.Module):
        def __init__(self, in_channels):
            super().__init__()

    cfg = dict(type="ConvModule", out_channels=2, kernel_size=1)
    assert build_plugin_layer(cfg, postfix="_x", in_channels=3)[0] == "conv_block_x"
    assert build_plugin_layer(dict(type="_TestPlugin2d"), postfix=1, in_channels=3)[0] == "test_plugin2d1"
