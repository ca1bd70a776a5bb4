from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from raydet.engine import auto_scale_lr, build_optimizer, get_logger
from raydet.registry import OPTIMIZERS

SGD = dict(type="SGD", lr=0.1, momentum=0.9, weight_decay=0.01)


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(1))
        self.conv = nn.Conv2d(3, 4, 1)
        self.norm = nn.BatchNorm2d(4)
        self.deep = nn.Sequential(nn.Conv2d(4, 4, 3, groups=4), nn.GroupNorm(2, 4))


def settings(paramwise: dict[str, Any], **optimizer: Any) -> dict[str, tuple[float, float]]:
    """Learning rate and weight decay of every parameter."""
    model = Net()
    built = build_optimizer(model, {**SGD, **optimizer, "paramwise_cfg": paramwise})
    names = {id(p): name for name, p in model.named_parameters()}
    return {names[id(g["params"][0])]: (g["lr"], g["weight_decay"]) for g in built.param_groups}


def test_build_optimizer_without_paramwise_makes_one_group() -> None:
    optimizer = build_optimizer(Net(), SGD)
    assert isinstance(optimizer, torch.optim.SGD)
    assert len(optimizer.param_groups) == 1


def test_bias_multipliers_spare_norm_layers() -> None:
    found = settings(dict(bias_lr_mult=2.0, bias_decay_mult=0.0))
    assert found["conv.bias"] == pytest.approx((0.2, 0.0))
    assert found["norm.bias"] == found["conv.weight"] == pytest.approx((0.1, 0.01))


def test_norm_and_depthwise_multipliers_reach_weights_and_biases() -> None:
    found = settings(dict(norm_decay_mult=0.0, dwconv_decay_mult=0.5))
    assert found["norm.weight"] == found["deep.1.bias"] == pytest.approx((0.1, 0.0))
    assert found["deep.0.weight"] == found["deep.0.bias"] == pytest.approx((0.1, 0.005))


def test_custom_keys_win_and_the_longest_match_counts() -> None:
    custom = {"deep": dict(lr_mult=0.1), "deep.0": dict(lr_mult=0.5, decay_mult=0.0)}
    found = settings(dict(norm_decay_mult=0.0, custom_keys=custom))
    assert found["deep.0.weight"] == pytest.approx((0.05, 0.0))
    assert found["deep.1.weight"] == pytest.approx((0.01, 0.01))


def test_frozen_parameters_keep_the_base_settings() -> None:
    model = Net()
    model.norm.requires_grad_(False)
    optimizer = build_optimizer(model, {**SGD, "paramwise_cfg": dict(norm_decay_mult=0.0)})
    group = next(g for g in optimizer.param_groups if g["params"][0] is model.norm.weight)
    assert group["weight_decay"] == 0.01


def test_shared_parameter_needs_bypass_duplicate() -> None:
    model = nn.Module()
    model.one, model.two = nn.Linear(2, 2), nn.Linear(2, 2)
    model.two.weight = model.one.weight
    with pytest.raises(ValueError, match=r"two.weight occurs twice; set paramwise_cfg.bypass_duplicate"):
        build_optimizer(model, {**SGD, "paramwise_cfg": dict(bias_lr_mult=2.0)})
    optimizer = build_optimizer(model, {**SGD, "paramwise_cfg": dict(bias_lr_mult=2.0, bypass_duplicate=True)})
    assert len(optimizer.param_groups) == 3


@pytest.mark.parametrize(
    ("cfg", "error", "message"),
    [
        (dict(type="SDG", lr=1), KeyError, "did you mean 'SGD'"),
        (dict(type="SGD", lr=1, momentun=0.9), TypeError, "no argument 'momentun'; did you mean 'momentum'"),
        (dict(type="SGD", lr=1, paramwise_cfg=dict(norm_decay_mult=0)), ValueError, "needs a weight_decay"),
        (dict(**SGD, paramwise_cfg=dict(norm_mult=0)), ValueError, r"no option \['norm_mult'\]"),
        (dict(**SGD, paramwise_cfg=dict(custom_keys=["a"])), TypeError, "custom_keys must be a dict"),
        (dict(**SGD, constructor="Layerwise"), KeyError, "no optimizer builder named 'Layerwise'"),
    ],
)
def test_build_optimizer_with_a_wrong_setting_is_refused(cfg: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        build_optimizer(Net(), cfg)


@pytest.mark.parametrize(("world_size", "expected"), [(1, 0.0125), (8, 0.1), (16, 0.2)])
def test_auto_scale_lr_follows_the_batch_size(world_size: int, expected: float) -> None:
    cfg = dict(
        auto_scale_lr=dict(enable=True, base_batch_size=16),
        data=dict(train_dataloader=dict(samples_per_gpu=2)),
        optimizer=dict(lr=0.1),
    )
    auto_scale_lr(cfg, world_size > 1, get_logger(), world_size=world_size)
    assert cfg["optimizer"]["lr"] == pytest.approx(expected)


def test_auto_scale_lr_without_a_base_is_refused() -> None:
    with pytest.raises(ValueError, match="base_batch_size is not set"):
        auto_scale_lr(dict(auto_scale_lr=dict(enable=True)), False, get_logger())


@pytest.mark.parametrize("name", sorted(OPTIMIZERS))
def test_every_optimizer_of_torch_is_known_by_name(name: str) -> None:
    model = nn.Linear(2, 2, bias=False)
    optimizer = build_optimizer(model, dict(type=name, lr=0.1))
    assert type(optimizer).__name__ == name
    assert optimizer.param_groups[0]["params"] == [model.weight]


@pytest.mark.parametrize("variant", ["fused", "foreach"])
def test_faster_variants_of_torch_are_passed_on(variant: str) -> None:
    plain, fast = Net(), Net()
    fast.load_state_dict(plain.state_dict())
    for model, options in ((plain, {}), (fast, {variant: True})):
        optimizer = build_optimizer(model, dict(type="AdamW", lr=0.01, **options))
        assert all(group[variant] == options.get(variant) for group in optimizer.param_groups)
        model.conv(torch.ones(1, 3, 2, 2)).sum().backward()
        optimizer.step()
    torch.testing.assert_close(plain.conv.weight, fast.conv.weight)


def test_an_optimizer_of_the_user_gets_the_multipliers_as_well() -> None:
    class Mine(torch.optim.SGD):
        pass

    OPTIMIZERS.register_module(module=Mine, force=True)
    try:
        assert settings(dict(norm_decay_mult=0.0), type="Mine")["norm.weight"] == pytest.approx((0.1, 0.0))
    finally:
        del OPTIMIZERS._members["Mine"]


class ConvNeXt(nn.Module):
    """The names of a ConvNeXt and nothing else."""

    def __init__(self) -> None:
        super().__init__()
        self.downsample_layers = nn.ModuleList(nn.Conv2d(1, 1, 1) for _ in range(4))
        self.stages = nn.ModuleList(nn.Sequential(*(nn.Conv2d(1, 1, 1) for _ in range(n))) for n in (1, 1, 4, 1))


def rates_by_layer(decay_type: str) -> dict[str, tuple[float, float]]:
    model = nn.Module()
    model.backbone, model.head = ConvNeXt(), nn.Linear(1, 1)
    paramwise = dict(decay_rate=0.5, decay_type=decay_type, num_layers=6)
    cfg = dict(type="AdamW", lr=1.0, weight_decay=0.1, paramwise_cfg=paramwise)
    optimizer = build_optimizer(model, {**cfg, "constructor": "LearningRateDecayOptimizerConstructor"})
    return {
        name: (group["lr"], group["weight_decay"]) for group in optimizer.param_groups for name in group["param_names"]
    }


def test_rates_shrink_layer_by_layer_towards_the_stem() -> None:
    found = rates_by_layer("layer_wise")
    assert found["head.weight"] == (1.0, 0.1)
    assert found["head.bias"] == (1.0, 0.0)
    assert found["backbone.stages.3.0.weight"] == (0.5, 0.1)
    assert found["backbone.stages.2.3.weight"] == (2.0**-3, 0.1)
    assert found["backbone.stages.2.0.weight"] == (2.0**-4, 0.1)
    assert found["backbone.downsample_layers.0.bias"] == (2.0**-7, 0.0)


def test_rates_shrink_stage_by_stage_towards_the_stem() -> None:
    found = rates_by_layer("stage_wise")
    assert found["head.weight"] == (1.0, 0.1)
    assert {found[f"backbone.stages.{stage}.0.weight"][0] for stage in range(4)} == {2.0**-6, 2.0**-5, 2.0**-4, 2.0**-3}
    assert found["backbone.downsample_layers.3.weight"][0] == 2.0**-7
    with pytest.raises(ValueError, match="decay_type is 'block_wise'"):
        rates_by_layer("block_wise")
