import pytest
import torch

from raydet.registry import SHARED_HEADS


def build(**kwargs):
    return SHARED_HEADS.build(dict(type="ResLayer", depth=50, **kwargs))


def test_keys_carry_the_number_of_the_stage():
    keys = build(stage=3).state_dict()
    assert keys["layer4.0.conv1.weight"].shape == (512, 1024, 1, 1)
    assert all(key.startswith("layer4.") for key in keys)


@pytest.mark.parametrize(("stage", "inputs", "outputs"), [(0, 64, 256), (1, 256, 512), (2, 512, 1024)])
def test_channels_follow_the_stage(stage, inputs, outputs):
    assert build(stage=stage).eval()(torch.rand(1, inputs, 6, 6)).shape == (1, outputs, 3, 3)


@pytest.mark.parametrize("norm_eval", [True, False])
def test_norm_eval_decides_over_batch_norms(norm_eval):
    head = build(stage=0, norm_eval=norm_eval).train()
    assert head.layer1[0].bn1.training is not norm_eval
    assert head.layer1[0].training


@pytest.mark.parametrize("wrong", [dict(depth=49), dict(stage=4)])
def test_impossible_arguments_raise(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        SHARED_HEADS.build({"type": "ResLayer", "depth": 50, **wrong})
