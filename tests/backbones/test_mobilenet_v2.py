import pytest
import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from raydet.backbones import MobileNetV2

IMAGE = torch.linspace(-1, 1, 3 * 64 * 64).view(1, 3, 64, 64)


def test_maps_at_all_indices():
    maps = MobileNetV2(out_indices=range(8)).eval()(IMAGE)
    assert [each.shape[1] for each in maps] == [16, 24, 32, 64, 96, 160, 320, 1280]
    assert [each.shape[-1] for each in maps] == [32, 16, 8, 4, 4, 2, 2, 2]


@pytest.mark.parametrize(("factor", "stem", "last"), [(0.25, 8, 1280), (0.5, 16, 1280), (1.4, 48, 1792)])
def test_widen_factor_scales_channels_but_the_last_never_down(factor, stem, last):
    model = MobileNetV2(widen_factor=factor)
    assert model.conv1.out_channels == stem
    assert model.conv2.out_channels == last


def test_keys_are_those_of_2x():
    keys = list(MobileNetV2().state_dict())
    assert "conv1.conv.weight" in keys
    assert "layer1.0.depthwise_conv.conv.weight" in keys
    assert "layer1.0.expand_conv.conv.weight" not in keys
    assert "layer2.1.expand_conv.bn.running_mean" in keys
    assert "layer7.0.linear_conv.bn.weight" in keys
    assert "conv2.bn.bias" in keys


def test_layers_after_the_last_output_are_not_run():
    model = MobileNetV2(out_indices=(0, 1)).eval()
    model.layer3.register_forward_hook(lambda *_: pytest.fail("layer3 ran"))
    assert len(model(IMAGE)) == 2


@pytest.mark.parametrize("frozen", [-1, 0, 3, 7])
def test_frozen_stages_have_no_gradients_and_stay_in_eval_mode(frozen):
    model = MobileNetV2(widen_factor=0.25, frozen_stages=frozen).train()
    for index, name in enumerate(["conv1", *(f"layer{i}" for i in range(1, 8))]):
        part = getattr(model, name)
        assert part.training is (index > frozen)
        assert all(parameter.requires_grad is (index > frozen) for parameter in part.parameters())


def test_norm_eval_holds_batch_norms():
    model = MobileNetV2(widen_factor=0.25, norm_eval=True).train()
    assert not any(module.training for module in model.modules() if isinstance(module, _BatchNorm))


def test_activation_is_configurable():
    model = MobileNetV2(widen_factor=0.25, act_cfg=dict(type="ReLU"))
    assert not any(isinstance(module, nn.ReLU6) for module in model.modules())


@pytest.mark.parametrize("wrong", [dict(out_indices=(8,)), dict(frozen_stages=8)])
def test_index_out_of_range_raises(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        MobileNetV2(**wrong)


def test_weights_of_torchvision_give_the_same_maps():
    import torchvision

    from raydet.checkpoint import load_state_dict

    theirs = torchvision.models.mobilenet_v2(weights=None).eval()
    ours = MobileNetV2(out_indices=(0, 7)).eval()
    report = load_state_dict(ours, theirs.state_dict(), strict=True)
    with torch.no_grad():
        first, last = ours(IMAGE)
        # ours folds normalisations, which rounds otherwise
        torch.testing.assert_close(first, theirs.features[:2](IMAGE))
        torch.testing.assert_close(last, theirs.features(IMAGE))
    assert report.adapted_from == "torchvision MobileNetV2"
