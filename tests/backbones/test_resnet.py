import pytest
import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from raydet.backbones import ResNet, ResNetV1d
from raydet.registry import BACKBONES

IMAGE = torch.linspace(-1, 1, 3 * 64 * 64).view(1, 3, 64, 64)


def small(depth=50, **kwargs):
    return ResNet(depth, base_channels=8, **kwargs)


@pytest.mark.parametrize(
    ("depth", "channels"), [(18, (8, 16, 32, 64)), (34, (8, 16, 32, 64)), (50, (32, 64, 128, 256))]
)
def test_maps_have_strides_4_to_32(depth, channels):
    maps = small(depth).eval()(IMAGE)
    assert [tuple(each.shape[1:]) for each in maps] == [(c, 16 >> i, 16 >> i) for i, c in enumerate(channels)]


@pytest.mark.parametrize(("depth", "blocks"), [(101, (3, 4, 23, 3)), (152, (3, 8, 36, 3))])
def test_deep_networks_have_their_numbers_of_blocks(depth, blocks):
    model = ResNet(depth, base_channels=2)
    assert tuple(len(getattr(model, name)) for name in model.res_layers) == blocks


def test_fewer_stages_and_dilation_keep_the_size():
    model = small(18, num_stages=3, strides=(1, 2, 1), dilations=(1, 1, 2), out_indices=(1, 2))
    assert [each.shape[-1] for each in model.eval()(IMAGE)] == [8, 8]
    assert not hasattr(model, "layer4")
    assert model.layer3[1].conv1.dilation == (2, 2)


def test_deep_stem_has_three_convolutions():
    model = small(18, deep_stem=True, stem_channels=12)
    assert [key for key in model.state_dict() if key.startswith("stem") and key.endswith("weight")] == [
        f"stem.{index}.weight" for index in (0, 1, 3, 4, 6, 7)
    ]
    assert model.layer1[0].conv1.in_channels == 12
    assert model.eval()(IMAGE)[0].shape == (1, 8, 16, 16)


def test_v1d_has_deep_stem_and_pooled_shortcuts_in_every_stage():
    model = ResNetV1d(depth=50, base_channels=8)
    assert model.deep_stem
    for name in model.res_layers:
        assert isinstance(getattr(model, name)[0].downsample[0], nn.AvgPool2d)


def test_group_norm_gives_keys_with_gn():
    model = small(18, norm_cfg=dict(type="GN", num_groups=2))
    assert "gn1.weight" in model.state_dict()
    assert "layer1.0.gn2.weight" in model.state_dict()


@pytest.mark.parametrize("frozen", [-1, 0, 1, 4])
def test_frozen_stages_have_no_gradients_and_stay_in_eval_mode(frozen):
    model = small(18, frozen_stages=frozen, norm_eval=False).train()
    parts = [[model.conv1, model.bn1], *([getattr(model, name)] for name in model.res_layers)]
    for index, part in enumerate(parts):
        parameters = [parameter for module in part for parameter in module.parameters()]
        assert all(parameter.requires_grad is (index > frozen) for parameter in parameters)
        assert part[-1].training is (index > frozen)


def test_norm_eval_holds_batch_norms_and_lets_the_rest_train():
    model = small(18, norm_eval=True).train()
    assert model.layer1[0].training
    assert not any(module.training for module in model.modules() if isinstance(module, _BatchNorm))
    assert all(parameter.requires_grad for parameter in model.parameters())


def test_norm_with_requires_grad_false_is_fixed():
    model = small(18, norm_cfg=dict(type="BN", requires_grad=False))
    fixed = {name for name, parameter in model.named_parameters() if not parameter.requires_grad}
    assert fixed == {name for name in model.state_dict() if "bn" in name or "downsample.1" in name} & set(
        dict(model.named_parameters())
    )


@pytest.mark.parametrize(("depth", "last"), [(18, "norm2"), (50, "norm3")])
def test_branches_start_at_zero(depth, last):
    model = small(depth)
    model.init_weights()
    assert all(bool((getattr(block, last).weight == 0).all()) for block in model.layer2)
    assert bool((model.bn1.weight == 1).all())


def test_own_init_cfg_turns_zero_branches_off():
    model = small(18, init_cfg=dict(type="Constant", layer="BatchNorm2d", val=2))
    model.init_weights()
    assert bool((model.layer2[0].bn2.weight == 2).all())


def test_plugins_go_to_the_stages_that_want_them():
    plugins = [
        dict(
            cfg=dict(type="ConvModule", out_channels=32, kernel_size=1),
            stages=(True, False, False, False),
            position="after_conv3",
        ),
    ]
    model = small(50, plugins=plugins)
    assert hasattr(model.layer1[0], "conv_block")
    assert not hasattr(model.layer2[0], "conv_block")


def test_dcn_goes_to_the_stages_that_want_it():
    model = small(50, dcn=dict(type="ConvWS"), stage_with_dcn=(False, False, True, True))
    assert [type(getattr(model, name)[0].conv2).__name__ for name in model.res_layers] == [
        "Conv2d", "Conv2d", "ConvWS2d", "ConvWS2d",
    ]  # fmt: skip


def test_recomputation_gives_the_same_gradients():
    plain, saving = small(50), small(50, with_cp=True)
    saving.load_state_dict(plain.state_dict())
    for model in (plain, saving):
        model.train()(IMAGE)[-1].square().sum().backward()
    pairs = zip(plain.parameters(), saving.parameters(), strict=True)
    assert all(torch.allclose(a.grad, b.grad, rtol=1e-3, atol=1e-5) for a, b in pairs)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (dict(depth=20), "depth"),
        (dict(depth=50, num_stages=5), "num_stages"),
        (dict(depth=50, num_stages=3), "strides"),
        (dict(depth=50, out_indices=(4,)), "out_indices"),
        (dict(depth=50, style="tf"), "style"),
        (dict(depth=18, dcn=dict(type="ConvWS"), stage_with_dcn=(True,)), "stage_with_dcn"),
        (dict(depth=50, plugins=[dict(cfg={}, stages=(True,), position="after_conv1")]), "stages"),
    ],
)
def test_impossible_arguments_raise(wrong, message):
    with pytest.raises(ValueError, match=message):
        ResNet(**{"base_channels": 2, **wrong})


def test_registry_builds_it_and_names_wrong_arguments():
    with pytest.raises(TypeError, match="frozen_stages"):
        BACKBONES.build(dict(type="ResNet", depth=18, frozen_stage=1))


@pytest.mark.parametrize("depth", [18, 50])
def test_weights_of_torchvision_fit_and_give_the_same_maps(depth):
    import torchvision

    from raydet.checkpoint import load_state_dict

    theirs = getattr(torchvision.models, f"resnet{depth}")(weights=None).eval()
    ours = ResNet(depth).eval()
    load_state_dict(ours, theirs.state_dict(), strict=True)
    with torch.no_grad():
        x = theirs.maxpool(theirs.relu(theirs.bn1(theirs.conv1(IMAGE))))
        expected = [x := getattr(theirs, f"layer{index}")(x) for index in range(1, 5)]
        for mine, other in zip(ours(IMAGE), expected, strict=True):
            # ours folds normalisations, which rounds otherwise
            torch.testing.assert_close(mine, other, rtol=1e-4, atol=1e-4)
