"""What YOLO's heads do otherwise than other dense heads."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from dense_settings import HEADS as SETTINGS
from test_dense_contract import batch, feats

from raydet.geometry import bbox_overlaps
from raydet.heads.dense.yolo_v3 import level_loss
from raydet.heads.dense.yolof import with_objectness
from raydet.heads.dense.yolox import to_boxes, to_codes
from raydet.losses import CrossEntropyLoss
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


def test_yolo_splits_what_it_predicts_and_says_how_sure_it_is() -> None:
    head = make("YOLOV3Head")
    output = head.outputs(feats(1))
    assert {key: value.shape[-1] for key, value in output.values.items()} == {"box": 4, "conf": 1, "cls": 3}
    assert torch.equal(head.score_factors(output), output["conf"].sigmoid()[..., 0])


def test_yolo_starts_with_few_objects_and_rare_classes() -> None:
    head = make("YOLOV3Head")
    for conv, stride in zip(head.convs_pred, (8, 16), strict=True):
        bias = conv.bias.view(2, 8).sigmoid()
        assert torch.allclose(bias[:, 4], torch.tensor(8 / (608 / stride) ** 2))
        assert torch.allclose(bias[:, 5:], torch.tensor(0.01))


def test_yolo_drops_cells_below_the_confidence() -> None:
    settings = SETTINGS["YOLOV3Head"]["test_cfg"]
    head = make("YOLOV3Head")
    output = head.outputs(feats(1))
    least = output["conf"].sigmoid().median().item()
    strict = make("YOLOV3Head", test_cfg={**settings, "conf_thr": least})
    sure = output["conf"].sigmoid()[0, :, 0] >= least
    assert torch.equal((strict.scores(output)[0] > 0).any(1), sure)
    assert len(strict.candidates(output, batch(1).metas)[0]) == 3 * int(sure.sum())  # nms_pre counts nothing here


def test_only_cells_that_hold_a_center_are_positive() -> None:
    head = make("YOLOV3Head")
    targets = head.targets(head.outputs(feats(1)), batch(1, num_boxes=1))
    assert len(targets.positive) > 0
    middle = (targets.boxes[:, :2] + targets.boxes[:, 2:]) / 2
    prior = (targets.priors[:, :2] + targets.priors[:, 2:]) / 2
    assert ((middle - prior).abs() <= 8).all()


def test_smoothing_moves_probability_to_all_classes() -> None:
    head = make("YOLOV3Head", one_hot_smoother=0.3)
    seen = []
    head.loss_cls.register_forward_pre_hook(lambda _, args: seen.append(args[1]))
    head.loss(feats(), batch(num_boxes=1))
    assert torch.allclose(seen[0], torch.tensor([[0.8, 0.1, 0.1]]).expand_as(seen[0]))


def test_mean_divides_by_every_number_of_a_level() -> None:
    output = make("YOLOV3Head").outputs(feats(2))
    rows = torch.tensor([0, 3, 8 * 12 * 2, 8 * 12 * 2 + 1])  # two of each level of the first image
    predicted, wanted = torch.zeros(4, 3), torch.ones(4, 3)
    loss = level_loss(CrossEntropyLoss(use_sigmoid=True), predicted, wanted, output, rows)
    one = torch.tensor(2.0).log() * 3
    assert torch.allclose(loss, 2 * one / (2 * 8 * 12 * 2 * 3) + 2 * one / (2 * 4 * 6 * 2 * 3))
    total = level_loss(CrossEntropyLoss(use_sigmoid=True, reduction="sum"), predicted, wanted, output, rows)
    assert torch.allclose(total, 4 * one)


def test_yolo_wants_channels_and_strides_for_all_levels() -> None:
    with pytest.raises(ValueError, match="the anchors have 2 levels"):
        make("YOLOV3Head", in_channels=(8, 8, 8))


def test_objectness_multiplies_probabilities() -> None:
    classes = torch.randn(2, 6, 3, 4, generator=torch.Generator().manual_seed(0))
    objects = torch.randn(2, 2, 3, 4, generator=torch.Generator().manual_seed(1))
    joined = with_objectness(classes, objects)
    assert joined.shape == classes.shape
    product = classes.sigmoid().view(2, 2, 3, 3, 4) * objects.sigmoid()[:, :, None]
    assert torch.allclose(joined.sigmoid(), product.view_as(joined), atol=1e-6)
    assert torch.isfinite(with_objectness(classes * 100, objects * 100)).all()


def test_yolof_regresses_every_box_that_an_object_took() -> None:
    head = make("YOLOFHead")
    output = head.outputs(feats(1))
    targets = head.targets(output, batch(1, num_boxes=2))
    (assigned,) = targets.assigned
    good = assigned.get_extra_property("pos_idx")
    assert len(good) == 2 * 2 * 4  # two objects, four predictions and four anchors of each
    wanted = assigned.get_extra_property("target_boxes")
    overlaps = bbox_overlaps(assigned.get_extra_property("pos_predicted_boxes"), wanted, "giou", is_aligned=True)
    loss = head.losses(output, targets)["loss_bbox"]
    assert torch.allclose(loss, ((1 - overlaps) * good).sum() / targets.num_pos, atol=1e-5)


def test_yolof_starts_with_rare_classes() -> None:
    head = make("YOLOFHead")
    assert torch.allclose(head.cls_score.bias.sigmoid(), torch.tensor(0.01))
    assert head.object_pred.weight.std() < 0.012


def test_yolof_assigns_only_anchors_of_the_image() -> None:
    head = make("YOLOFHead")
    targets = head.targets(head.outputs(feats(1)), batch(1, pad_shape=(32, 96)))
    assert not targets.label_weights[0, : 8 * 12 * 2].view(8, 12, 2)[4:].any()
    assert torch.isfinite(sum(head.loss(feats(1), batch(1, pad_shape=(32, 96))).values()))
