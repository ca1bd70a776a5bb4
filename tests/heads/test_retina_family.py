"""Heads with RetinaNet's layers and ideas of their own."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from dense_settings import ASSIGNER, SIZES
from dense_settings import HEADS as SETTINGS
from torch import Tensor

from raydet.geometry import bbox_overlaps
from raydet.heads.dense.output import DenseOutput
from raydet.heads.dense.pisa import weigh_by_importance
from raydet.registry import HEADS
from raydet.structures import Batch, GroundTruth, ImageMeta

META = ImageMeta.from_dict({"img_shape": (64, 96)})


def feats(num: int = 1) -> list[Tensor]:
    generator = torch.Generator().manual_seed(0)
    return [torch.randn(num, 8, h, w, generator=generator) for h, w in SIZES]


def batch(*boxes: list[float], labels: list[int] | None = None) -> Batch:
    truth = GroundTruth(torch.tensor(boxes).reshape(-1, 4), torch.tensor(labels or [0] * len(boxes)))
    return Batch(torch.zeros(1, 3, 64, 96), [META], [truth])


def make(name: str, **changes: Any) -> Any:
    torch.manual_seed(0)
    head = HEADS.build({"type": name, **SETTINGS[name], **changes})
    head.init_weights()
    return head


def leaves(output: DenseOutput) -> DenseOutput:
    """The same predictions as inputs, so that they have gradients of their own."""
    return replace(output, values={role: value.detach().requires_grad_() for role, value in output.values.items()})


@pytest.mark.parametrize("best", [0, 1])
def test_an_object_learns_on_its_easiest_level_only(best: int) -> None:
    head = make("FSAFHead")
    output = head.outputs(feats())
    level = output.layout.level_of()
    output.values["cls"].data[:, level == best, 1] = 8.0
    output = leaves(output)
    losses = head.losses(output, head.targets(output, batch([10.0, 8.0, 70.0, 56.0], labels=[1])))
    losses["loss_bbox"].backward()
    moved = output["box"].grad.abs().sum(-1)[0] > 0
    assert moved[level == best].any()
    assert not moved[level != best].any()
    assert losses["num_pos"] == moved.sum()
    assert losses["pos_recall"] == 100


def test_shadow_of_an_object_does_not_learn_its_class() -> None:
    head = make("FSAFHead")
    output = leaves(head.outputs(feats()))
    targets = head.targets(output, batch([10.0, 8.0, 70.0, 56.0], labels=[1]))
    head.losses(output, targets)["loss_cls"].backward()
    prior, label = targets.shadowed.unbind(1)
    assert len(prior) > 0
    assert (label == 1).all()
    assert not output["cls"].grad[0, prior, 1].any()
    assert output["cls"].grad[0, prior, 0].all()


def test_only_the_bags_of_objects_learn_boxes() -> None:
    head = make("FreeAnchorRetinaHead", pre_anchor_topk=4)
    output = leaves(head.outputs(feats()))
    head.outputs = lambda _: output
    truth = batch([10.0, 8.0, 70.0, 56.0], labels=[1])
    head.loss(feats(), truth)["positive_bag_loss"].backward()
    bag = bbox_overlaps(truth.truths[0].boxes, output.priors)[0].topk(4).indices
    assert output["box"].grad[0].any(1).nonzero().flatten().tolist() == sorted(bag.tolist())
    assert output["cls"].grad[0, bag, 1].all()
    assert not output["cls"].grad[..., [0, 2]].any()


def test_boxes_on_an_object_are_no_background() -> None:
    head = make("FreeAnchorRetinaHead", alpha=0.0)
    output = head.outputs(feats())
    truth = batch([10.0, 8.0, 70.0, 56.0], labels=[1])
    output.values["box"].data[0, 5] = head.bbox_coder.encode(output.priors[5:6], truth.truths[0].boxes)[0]
    output = leaves(output)
    head.outputs = lambda _: output
    head.loss(feats(), truth)["negative_bag_loss"].backward()
    gradients = output["cls"].grad[0]
    assert (gradients == 0).nonzero().tolist() == [[5, 1]]


def test_positives_that_locate_best_weigh_most_and_the_class_loss_stays() -> None:
    head = make("PISARetinaHead")
    output = head.outputs(feats())
    targets = head.targets(output, batch([10.0, 8.0, 40.0, 38.0], [50.0, 20.0, 80.0, 50.0], labels=[1, 1]))
    rows = targets.positive
    assert len(rows) > 1
    perfect = head.bbox_coder.encode(targets.priors[:1], targets.boxes[:1])
    output.values["box"].data[0, rows[:1]] = perfect
    weights = weigh_by_importance(head, output, targets).label_weights[0, rows]
    assert weights.argmax() == 0
    weighed, plain = head.losses(output, targets), make("RetinaHead").losses(output, targets)
    assert set(weighed) - set(plain) == {"loss_carl"}
    torch.testing.assert_close(weighed["loss_cls"], plain["loss_cls"])


def test_buckets_and_offsets_learn_the_sides_of_the_object() -> None:
    head = make("SABLRetinaHead")
    output = head.outputs(feats())
    given = batch([10.0, 8.0, 42.0, 44.0], labels=[2])
    targets = head.targets(output, given)
    rows = targets.positive
    wanted = head.bbox_coder.encode(targets.priors, targets.boxes)
    output["buckets"].data[0, rows] = wanted.labels * 50
    output["box"].data[0, rows] = wanted.offsets
    boxes = head.decode(output, 0, rows, (64, 96))
    torch.testing.assert_close(boxes, given.truths[0].boxes.expand(len(rows), -1))
    torch.testing.assert_close(head.score_factors(output)[0, rows], torch.ones(len(rows)))
    losses = head.losses(output, targets)
    assert losses["loss_bbox_reg"] < 1e-6
    assert set(losses) == {"loss_cls", "loss_bbox_cls", "loss_bbox_reg"}


def test_squares_learn_where_any_of_their_anchors_is_inside() -> None:
    head = make(
        "SABLRetinaHead", train_cfg={"assigner": {**ASSIGNER, "type": "ApproxMaxIoUAssigner"}, "allowed_border": 0}
    )
    inside = head.inside(head.outputs(feats()), [META])[0][:96].view(8, 12)
    # The flattest anchor reaches 16 pixels up, the smallest square one as far to every side.
    assert not inside[0].any()
    assert inside[3, 5]
