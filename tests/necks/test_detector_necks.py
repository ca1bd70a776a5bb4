import pytest
import torch
import torch.nn.functional as F

from raydet.layers import Sequential
from raydet.necks import PAFPN, ChannelMapper, CTResNetNeck, DilatedEncoder, SSDNeck, YOLOV3Neck

MAPS = [torch.randn(1, c, s, s, generator=torch.Generator().manual_seed(s)) for c, s in [(4, 16), (8, 8), (16, 4)]]


def sizes(outs):
    return [out.shape[-1] for out in outs]


def test_pafpn_carries_fine_levels_up():
    neck = PAFPN([4, 8, 16], 6, 4)
    outs = neck(MAPS)
    laterals = [conv(x) for conv, x in zip(neck.lateral_convs, MAPS, strict=True)]
    laterals[1] = laterals[1] + F.interpolate(laterals[2], scale_factor=2)
    laterals[0] = laterals[0] + F.interpolate(laterals[1], scale_factor=2)
    fine, middle, coarse = (conv(x) for conv, x in zip(neck.fpn_convs, laterals, strict=True))
    middle = middle + neck.downsample_convs[0](fine)
    coarse = coarse + neck.downsample_convs[1](middle)
    expected = [fine, neck.pafpn_convs[0](middle), neck.pafpn_convs[1](coarse)]
    assert all(torch.allclose(out, want, atol=1e-5) for out, want in zip(outs, expected, strict=False))
    assert torch.equal(outs[3], outs[2][..., ::2, ::2])


@pytest.mark.parametrize("add", ["on_input", "on_lateral", "on_output"])
def test_pafpn_takes_extra_levels_from_where_it_shall(add):
    neck = PAFPN([4, 8, 16], 6, 5, start_level=1, add_extra_convs=add, relu_before_extra_convs=True)
    outs = neck(MAPS)
    sources = {"on_input": MAPS[2], "on_lateral": neck.lateral_convs[1](MAPS[2]), "on_output": outs[1]}
    assert torch.allclose(outs[2], neck.fpn_convs[2](sources[add]), atol=1e-6)
    assert torch.allclose(outs[3], neck.fpn_convs[3](outs[2].relu()), atol=1e-6)
    assert sizes(outs) == [8, 4, 2, 1, 1]


def test_channel_mapper_makes_extra_levels_from_the_last_input():
    neck = ChannelMapper([4, 8, 16], 6, num_outs=5)
    outs = neck(MAPS)
    assert sizes(outs) == [16, 8, 4, 2, 1]
    assert torch.equal(outs[3], neck.extra_convs[0](MAPS[2]))
    assert torch.equal(outs[4], neck.extra_convs[1](outs[3]))
    assert ChannelMapper([4, 8], 6).extra_convs is None


def test_necks_say_how_many_levels_they_want():
    with pytest.raises(ValueError, match="PAFPN was built for 3 input levels, got 2"):
        PAFPN([4, 8, 16], 6, 3)(MAPS[:2])
    with pytest.raises(ValueError, match="ChannelMapper was built for 3 input levels, got 1"):
        ChannelMapper([4, 8, 16], 6)(MAPS[:1])


def ssd_neck(**settings):
    return SSDNeck((4, 8), (4, 8, 6, 4), (2, 1), (1, 0), **settings)


def test_ssd_neck_normalises_only_the_first_level():
    neck = ssd_neck(l2_norm_scale=3)
    neck.init_weights()
    outs = neck(MAPS[:2])
    assert torch.allclose(outs[0].norm(dim=1), torch.full((1, 16, 16), 3.0), atol=1e-4)
    assert torch.equal(outs[1], MAPS[1])
    assert sizes(outs) == [16, 8, 4, 2]


def test_ssd_neck_for_lite_models_has_no_normalisation():
    neck = ssd_neck(l2_norm_scale=None, use_depthwise=True, norm_cfg=dict(type="BN"), last_kernel_size=3)
    outs = neck(MAPS[:2])
    assert torch.equal(outs[0], MAPS[0])
    assert "extra_layers.0.1.depthwise_conv.conv.weight" in neck.state_dict()
    assert not any(key.startswith("l2_norm") for key in neck.state_dict())


def test_last_kernel_of_the_ssd_neck_is_that_of_the_last_level_alone():
    layers = ssd_neck(last_kernel_size=4).extra_layers
    assert [layer[1].kernel_size[0] for layer in layers] == [3, 4]


@pytest.mark.parametrize(
    "arguments", [((4, 8), (8, 4, 6), (2,), (1,)), ((4,), (4,), (), ()), ((4,), (4, 8), (2, 1), (1,))]
)
def test_ssd_neck_rejects_numbers_that_contradict_each_other(arguments):
    with pytest.raises(ValueError, match=r"must begin with|need as many"):
        SSDNeck(*arguments)


def test_yolo_neck_goes_from_coarse_to_fine():
    neck = YOLOV3Neck(3, [16, 8, 4], [8, 4, 2]).eval()
    outs = neck(MAPS)
    assert [tuple(out.shape[1:]) for out in outs] == [(8, 4, 4), (4, 8, 8), (2, 16, 16)]
    assert torch.equal(outs[0], neck.detect1(MAPS[2]))
    enlarged = F.interpolate(neck.conv1(outs[0]), scale_factor=2)
    assert torch.allclose(outs[1], neck.detect2(torch.cat([enlarged, MAPS[1]], 1)), atol=1e-6)


def test_yolo_neck_meets_odd_sizes():
    odd = [torch.rand(1, c, s, s) for c, s in [(4, 15), (8, 8), (16, 4)]]
    assert sizes(YOLOV3Neck(3, [16, 8, 4], [8, 4, 2]).eval()(odd)) == [4, 8, 15]


def test_yolo_neck_wants_channels_for_every_level():
    with pytest.raises(ValueError, match="num_scales=2"):
        YOLOV3Neck(2, [8, 4, 2], [4, 2])


def test_dilated_encoder_sees_far_on_one_level():
    encoder = DilatedEncoder(16, 6, 4, 2, [2, 4]).eval()
    probe = MAPS[2].clone().requires_grad_()
    (out,) = encoder([MAPS[0], probe])
    assert out.shape == (1, 6, 4, 4)
    assert [block.conv2.dilation for block in encoder.dilated_encoder_blocks] == [(2, 2), (4, 4)]
    with pytest.raises(ValueError, match="2 blocks need as many"):
        DilatedEncoder(16, 6, 4, 2, [2])


def test_dilated_encoder_starts_with_small_residuals():
    encoder = DilatedEncoder(64, 32, 32, 1, [2])
    Sequential(encoder).init_weights()
    block = encoder.dilated_encoder_blocks[0]
    assert block.conv2.conv.weight.std() < 0.012
    assert encoder.lateral_conv.weight.std() > 0.05
    assert torch.equal(encoder.lateral_conv.bias, torch.zeros(32))


def test_way_up_of_a_resnet_doubles_the_last_map_with_each_kernel():
    neck = CTResNetNeck(16, (8, 6), (4, 4), use_dcn=False).eval()
    (out,) = neck(MAPS)
    assert out.shape == (1, 6, 16, 16)
    assert {type(layer.conv).__name__ for layer in CTResNetNeck(16, (8,), (4,)).deconv_layers} == {
        "ModulatedDeformConv2dPack",
        "ConvTranspose2d",
    }


def test_way_up_of_a_resnet_starts_as_interpolation():
    neck = CTResNetNeck(16, (8,), (4,), use_dcn=False)
    neck.init_weights()
    kernels = neck.deconv_layers[1].conv.weight[:, 0]
    tent = torch.tensor([0.25, 0.75, 0.75, 0.25])
    assert torch.allclose(kernels, (tent[:, None] * tent).expand(8, 4, 4))


def test_way_up_of_a_resnet_needs_a_kernel_for_each_doubling():
    with pytest.raises(ValueError, match="same length"):
        CTResNetNeck(16, (8, 6), (4,))
