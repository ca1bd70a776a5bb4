"""The 2.x builder functions."""

from __future__ import annotations

import pytest

from raydet.heads.dense.retina import RetinaHead
from raydet.models import build_detector, build_head, build_loss
from raydet.registry import BACKBONES, HEADS

HEAD = {"type": "RetinaHead", "num_classes": 2, "in_channels": 8, "feat_channels": 8, "stacked_convs": 1}
MODEL = {
    "type": "RetinaNet",
    "backbone": {"type": "ResNet", "depth": 18, "base_channels": 4},
    "neck": {"type": "FPN", "in_channels": [4, 8, 16, 32], "out_channels": 8, "num_outs": 5},
    "bbox_head": HEAD,
}
TEST_CFG = {"score_thr": 0.3, "nms": {"type": "nms", "iou_threshold": 0.5}, "max_per_img": 7}


def test_settings_in_the_model_reach_the_head() -> None:
    model = build_detector({**MODEL, "test_cfg": TEST_CFG})
    assert (model.bbox_head.test_config.score_thr, model.bbox_head.test_config.max_per_img) == (0.3, 7)


def test_settings_beside_the_model_are_deprecated_but_work() -> None:
    with pytest.warns(UserWarning, match="put them into the model dict"):
        model = build_detector(MODEL, test_cfg=TEST_CFG)
    assert model.bbox_head.test_config.score_thr == 0.3


def test_settings_in_both_places_are_refused() -> None:
    with pytest.warns(UserWarning, match="deprecated"), pytest.raises(ValueError, match="test_cfg is given both"):
        build_detector({**MODEL, "test_cfg": TEST_CFG}, test_cfg=TEST_CFG)


def test_build_leaves_the_config_untouched() -> None:
    before = repr(MODEL)
    build_detector(MODEL)
    assert repr(MODEL) == before


def test_built_parts_pass_through() -> None:
    backbone, head = BACKBONES.build(MODEL["backbone"]), HEADS.build(HEAD)
    model = build_detector({**MODEL, "backbone": backbone, "bbox_head": head})
    assert model.backbone is backbone
    assert model.bbox_head is head


def test_part_builders_build_parts() -> None:
    assert isinstance(build_head(HEAD), RetinaHead)
    assert build_loss({"type": "L1Loss"}).loss_weight == 1.0


def test_wrong_argument_of_a_head_is_named() -> None:
    with pytest.raises(TypeError, match="RetinaHead has no argument 'stacked_conv'; did you mean 'stacked_convs'"):
        build_detector({**MODEL, "bbox_head": {**HEAD, "stacked_conv": 2}})
