"""What sets backbones apart that are no relatives of ResNet."""

import pytest
import torch
from backbone_settings import HR
from torch import nn

from raydet.backbones import SSDVGG, CSPDarknet, Darknet, EfficientNet, HourglassNet, HRNet
from raydet.backbones.csp_darknet import Focus

IMAGES = torch.linspace(-1, 1, 2 * 3 * 64 * 64).view(2, 3, 64, 64).sin()


def test_focus_turns_squares_into_channels_column_by_column():
    layer = Focus(1, 4, norm_cfg=None, act_cfg=None)
    layer.conv.conv.weight.data = torch.eye(4).view(4, 4, 1, 1)
    layer.conv.conv.bias.data.zero_()
    assert layer(torch.arange(4.0).view(1, 1, 2, 2)).flatten().tolist() == [0, 2, 1, 3]


def test_p6_has_a_fifth_stage_of_stride_64():
    maps = CSPDarknet("P6", 0.1, 0.0625, out_indices=(5,)).eval()(IMAGES)
    assert maps[0].shape == (2, 64, 1, 1)


def test_own_stages_replace_those_of_the_arch():
    model = CSPDarknet(arch_ovewrite=[[16, 24, 1, True, False], [24, 32, 1, False, True]], out_indices=(1, 2))
    assert [each.shape[1] for each in model.eval()(IMAGES)] == [24, 32]


def test_depthwise_convolutions_replace_3x3_ones():
    model = CSPDarknet(deepen_factor=0.1, widen_factor=0.125, use_depthwise=True)
    assert {"stage1.0.depthwise_conv.conv.weight", "stage1.1.blocks.0.conv2.pointwise_conv.conv.weight"} <= set(
        model.state_dict()
    )


@pytest.mark.parametrize("size", [100, 64])
def test_ssd_pools_round_up(size):
    model = SSDVGG(depth=16).eval()
    with torch.no_grad():
        fine, coarse = model(torch.zeros(1, 3, size, size))
    assert fine.shape[1:] == (512, -(-size // 8), -(-size // 8))
    assert coarse.shape[1:] == (1024, -(-size // 16), -(-size // 16))


def test_deprecated_arguments_of_ssd_warn():
    with pytest.warns(UserWarning, match="input_size"):
        SSDVGG(depth=11, out_feature_indices=(4,), input_size=300)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: Darknet(depth=19), "depth"),
        (lambda: SSDVGG(depth=12), "depth"),
        (lambda: CSPDarknet("P7"), "arch"),
        (lambda: EfficientNet("b9"), "arch"),
        (lambda: HourglassNet(num_stacks=0), "num_stacks"),
        (lambda: HourglassNet(stage_channels=(4, 4)), "stage_channels"),
        (lambda: HourglassNet(stage_blocks=(1, 1)), "stage_blocks"),
        (lambda: HRNet(extra={**HR, "stage2": dict(HR["stage2"], num_blocks=(1,))}), "num_blocks of stage2"),
        (lambda: HRNet(extra={**HR, "stage3": dict(HR["stage3"], block="CONV")}), "block of stage3"),
        (lambda: HRNet(extra={key: HR[key] for key in ("stage1", "stage2")}), "stage3"),
    ],
)
def test_impossible_arguments_raise(build, message):
    with pytest.raises(ValueError, match=message):
        build()


def test_hourglass_starts_as_torch_starts_convolutions():
    model = HourglassNet(downsample_times=1, num_stacks=1, stage_channels=(8, 8), stage_blocks=(1, 1), feat_channel=8)
    conv = model.out_convs[0].conv
    torch.manual_seed(3)
    model.init_weights()
    assert conv.weight.abs().max() <= 1 / (8 * 9) ** 0.5


def test_hrnet_returns_only_its_finest_map_on_demand():
    maps = HRNet(extra=HR, multiscale_output=False).eval()(IMAGES)
    assert [tuple(each.shape) for each in maps] == [(2, 4, 16, 16)]


def test_hrnet_starts_blocks_at_zero_on_demand():
    model = HRNet(extra=HR, zero_init_residual=True)
    model.init_weights()
    assert bool((model.layer1[0].norm3.weight == 0).all())
    assert bool((model.stage2[0].branches[1][0].norm2.weight == 0).all())


def test_hrnet_changes_channels_between_stages():
    wider = {**HR, "stage3": dict(HR["stage3"], num_channels=(8, 8, 12))}
    assert isinstance(HRNet(extra=wider).eval().transition2[0], nn.Sequential)
    assert HRNet(extra=wider).eval()(IMAGES)[0].shape[1] == 4


@pytest.mark.parametrize(("arch", "act"), [("b0", "Swish"), ("b1", "Swish"), ("es", "ReLU"), ("em", "ReLU")])
def test_efficientnet_gives_the_features_of_timm(arch, act):
    timm = pytest.importorskip("timm")
    torch.manual_seed(0)
    other = timm.create_model(f"tf_efficientnet_{arch}", num_classes=0).eval()
    ours = EfficientNet(arch, act_cfg=dict(type=act)).eval()
    values, own = list(other.state_dict().values()), ours.state_dict()
    assert [value.shape for value in values] == [value.shape for value in own.values()]
    ours.load_state_dict(dict(zip(own, values, strict=True)))
    with torch.no_grad():
        assert torch.allclose(ours(IMAGES)[0], other.forward_features(IMAGES), rtol=1e-3, atol=1e-4)


def test_efficientnet_drops_deeper_branches_more_often():
    rates = [
        module.drop_prob for module in EfficientNet(drop_path_rate=0.2).modules() if type(module).__name__ == "DropPath"
    ]
    assert rates == sorted(rates)
    assert rates[-1] == pytest.approx(0.2)
