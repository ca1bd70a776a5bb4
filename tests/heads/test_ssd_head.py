"""What SSD learns from, and how PISA weighs it."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from dense_settings import HEADS as SETTINGS
from test_dense_contract import batch, feats

from raydet.geometry import bbox_overlaps
from raydet.losses import importance_weights
from raydet.losses.importance import hierarchical_local_rank
from raydet.registry import HEADS


def make(name: str = "SSDHead", **changes: Any) -> Any:
    torch.manual_seed(0)
    head = HEADS.build({"type": name, **SETTINGS[name], **changes})
    head.init_weights()
    return head


def test_classification_learns_positives_and_the_hardest_negatives() -> None:
    head = make()
    output = head.outputs(feats(2))
    targets = head.targets(output, batch(2))
    losses = F.cross_entropy(output["cls"].flatten(0, 1), targets.labels.flatten(), reduction="none").view(2, -1)
    expected = 0.0
    for loss, labels in zip(losses, targets.labels, strict=True):
        positive = labels < 3
        expected += loss[positive].sum() + loss[~positive].topk(3 * int(positive.sum())).values.sum()
    assert torch.allclose(head.losses(output, targets)["loss_cls"], expected / targets.num_pos)


def test_image_without_objects_teaches_nothing_of_classes() -> None:
    assert make().loss(feats(1), batch(1, num_boxes=0))["loss_cls"] == 0


def test_ratio_of_negatives_is_a_setting() -> None:
    train = SETTINGS["SSDHead"]["train_cfg"]
    few, many = (make(train_cfg={**train, "neg_pos_ratio": ratio}) for ratio in (1, 5))
    assert few.loss(feats(), batch())["loss_cls"] < many.loss(feats(), batch())["loss_cls"]


def test_levels_have_their_own_number_of_anchors() -> None:
    head = make()
    assert [conv[-1].out_channels for conv in head.reg_convs] == [4 * 4, 6 * 4]
    assert [conv[-1].out_channels for conv in head.cls_convs] == [4 * 4, 6 * 4]


@pytest.mark.parametrize(("depthwise", "kernel"), [(False, 3), (True, 1)])
def test_stacked_and_depthwise_convolutions_come_before_the_predictor(depthwise: bool, kernel: int) -> None:
    options = {"stacked_convs": 1, "feat_channels": 6, "act_cfg": {"type": "ReLU6"}}
    head = make(use_depthwise=depthwise, **options)
    last = head.cls_convs[1][-1]
    assert (last.in_channels, last.kernel_size[0]) == (6, kernel)
    assert len(head.cls_convs[1]) == (3 if depthwise else 2)
    assert torch.isfinite(sum(head.loss(feats(), batch()).values()))


def test_rank_is_first_among_boxes_of_an_object_then_among_objects_of_a_class() -> None:
    overlaps = torch.tensor([0.9, 0.8, 0.5, 0.7, 0.6])
    labels, owners = torch.tensor([1, 1, 1, 0, 0]), torch.tensor([4, 4, 2, 3, 3])
    # class 1: the best of object 4, the best of object 2, then the second of object 4
    assert hierarchical_local_rank(overlaps, labels, owners).tolist() == [0, 2, 1, 0, 1]


def test_importance_keeps_the_sum_of_the_loss() -> None:
    overlaps, losses = torch.tensor([0.9, 0.3, 0.6]), torch.tensor([1.0, 2.0, 3.0])
    group = torch.zeros(3, dtype=torch.long)
    weights = importance_weights(overlaps, group, group, losses, torch.ones(3))
    assert torch.allclose((weights * losses).sum(), losses.sum())
    assert weights[0] > weights[2] > weights[1]
    assert torch.allclose(weights / weights[0], torch.tensor([1.0, 1 / 9, 4 / 9]))
    flat = importance_weights(overlaps, group, group, losses, torch.ones(3), bias=1.0)
    assert torch.allclose(flat, torch.ones(3))


def test_importance_of_nothing_is_nothing() -> None:
    none = torch.zeros(0)
    assert len(importance_weights(none, none.long(), none.long(), none, none)) == 0


def test_pisa_weighs_positives_by_how_well_they_locate() -> None:
    plain, pisa = make(), make("PISASSDHead")
    output = pisa.outputs(feats(1))
    targets = pisa.targets(output, batch(1, num_boxes=1))
    losses, usual = pisa.losses(output, targets), plain.losses(output, targets)
    assert torch.allclose(losses["loss_bbox"], usual["loss_bbox"])
    assert losses["loss_carl"] > 0
    seen = []
    pisa.class_loss = lambda _, weighed, count: seen.append(weighed) or output["cls"].sum()
    pisa.losses(output, targets)
    weights = seen[0].label_weights.flatten()[targets.positive]
    boxes = pisa.bbox_coder.decode(targets.priors, output.rows("box", targets.positive))
    best = bbox_overlaps(boxes, targets.boxes, is_aligned=True).argmax()
    assert weights.argmax() == best
    assert targets.label_weights.max() == 1  # the targets themselves stay as they were
