import pytest
import torch

from raydet.backbones import ResNet
from raydet.engine.optimizers import DefaultOptimizerConstructor


def build(kind, **options):
    dcn = dict(type=kind, deform_groups=1, fallback_on_stride=False)
    return ResNet(50, base_channels=4, dcn=dcn, stage_with_dcn=(False, True, False, False), **options)


@pytest.mark.parametrize(("kind", "channels"), [("DCN", 18), ("DCNv2", 27)])
def test_keys_are_those_of_2x(kind, channels):
    model = build(kind)
    shapes = {key: tuple(value.shape) for key, value in model.layer2[0].conv2.state_dict().items()}
    offsets = {"conv_offset.weight": (channels, 8, 3, 3), "conv_offset.bias": (channels,)}
    assert shapes == {"weight": (8, 8, 3, 3), **offsets}
    assert not hasattr(model.layer1[0].conv2, "conv_offset")


@pytest.mark.parametrize("kind", ["DCN", "DCNv2"])
def test_offsets_learn(kind):
    torch.manual_seed(0)
    model, image = build(kind, frozen_stages=-1), torch.randn(2, 3, 32, 32)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    offsets = model.layer2[1].conv2.conv_offset
    before = offsets.weight.detach().clone()
    for _ in range(2):
        optimizer.zero_grad()
        sum(map.square().mean() for map in model(image)).backward()
        optimizer.step()
    assert not torch.equal(offsets.weight, before)
    assert all(parameter.isfinite().all() for parameter in model.parameters())


def test_fallback_on_stride_makes_ordinary_convolutions():
    model = ResNet(50, base_channels=4, dcn=dict(type="DCN", fallback_on_stride=True), stage_with_dcn=(True,) * 4)
    assert not any("conv_offset" in key for key in model.state_dict())


def test_offsets_have_a_learning_rate_of_their_own():
    constructor = DefaultOptimizerConstructor(dict(type="SGD", lr=1.0), dict(dcn_offset_lr_mult=0.1))
    model = build("DCNv2")
    rates = {id(group["params"][0]): group["lr"] for group in constructor(model).param_groups}
    slow = {name for name, value in model.named_parameters() if rates[id(value)] == pytest.approx(0.1)}
    assert slow == {name for name, _ in model.named_parameters() if "conv_offset" in name}
    assert slow
