"""What YOLO's heads do otherwise than other dense heads."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from dense_settings import HEADS as SETTINGS
from test_dense_contract import batch, feats

from raydet.heads.dense.yolox import to_boxes, to_codes
from raydet.registry import HEADS


def make(name: str, **changes: Any) -> Any:
    torch.manual_seed(0)
    head = HEADS.build({"type": name, **SETTINGS[name], **changes})
    head.init_weights()
    return head


def test_yolox_codes_are_shifts_and_logarithms_in_strides() -> None:
    priors = torch.tensor([[16.0, 8.0, 8.0, 8.0], [0.0, 32.0, 16.0, 16.0]])
    codes = torch.tensor([[0.5, 0.25, 0.0, 1.0], [-1.0, 2.0, 0.5, 0.0]])
    boxes = to_boxes(priors, codes)
    assert torch.allclose(boxes[0], torch.tensor([16.0, 10 - 4 * 2.71828, 24.0, 10 + 4 * 2.71828]), atol=1e-3)
    assert torch.allclose(to_codes(priors, boxes), codes, atol=1e-5)
    assert torch.isfinite(to_codes(priors, torch.zeros(2, 4))).all()


def test_yolox_classes_and_objectness_start_rare() -> None:
    head = make("YOLOXHead")
    for conv in (*head.multi_level_conv_cls, *head.multi_level_conv_obj):
        assert torch.allclose(conv.bias.sigmoid(), torch.tensor(0.01))
    assert head.multi_level_cls_convs[0][0].conv.weight.std() > 0.03  # torch's own, not He's


def test_yolox_keeps_the_likeliest_class_of_a_cell_and_does_not_clip() -> None:
    head = make("YOLOXHead", test_cfg={"score_thr": 0.0, "nms": {"type": "nms", "iou_threshold": 0.5}})
    output = head.outputs(feats(1))
    (found,) = head.candidates(output, batch(1).metas)
    assert len(found) == output["cls"].shape[1]
    best = output["cls"][0].sigmoid().amax(-1) * output["obj"][0, :, 0].sigmoid()
    assert torch.allclose(found.scores, best)
    assert (found.boxes < 0).any()


def test_yolox_takes_scores_that_equal_the_threshold() -> None:
    head = make("YOLOXHead")
    output = head.outputs(feats(1))
    scores = head.candidates(output, batch(1).metas)[0].scores
    head = make(
        "YOLOXHead", test_cfg={"score_thr": scores.max().item(), "nms": SETTINGS["YOLOXHead"]["test_cfg"]["nms"]}
    )
    assert len(head.candidates(output, batch(1).metas)[0]) >= 1


def test_yolox_compares_codes_only_in_the_last_epochs() -> None:
    head = make("YOLOXHead")
    assert set(head.loss(feats(), batch())) == {"loss_cls", "loss_bbox", "loss_obj"}
    head.use_l1 = True
    losses = head.loss(feats(), batch())
    assert losses["loss_l1"] > 0
    assert head.loss(feats(), batch(num_boxes=0))["loss_l1"] == 0


def test_yolox_with_depthwise_towers_has_their_keys() -> None:
    keys = set(make("YOLOXHead", use_depthwise=True).state_dict())
    assert "multi_level_reg_convs.1.0.depthwise_conv.conv.weight" in keys


def test_yolox_learns_the_overlap_as_its_class_score() -> None:
    head = make("YOLOXHead")
    seen = []
    head.loss_cls.register_forward_pre_hook(lambda _, args: seen.append(args[1]))
    head.loss(feats(), batch(num_boxes=1))
    assert (seen[0].sum(1) <= 1).all()
    assert (seen[0].sum(1) > 0).any()
    assert ((seen[0] > 0).sum(1) <= 1).all()


@pytest.mark.parametrize("num", [1, 2])
def test_yolox_loss_of_padding_is_like_any_other(num: int) -> None:
    head = make("YOLOXHead")
    full = head.loss(feats(num), batch(num))
    padded = head.loss(feats(num), batch(num, pad_shape=(32, 96)))
    assert all(torch.equal(full[key], padded[key]) for key in full)
