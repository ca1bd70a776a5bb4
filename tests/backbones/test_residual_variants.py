"""What sets the relatives of ResNet apart."""

import pytest
import torch
from backbone_settings import RESNET, TRIDENT

from raydet.backbones import DetectoRS_ResNet, RegNet, Res2Net, ResNeSt, ResNeXt, TridentResNet
from raydet.backbones.regnet import DESIGNS, stages_of

IMAGES = torch.linspace(-1, 1, 2 * 3 * 64 * 64).view(2, 3, 64, 64).sin()

PUBLISHED_REGNETS = {
    "regnetx_400mf": ([32, 64, 160, 384], (1, 2, 7, 12)),
    "regnetx_800mf": ([64, 128, 288, 672], (1, 3, 7, 5)),
    "regnetx_1.6gf": ([72, 168, 408, 912], (2, 4, 10, 2)),
    "regnetx_3.2gf": ([96, 192, 432, 1008], (2, 6, 15, 2)),
    "regnetx_4.0gf": ([80, 240, 560, 1360], (2, 5, 14, 2)),
    "regnetx_6.4gf": ([168, 392, 784, 1624], (2, 4, 10, 1)),
    "regnetx_8.0gf": ([80, 240, 720, 1920], (2, 5, 15, 1)),
    "regnetx_12gf": ([224, 448, 896, 2240], (2, 5, 11, 1)),
}


def test_resnext_groups_have_their_width():
    model = ResNeXt(depth=50, groups=32, base_width=4, num_stages=1, strides=(1,), dilations=(1,), out_indices=(0,))
    assert model.layer1[0].conv2.weight.shape == (128, 4, 3, 3)


@pytest.mark.parametrize("build", [ResNeXt, Res2Net, ResNeSt, DetectoRS_ResNet])
def test_bottleneck_networks_have_no_basic_depths(build):
    with pytest.raises(ValueError, match="depth"):
        build(depth=18)


@pytest.mark.parametrize("name", DESIGNS)
def test_regnets_have_the_published_depths_and_widths(name):
    widths, depths = stages_of(DESIGNS[name])
    model = RegNet(arch=name, out_indices=(0,)) if name == "regnetx_400mf" else None
    assert depths == PUBLISHED_REGNETS[name][1]
    assert model is None or model.stage_widths == PUBLISHED_REGNETS[name][0]
    group = DESIGNS[name]["group_w"]
    fitted = [round(width / min(group, width)) * min(group, width) for width in widths]
    assert fitted == PUBLISHED_REGNETS[name][0]


@pytest.mark.parametrize("arch", ["regnety_400mf", dict(w0=8)])
def test_unknown_regnet_raises(arch):
    with pytest.raises(ValueError, match="RegNet"):
        RegNet(arch=arch)


def test_res2net_of_one_scale_raises():
    with pytest.raises(ValueError, match="scales"):
        Res2Net(depth=50, scales=1)


def test_res2net_pools_the_last_slice_only_where_it_strides():
    model = Res2Net(base_width=2, depth=50, base_channels=4)
    assert [type(block.pool).__name__ for block in model.layer2] == ["AvgPool2d", *["Identity"] * 3]
    assert type(model.layer1[0].pool).__name__ == "Identity"


@pytest.mark.parametrize("change", [dict(radix=1), dict(groups=2, base_width=32), dict(avg_down_stride=False)])
def test_resnest_options_keep_the_shape_of_the_maps(change):
    maps = ResNeSt(depth=50, base_channels=8, **change).eval()(IMAGES)
    assert [each.shape[1:] for each in maps] == [(32, 16, 16), (64, 8, 8), (128, 4, 4), (256, 2, 2)]


def test_attention_of_resnest_sums_to_one_over_the_splits():
    attention = ResNeSt(**RESNET).layer1[0].conv2
    weights = attention._weights(torch.randn(3, 8, 1, 1))
    assert torch.allclose(weights.sum(1), torch.ones(3, 4, 1, 1))


def test_recursive_network_starts_as_if_nothing_were_fed_back():
    torch.manual_seed(0)
    model = DetectoRS_ResNet(**RESNET, rfp_inplanes=6).eval()
    model.init_weights()
    feedback = [torch.randn(2, 6, 64 // stride, 64 // stride) for stride in (4, 8, 16, 32)]
    with torch.no_grad():
        plain, fed = model(IMAGES), model.rfp_forward(IMAGES, feedback)
        assert all(torch.equal(a, b) for a, b in zip(plain, fed, strict=True))
        model.layer3[0].rfp_conv.weight.data.normal_()
        changed = model.rfp_forward(IMAGES, feedback)
    assert [torch.equal(a, b) for a, b in zip(plain, changed, strict=True)] == [True, True, False, False]


def test_recursive_network_feeds_back_into_the_first_block_of_later_stages():
    keys = DetectoRS_ResNet(**RESNET, rfp_inplanes=6).state_dict()
    assert {key for key in keys if "rfp_conv.weight" in key} == {
        f"layer{stage}.0.rfp_conv.weight" for stage in (2, 3, 4)
    }


def test_output_img_puts_the_images_first():
    maps = DetectoRS_ResNet(**RESNET, output_img=True).eval()(IMAGES)
    assert maps[0] is IMAGES
    assert len(maps) == 5


def trident(**changes):
    torch.manual_seed(0)
    return TridentResNet(**{**RESNET, **TRIDENT, **changes})


def test_trident_branches_share_weights_and_differ_in_dilation():
    model = trident(norm_eval=True, out_indices=(2,)).train()
    with torch.no_grad():
        (together,) = model(IMAGES)
        model.eval()
        for branch, maps in enumerate(together.chunk(3)):
            alone = trident(test_branch_idx=branch, out_indices=(2,)).eval()
            alone.load_state_dict(model.state_dict())
            assert torch.allclose(alone(IMAGES)[0], maps, rtol=1e-4, atol=1e-6)


def test_trident_runs_all_branches_at_test_time_on_demand():
    (maps,) = trident(test_branch_idx=-1, out_indices=(2,)).eval()(IMAGES)
    assert maps.shape[0] == 6


def test_kind_of_other_convolutions_leaves_tridents_alone():
    model = trident(conv_cfg=dict(type="ConvWS"))
    assert type(model.layer3[0].conv2).__name__ == "TridentConv"
    assert type(model.layer3[0].conv1).__name__ == "ConvWS2d"


@pytest.mark.parametrize("wrong", [dict(num_branch=2), dict(num_stages=4)])
def test_impossible_tridents_raise(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        trident(**wrong)
