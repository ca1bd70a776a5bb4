import pytest
import torch
from torch import nn

from raydet.layers import BasicBlock, Bottleneck, ResLayer, freeze, hold_batch_norms, init_cfg_with_pretrained


def keys(module):
    return list(dict(module.named_parameters()))


def test_bottleneck_keys_stand_in_the_order_of_2x():
    block = Bottleneck(8, 2, downsample=nn.Sequential(nn.Conv2d(8, 8, 1)))
    assert [key for key in keys(block) if key.endswith("weight")] == [
        *(f"{kind}{index}.weight" for index in (1, 2, 3) for kind in ("conv", "bn")),
        "downsample.0.weight",
    ]


@pytest.mark.parametrize(("style", "strides"), [("pytorch", (1, 2)), ("caffe", (2, 1))])
def test_bottleneck_style_says_which_convolution_strides(style, strides):
    block = Bottleneck(8, 2, stride=2, style=style, downsample=nn.Conv2d(8, 8, 1, stride=2))
    assert (block.conv1.stride[0], block.conv2.stride[0]) == strides


def test_bottleneck_with_groups_has_the_width_of_resnext():
    block = Bottleneck(256, 64, groups=32, base_width=4)
    assert block.conv2.weight.shape == (128, 4, 3, 3)


@pytest.mark.parametrize("block", [BasicBlock, Bottleneck])
def test_block_recomputed_gives_the_same_gradients(block):
    torch.manual_seed(0)
    plain, saving = block(8, 8 // block.expansion), block(8, 8 // block.expansion, with_cp=True)
    saving.load_state_dict(plain.state_dict())
    grads = []
    for each in (plain, saving):
        x = torch.linspace(-1, 1, 400).view(2, 8, 5, 5).requires_grad_()
        each(x).square().sum().backward()
        grads.append(x.grad)
    assert torch.allclose(*grads)


@pytest.mark.parametrize("wrong", [dict(dcn=dict(type="Conv2d")), dict(plugins=[])])
def test_basic_block_with_dcn_or_plugins_raises(wrong):
    with pytest.raises(ValueError, match="basic blocks"):
        BasicBlock(4, 4, **wrong)


def test_bottleneck_builds_dcn_through_the_layer_registry():
    block = Bottleneck(8, 2, dcn=dict(type="ConvWS", eps=0.1, fallback_on_stride=False))
    assert block.conv2.eps == 0.1
    assert type(Bottleneck(8, 2, dcn=dict(type="ConvWS", fallback_on_stride=True)).conv2) is nn.Conv2d


def test_own_kind_of_middle_wins_over_the_kind_of_all_convolutions():
    block = Bottleneck(8, 2, conv_cfg=dict(type="ConvAWS"), middle_cfg=dict(type="ConvWS"))
    assert [type(getattr(block, f"conv{index}")).__name__ for index in (1, 2, 3)] == [
        "ConvAWS2d",
        "ConvWS2d",
        "ConvAWS2d",
    ]


def test_bottleneck_with_dcn_and_conv_cfg_raises():
    with pytest.raises(ValueError, match="conv_cfg"):
        Bottleneck(8, 2, conv_cfg=dict(type="ConvWS"), dcn=dict(type="ConvWS"))


def plugin(position, **cfg):
    return dict(cfg=dict(type="ConvModule", kernel_size=1, **cfg), position=position)


def test_plugins_stand_where_they_are_asked_for():
    block = Bottleneck(
        8, 2, plugins=[plugin("after_conv1", out_channels=2), plugin("after_conv3", out_channels=8, postfix="_b")]
    )
    assert block.conv_block.in_channels == 2
    assert block.conv_block_b.in_channels == 8
    assert block(torch.rand(1, 8, 4, 4)).shape == (1, 8, 4, 4)


@pytest.mark.parametrize(
    ("plugins", "message"),
    [
        ([plugin("before", out_channels=2)], "position"),
        ([plugin("after_conv1", out_channels=2), plugin("after_conv2", out_channels=2)], "postfix"),
    ],
)
def test_impossible_plugins_raise(plugins, message):
    with pytest.raises(ValueError, match=message):
        Bottleneck(8, 2, plugins=plugins)


def test_stage_shrinks_in_its_first_block():
    stage = ResLayer(Bottleneck, 8, 4, 3, stride=2)
    assert [block.downsample is not None for block in stage] == [True, False, False]
    assert stage(torch.rand(1, 8, 6, 6)).shape == (1, 16, 3, 3)


def test_stage_can_shrink_in_its_last_block():
    stage = ResLayer(BasicBlock, 8, 16, 3, stride=2, downsample_first=False)
    assert [block.downsample is not None for block in stage] == [False, False, True]
    assert stage(torch.rand(1, 8, 6, 6)).shape == (1, 16, 3, 3)


def test_stage_with_avg_down_pools_the_shortcut():
    shortcut = ResLayer(Bottleneck, 8, 4, 1, stride=2, avg_down=True)[0].downsample
    assert [type(layer) for layer in shortcut] == [nn.AvgPool2d, nn.Conv2d, nn.BatchNorm2d]
    assert shortcut(torch.rand(1, 8, 5, 5)).shape == (1, 16, 3, 3)


def test_freeze_stops_gradients_and_training():
    stage = ResLayer(BasicBlock, 4, 4, 1)
    freeze([stage])
    assert not stage.training
    assert not any(parameter.requires_grad for parameter in stage.parameters())


def test_hold_batch_norms_leaves_other_layers_in_training():
    module = nn.Sequential(nn.Dropout(), nn.BatchNorm2d(2), nn.GroupNorm(1, 2)).train()
    hold_batch_norms(module)
    assert [layer.training for layer in module] == [True, False, True]


def test_pretrained_becomes_an_init_cfg_with_a_warning():
    with pytest.warns(UserWarning, match="deprecated"):
        cfg = init_cfg_with_pretrained(None, "a.pth")
    assert cfg == dict(type="Pretrained", checkpoint="a.pth")


@pytest.mark.parametrize(
    ("init_cfg", "pretrained", "error"), [(dict(type="Normal"), "a.pth", ValueError), (None, 3, TypeError)]
)
def test_pretrained_beside_init_cfg_or_of_wrong_type_raises(init_cfg, pretrained, error):
    with pytest.raises(error, match="pretrained"):
        init_cfg_with_pretrained(init_cfg, pretrained)
