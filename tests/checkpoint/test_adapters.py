import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from raydet.backbones import MobileNetV2, ResNet
from raydet.checkpoint import ADAPTERS, KeyAdapter, adapt_keys

MOBILENET = next(adapter for adapter in ADAPTERS if "MobileNetV2" in adapter.name)
RESNET = next(adapter for adapter in ADAPTERS if "ResNet" in adapter.name)


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ("features.0.0.weight", "conv1.conv.weight"),
        ("features.0.1.running_mean", "conv1.bn.running_mean"),
        ("features.1.conv.0.0.weight", "layer1.0.depthwise_conv.conv.weight"),
        ("features.1.conv.1.weight", "layer1.0.linear_conv.conv.weight"),
        ("features.1.conv.2.bias", "layer1.0.linear_conv.bn.bias"),
        ("features.2.conv.0.0.weight", "layer2.0.expand_conv.conv.weight"),
        ("features.3.conv.1.1.bias", "layer2.1.depthwise_conv.bn.bias"),
        ("features.17.conv.3.weight", "layer7.0.linear_conv.bn.weight"),
        ("features.18.0.weight", "conv2.conv.weight"),
    ],
)
def test_mobilenet_key_translates_both_ways(theirs, ours):
    assert MOBILENET.to_ours(theirs) == ours
    assert MOBILENET.to_theirs(ours) == theirs


def test_every_key_of_our_mobilenet_has_one_of_torchvision():
    import torchvision

    ours, theirs = MobileNetV2(widen_factor=0.25).state_dict(), torchvision.models.mobilenet_v2().state_dict()
    assert {MOBILENET.to_theirs(key) for key in ours} == {key for key in theirs if not key.startswith("classifier")}
    assert {MOBILENET.to_ours(key) for key in theirs} == {*ours, None}


def test_classifiers_are_dropped():
    assert MOBILENET.to_ours("classifier.1.weight") is None
    assert RESNET.to_ours("fc.bias") is None
    assert RESNET.to_ours("layer1.0.conv1.weight") == "layer1.0.conv1.weight"


def test_file_of_a_family_is_recognised_by_its_keys():
    state = dict.fromkeys(map(MOBILENET.to_theirs, MobileNetV2(widen_factor=0.25).state_dict()))
    renamed, family = adapt_keys(state, wanted={"conv1.conv.weight"})
    assert family == MOBILENET.name
    assert "conv1.conv.weight" in renamed


def test_model_with_the_keys_of_the_family_gets_them_unchanged():
    state = {"layer1.0.conv1.weight": 1, "fc.weight": 2}
    assert adapt_keys(state, wanted=state) == (state, None)


def test_other_files_pass_through():
    state = ResNet(18, base_channels=2).state_dict()
    assert adapt_keys(state, wanted=state) == (state, None)


@settings(max_examples=25)
@given(st.from_regex(r"[a-z]{1,5}(\.[a-z0-9]{1,4}){0,3}", fullmatch=True))
def test_rules_undo_themselves(leaf):
    adapter = KeyAdapter("x", ("a",), rules=(("their.{leaf}.w", "our.{leaf}.v"), ("t.{leaf}", "o.{leaf}")))
    for key in (f"their.{leaf}.w", f"t.{leaf}"):
        ours = adapter.to_ours(key)
        assert ours.startswith("o")
        assert adapter.to_theirs(ours) == key


def test_dots_in_templates_are_literal():
    adapter = KeyAdapter("x", (), rules=(("a.b.{leaf}", "c.{leaf}"),))
    assert adapter.to_ours("axb.w") == "axb.w"


def test_offsets_of_the_first_deformable_convolutions_stand_beside_them():
    wanted = ["conv2.weight", "conv2.conv_offset.weight", "conv2.conv_offset.bias", "conv3_offset.weight"]
    state = {"conv2.weight": 1, "conv2_offset.weight": 2, "conv2_offset.bias": 3, "conv3_offset.weight": 4}
    assert adapt_keys(state, wanted) == (dict(zip(wanted, (1, 2, 3, 4), strict=True)), None)
    present = {"conv2_offset.weight": 1, "conv2.conv_offset.weight": 2}
    assert adapt_keys(present, wanted) == (present, None)
