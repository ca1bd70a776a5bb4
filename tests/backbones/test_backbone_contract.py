"""What every backbone keeps to. One that is not in `backbone_settings` fails the first test."""

import pytest
import torch
from backbone_settings import FROZEN, HOLD_NORMS, MAPS, OUT_OF_RANGE, RECOMPUTE, SETTINGS
from torch.nn.modules.batchnorm import _BatchNorm

from raydet.registry import BACKBONES

SIZE = 64
IMAGES = torch.linspace(-1, 1, 2 * 3 * SIZE * SIZE).view(2, 3, SIZE, SIZE).sin()


def build(kind, **changes):
    if kind == "TIMMBackbone":
        pytest.importorskip("timm")
    torch.manual_seed(0)
    return BACKBONES.build({"type": kind, **SETTINGS[kind], **changes})


def test_every_backbone_is_tested_here():
    assert set(SETTINGS) == {name for name in BACKBONES.names() if not name.startswith("mmcls.")}


@pytest.mark.parametrize("kind", SETTINGS)
def test_maps_have_the_channels_and_strides_they_should(kind):
    with torch.no_grad():
        maps = build(kind).eval()(IMAGES)
    channels, strides = MAPS[kind]
    assert isinstance(maps, tuple)
    assert [tuple(each.shape) for each in maps] == [
        (2, c, SIZE // s, SIZE // s) for c, s in zip(channels, strides, strict=True)
    ]


@pytest.mark.parametrize("kind", SETTINGS)
def test_every_parameter_gets_a_gradient_and_images_are_left_alone(kind):
    model, images = build(kind).train(), IMAGES.clone()
    sum(each.square().sum() for each in model(images)).backward()
    without = [name for name, parameter in model.named_parameters() if parameter.grad is None]
    assert not without
    assert torch.equal(images, IMAGES)


@pytest.mark.parametrize("kind", SETTINGS)
def test_initialised_weights_are_finite_and_so_are_the_maps(kind):
    model = build(kind)
    model.init_weights()
    with torch.no_grad():
        assert all(bool(each.isfinite().all()) for each in model.eval()(IMAGES))


@pytest.mark.parametrize(("kind", "number"), [(kind, number) for kind in FROZEN for number in FROZEN[kind]])
def test_frozen_stages_have_no_gradients_and_stay_in_eval_mode(kind, number):
    model = build(kind, frozen_stages=number)
    held = tuple(f"{name}." for name in FROZEN[kind][number])
    assert {name for name, value in model.named_parameters() if not value.requires_grad} == {
        name for name, _ in model.named_parameters() if name.startswith(held)
    }
    model.train()
    assert not any(model.get_submodule(name).training for name in FROZEN[kind][number])
    assert model.training


@pytest.mark.parametrize("kind", HOLD_NORMS)
def test_norm_eval_keeps_statistics(kind):
    model = build(kind, norm_eval=True).train()
    norms = [module for module in model.modules() if isinstance(module, _BatchNorm)]
    before = [norm.running_mean.clone() for norm in norms]
    model(IMAGES)
    assert not any(norm.training for norm in norms)
    assert all(torch.equal(norm.running_mean, mean) for norm, mean in zip(norms, before, strict=True))


@pytest.mark.parametrize("kind", RECOMPUTE)
def test_recomputation_gives_the_same_maps_and_gradients(kind):
    plain, saving = build(kind), build(kind, with_cp=True)
    results = []
    for model in (plain.eval(), saving.eval()):
        maps = model(IMAGES)
        sum(each.square().mean() for each in maps).backward()
        results.append([*maps, *(parameter.grad for parameter in model.parameters())])
    assert all(torch.allclose(a, b, rtol=1e-3, atol=1e-5) for a, b in zip(*results, strict=True))


@pytest.mark.parametrize("kind", OUT_OF_RANGE)
def test_map_that_is_not_there_raises(kind):
    (name,) = OUT_OF_RANGE[kind]
    with pytest.raises(ValueError, match=name):
        build(kind, **OUT_OF_RANGE[kind])


@pytest.mark.parametrize("kind", SETTINGS)
def test_mixed_precision_gives_finite_maps(kind):
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        maps = build(kind).eval()(IMAGES)
    assert all(bool(each.isfinite().all()) for each in maps)


@pytest.mark.slow
@pytest.mark.parametrize("kind", SETTINGS)
def test_exported_network_gives_the_same_maps(kind):
    model = build(kind).eval()
    exported = torch.export.export(model, (IMAGES,)).module()
    with torch.no_grad():
        pairs = zip(exported(IMAGES), model(IMAGES), strict=True)
        assert all(torch.allclose(a, b, rtol=1e-3, atol=1e-4) for a, b in pairs)
