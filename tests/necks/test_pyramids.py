"""Pyramids that merge levels in other ways than FPN: searched ones, grids, balanced, dynamic, joined."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from raydet.layers import DyReLU
from raydet.necks import BFP, FPG, FPN, FPN_CARAFE, HRFPN, NASFCOS_FPN, NASFPN, RFP, DyHead

CHANNELS = [4, 8, 16, 32]
MAPS = [
    torch.randn(1, c, s, s, generator=torch.Generator().manual_seed(s))
    for c, s in zip(CHANNELS, (32, 16, 8, 4), strict=True)
]
BN = {"type": "BN"}
GN = {"type": "GN", "num_groups": 2}
ACT_FIRST = {"order": ("act", "conv", "norm"), "inplace": False}


def same(num, channels=8):
    return [torch.randn(1, channels, 32 >> i, 32 >> i, generator=torch.Generator().manual_seed(i)) for i in range(num)]


def sizes(outs):
    return [out.shape[-1] for out in outs]


def grid(paths, **settings):
    arguments = dict(across_skip_trans=dict(type="conv", kernel_size=1, **ACT_FIRST), start_level=1)
    return FPG(CHANNELS, 8, 5, len(paths), paths, **{**arguments, **settings})


NECKS = {
    "NASFPN": lambda: NASFPN(CHANNELS, 8, 5, 2, start_level=1, norm_cfg=GN),
    "NASFCOS_FPN": lambda: NASFCOS_FPN(CHANNELS, 8, 5, norm_cfg=GN),
    "FPG": lambda: grid(["bu", "bu"], across_down_trans=dict(type="interpolation_conv", **ACT_FIRST)),
    "FPN_CARAFE": lambda: FPN_CARAFE(CHANNELS, 8, 5),
    "HRFPN": lambda: HRFPN(CHANNELS, 8, 5),
}


@pytest.mark.parametrize("name", NECKS)
def test_every_parameter_learns(name):
    neck = NECKS[name]()
    neck.init_weights()
    outs = neck(MAPS)
    assert len(outs) == 5
    assert {out.shape[1] for out in outs} == {8}
    assert all(2 * finer == coarser for coarser, finer in zip(sizes(outs), sizes(outs)[1:], strict=False))
    sum(out.square().sum() for out in outs).backward()
    assert [key for key, p in neck.named_parameters() if p.grad is None] == []


@pytest.mark.parametrize("name", NECKS)
def test_necks_say_how_many_levels_they_want(name):
    with pytest.raises(ValueError, match=f"{name} was built for 4 input levels, got 3"):
        NECKS[name]()(MAPS[:3])


def test_nas_fpn_extra_levels_are_pooled_after_a_convolution():
    neck = NASFPN(CHANNELS, 8, 5, 1, start_level=1)
    assert isinstance(neck.extra_downsamples[0][1], nn.MaxPool2d)
    assert not hasattr(neck.fpn_stages[0]["gp_43_5"], "out_conv")
    with pytest.raises(ValueError, match="num_outs must be that, got 4"):
        NASFPN(CHANNELS, 8, 4, 1)


def test_nas_fcos_fpn_uses_three_levels():
    with pytest.raises(ValueError, match="leave 4 of 4"):
        NASFCOS_FPN(CHANNELS, 8, 5, start_level=0)


def test_nas_fcos_fpn_outputs_have_the_sizes_of_its_inputs():
    odd = [torch.randn(1, c, s, s) for c, s in zip(CHANNELS, (31, 16, 8, 4), strict=True)]
    assert sizes(NASFCOS_FPN(CHANNELS, 8, 4, norm_cfg=GN).eval()(odd)) == [16, 8, 4, 2]


def test_grid_reads_from_neighbours_and_from_the_first_pathway():
    neck = grid(["bu"], across_down_trans=None, across_up_trans=None, output_trans=dict(type="last_conv"))
    first = [conv(x) for conv, x in zip(neck.lateral_convs, MAPS[1:], strict=True)]
    stage = neck.fpn_transitions[0]
    fine = stage[0]["across_lateral"](first[0]) + stage[0]["across_skip"](first[0])
    middle = stage[1]["same_up"](fine) + stage[1]["across_lateral"](first[1]) + stage[1]["across_skip"](first[1])
    outs = neck(MAPS)
    assert torch.allclose(outs[0], neck.output_transition[0].conv_out(fine), atol=1e-5)
    assert torch.allclose(outs[1], neck.output_transition[1].conv_out(middle), atol=1e-5)
    assert sizes(outs) == [16, 8, 4, 2, 1]


def test_grid_pathways_may_go_down_and_leave_levels_out():
    shrink = dict(type="interpolation_conv", **ACT_FIRST)
    neck = grid(["bu", "td"], same_down_trans=shrink, across_down_trans=shrink, skip_inds=[(0,), (), (), (1,), (0, 1)])
    assert list(neck.fpn_transitions[0][4]) == []
    assert list(neck.fpn_transitions[1][1]) == ["same_up", "same_down", "across_lateral", "across_down", "across_skip"]
    assert sizes(neck(MAPS)) == [16, 8, 4, 2, 1]


def test_grid_of_identities_adds_maps_up():
    identity = dict(type="identity")
    neck = grid(
        ["bu"],
        same_up_trans=None,
        across_lateral_trans=identity,
        across_skip_trans=identity,
        across_down_trans=None,
        add_extra_convs=True,
    )
    lateral = neck.lateral_convs[0](MAPS[1])
    assert torch.allclose(neck(MAPS)[0], neck.output_transition[0].conv_out(2 * lateral), atol=1e-5)
    assert isinstance(neck.extra_downsamples[0], nn.Conv2d)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"paths": ["up"]}, "'bu' or 'td'"),
        ({"paths": ["bu"], "inter_channels": [8, 8]}, "one number or 5"),
        ({"paths": ["bu"], "same_up_trans": dict(type="pool")}, "type of a transition"),
    ],
)
def test_grid_rejects_what_it_does_not_know(settings, message):
    with pytest.raises(ValueError, match=message):
        grid(**settings)


@pytest.mark.parametrize(
    "cfg",
    [
        dict(type="carafe", up_kernel=3),
        dict(type="deconv", upsample_kernel=3),
        dict(type="pixel_shuffle", upsample_kernel=3),
        dict(type="nearest"),
        dict(type="bilinear"),
    ],
)
def test_carafe_pyramid_enlarges_in_any_way_and_meets_odd_sizes(cfg):
    odd = [torch.randn(1, c, s, s) for c, s in zip(CHANNELS, (31, 16, 8, 4), strict=True)]
    neck = FPN_CARAFE(CHANNELS, 8, 5, upsample_cfg=cfg)
    neck.init_weights()
    assert sizes(neck(odd)) == [31, 16, 8, 4, 2]


def test_carafe_pyramid_adds_enlarged_maps():
    neck = FPN_CARAFE(CHANNELS, 8, 4, upsample_cfg=dict(type="nearest"))
    coarse = neck.lateral_convs[3](MAPS[3])
    middle = neck.lateral_convs[2](MAPS[2]) + F.interpolate(coarse, scale_factor=2)
    assert torch.allclose(neck(MAPS)[2], neck.fpn_convs[2](middle), atol=1e-5)


@pytest.mark.parametrize("cfg", [dict(type="deconv"), dict(type="magic")])
def test_carafe_pyramid_says_which_ways_it_knows(cfg):
    with pytest.raises(ValueError, match=r"upsample_kernel|must be 'carafe'"):
        FPN_CARAFE(CHANNELS, 8, 4, upsample_cfg=cfg)
    with pytest.raises(ValueError, match="order must be one of"):
        FPN_CARAFE(CHANNELS, 8, 4, order=("norm", "conv", "act"))


@pytest.mark.parametrize(("pooling", "pool"), [("AVG", F.avg_pool2d), ("MAX", F.max_pool2d)])
def test_hrfpn_pools_what_it_joined(pooling, pool):
    neck = HRFPN(CHANNELS, 8, 3, pooling_type=pooling, with_cp=True)
    enlarged = [F.interpolate(x, size=(32, 32), mode="bilinear") for x in MAPS]
    finest = neck.reduction_conv(torch.cat(enlarged, 1))
    outs = neck(MAPS)
    assert torch.allclose(outs[2], neck.fpn_convs[2](pool(finest, 4, 4)), atol=1e-5)
    with pytest.raises(ValueError, match="'AVG', 'MAX'"):
        HRFPN(CHANNELS, 8, pooling_type="SUM")


def test_bfp_adds_the_refined_mean_to_every_level():
    maps = same(4)
    outs = BFP(8, 4, refine_level=1)(maps)
    parts = [F.adaptive_max_pool2d(maps[0], 16), maps[1], *(F.interpolate(x, size=(16, 16)) for x in maps[2:])]
    mean = sum(parts) / 4
    assert torch.allclose(outs[1], maps[1] + mean, atol=1e-6)
    assert torch.allclose(outs[3], maps[3] + F.adaptive_max_pool2d(mean, 4), atol=1e-6)
    refined = BFP(8, 4, refine_level=1, refine_type="conv")
    assert torch.allclose(refined(maps)[1], maps[1] + refined.refine(mean), atol=1e-5)


@pytest.mark.parametrize("settings", [{"refine_type": "magic"}, {"refine_level": 4}])
def test_bfp_rejects_what_it_does_not_know(settings):
    with pytest.raises(ValueError, match=next(iter(settings))):
        BFP(8, 4, **settings)


def test_dyhead_starts_as_ordinary_convolutions_and_reaches_every_parameter():
    maps = same(3, 16)
    neck = DyHead(16, 16, num_blocks=1)
    block = neck.dyhead_blocks[0]
    assert not block.spatial_conv_offset.weight.any()
    outs = neck(maps)
    assert [out.shape for out in outs] == [each.shape for each in maps]
    # Without shifts every tap counts a half.
    middle = block.spatial_conv_mid.norm(F.conv2d(maps[0], block.spatial_conv_mid.conv.weight / 2, padding=1))
    coarse = F.conv2d(maps[1], block.spatial_conv_high.conv.weight / 2, padding=1)
    high = F.interpolate(block.spatial_conv_high.norm(coarse), size=(32, 32), mode="bilinear", align_corners=True)
    attend = block.scale_attn_module
    expected = block.task_attn_module((middle * attend(middle) + high * attend(high)) / 2)
    assert torch.allclose(outs[0], expected, atol=1e-5)
    sum(out.square().sum() for out in outs).backward()
    assert [key for key, p in neck.named_parameters() if p.grad is None] == []


def test_dyhead_meets_odd_sizes():
    maps = [torch.randn(1, 16, s, s) for s in (15, 8, 4)]
    assert sizes(DyHead(16, 16, num_blocks=2, zero_init_offset=False)(maps)) == [15, 8, 4]


def test_dynamic_relu_without_a_say_is_a_relu():
    relu = DyReLU(8, ratio=2)
    nn.init.zeros_(relu.conv2.conv.weight)
    nn.init.zeros_(relu.conv2.conv.bias)  # hard sigmoid of zero is a half: slopes 1 and 0
    x = torch.randn(1, 8, 3, 3)
    assert torch.allclose(relu(x), x.relu(), atol=1e-6)


RESNET = dict(type="DetectoRS_ResNet", depth=50, base_channels=4, stem_channels=4, rfp_inplanes=8)


def recursive(steps=2, **settings):
    arguments = dict(in_channels=[16, 32, 64, 128], out_channels=8, num_outs=5, aspp_out_channels=2)
    return RFP(rfp_steps=steps, rfp_backbone=RESNET, **{**arguments, **settings})


def recursive_inputs():
    images = torch.randn(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    return [images, *(torch.randn(1, 16 << i, 16 >> i, 16 >> i) for i in range(4))]


def test_recursive_pyramid_looks_again_and_starts_as_the_mean_of_both_looks():
    neck = recursive().eval()
    neck.init_weights()
    images, *maps = recursive_inputs()
    first = FPN.forward(neck, maps)
    fed_back = [first[0], *(neck.rfp_aspp(level) for level in first[1:])]
    second = FPN.forward(neck, neck.rfp_modules[0].rfp_forward(images, fed_back))
    outs = neck([images, *maps])
    assert all(torch.allclose(o, (a + b) / 2, atol=1e-5) for o, a, b in zip(outs, first, second, strict=True))
    assert sizes(outs) == [16, 8, 4, 2, 1]


def test_recursive_pyramid_of_one_look_is_a_plain_one():
    neck = recursive(steps=1)
    inputs = recursive_inputs()
    assert all(torch.equal(a, b) for a, b in zip(neck(inputs), FPN.forward(neck, inputs[1:]), strict=True))


def test_recursive_pyramid_rejects_what_it_cannot_use():
    with pytest.raises(ValueError, match="remove init_cfg"):
        recursive(init_cfg=dict(type="Xavier", layer="Conv2d"))
    with pytest.raises(ValueError, match="must be 1"):
        recursive(aspp_dilations=(1, 3))
