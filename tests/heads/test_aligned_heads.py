"""VFNet, DDOD and TOOD: heads whose classes and boxes know of each other."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from dense_settings import HEADS as SETTINGS
from dense_settings import SIZES, TOOD
from torch import Tensor

from raydet.geometry import bbox_overlaps
from raydet.heads.dense.task_decomposition import TaskDecomposition, look_up
from raydet.heads.dense.tood import aligned
from raydet.heads.dense.vfnet import star_offsets
from raydet.ops import deform_conv2d
from raydet.registry import HEADS
from raydet.structures import Batch, GroundTruth, ImageMeta

META = ImageMeta.from_dict({"img_shape": (64, 96)})
BOXES = torch.tensor([[10.0, 8.0, 70.0, 56.0], [40.0, 20.0, 70.0, 50.0]])


def make(name: str, **changes: Any) -> Any:
    torch.manual_seed(0)
    head = HEADS.build({"type": name, **SETTINGS[name], **changes})
    head.init_weights()
    return head


def feats(num: int = 1) -> list[Tensor]:
    generator = torch.Generator().manual_seed(0)
    return [torch.randn(num, 8, h, w, generator=generator) for h, w in SIZES]


def batch(boxes: Tensor = BOXES) -> Batch:
    truth = GroundTruth(boxes, torch.arange(len(boxes)) % 3)
    return Batch(torch.zeros(1, 3, 64, 96), [META], [truth])


# VFNet


def test_star_samples_center_sides_and_corners_of_the_box() -> None:
    x = torch.arange(9.0).expand(1, 1, 9, 9)
    image = torch.cat([x, x.transpose(2, 3)], dim=1)
    sides = torch.tensor([1.0, 2.0, 3.0, 1.5]).view(1, 4, 1, 1).expand(1, 4, 9, 9)
    offsets = star_offsets(sides)
    taps = torch.eye(9).view(9, 1, 3, 3)
    across = deform_conv2d(image[:, :1], offsets, taps, 1, 1)[0, :, 4, 4]
    down = deform_conv2d(image[:, 1:], offsets, taps, 1, 1)[0, :, 4, 4]
    assert across.view(3, 3).tolist() == 3 * [[3.0, 4.0, 7.0]]
    assert down.view(3, 3).T.tolist() == 3 * [[2.0, 4.0, 5.5]]


def test_refined_box_does_not_teach_the_first_but_by_where_it_looks() -> None:
    head = make("VFNetHead", gradient_mul=0.0)
    _, refined, first = head(feats())
    sum(level.sum() for level in refined).backward(retain_graph=True)
    assert head.vfnet_reg.weight.grad is None or not head.vfnet_reg.weight.grad.any()
    sum(level.sum() for level in first).backward()
    assert head.vfnet_reg.weight.grad.any()


def test_unit_of_distances() -> None:
    ranges = ((-1, 48), (48, 1e8))
    assert [make("VFNetHead", regress_ranges=ranges).unit(level) for level in (0, 1)] == [48, 96]
    assert [make("VFNetHead", bbox_norm_type="stride").unit(level) for level in (0, 1)] == [8, 16]
    with pytest.raises(ValueError, match="bbox_norm_type must be one of reg_denom, stride, got 'area'"):
        make("VFNetHead", bbox_norm_type="area")


def test_classes_learn_the_overlap_of_the_refined_box() -> None:
    head = make("VFNetHead")
    output = head.outputs(feats())
    targets = head.targets(output, batch())
    seen = {}
    head.loss_cls.forward = lambda pred, target, **_: seen.update(target=target) or pred.sum() * 0
    head.losses(output, targets)
    rows = targets.positive
    boxes = head.bbox_coder.decode(head.points(targets.priors), output.rows("box", rows))
    overlap = bbox_overlaps(boxes, targets.boxes, is_aligned=True).clamp(min=1e-6)
    torch.testing.assert_close(seen["target"][rows, targets.labels.flatten()[rows]], overlap)
    assert int((seen["target"] > 0).sum()) == len(rows)


@pytest.mark.parametrize("center_sampling", [False, True])
def test_points_match_as_those_of_fcos_without_atss(center_sampling: bool) -> None:
    ranges = ((-1, 24), (24, 1e8))
    head = make("VFNetHead", use_atss=False, use_vfl=False, center_sampling=center_sampling, regress_ranges=ranges)
    output = head.outputs(feats())
    assert output.priors.shape[1] == 2
    targets = head.targets(output, batch(BOXES[:1]))
    assert output.levels(targets.positive).unique().tolist() == [1]
    losses = head.losses(output, targets)
    assert type(head.loss_cls).__name__ == "FocalLoss"
    assert torch.isfinite(sum(losses.values()))
    assert len(head.predict(feats(), batch().metas)[0]) == 10


# DDOD


def test_level_with_few_objects_weighs_up_to_twice() -> None:
    head = make("DDODHead")
    output = head.outputs(feats())
    targets = head.targets(output, batch())
    one = replace(targets, positive=torch.tensor([0, 1, 2, 96]))
    weights = head.rarity(output, one)
    assert (weights[0], weights[96]) == (1, 2)
    again = head.rarity(output, replace(targets, positive=torch.arange(96, 99)))
    assert head.num_seen.tolist() == [3, 4]
    assert (again[0], again[96]) == (2, 1)


def test_classes_and_boxes_are_assigned_on_their_own() -> None:
    head = make("DDODHead")
    called = []
    for name in ("assigner", "reg_assigner"):
        part = getattr(head, name)
        plain = part.assign

        def watch(*args: Any, name: str = name, plain: Any = plain) -> Any:
            called.append((name, len(args[0]), args[5].shape, args[6].shape))
            return plain(*args)

        part.assign = watch
    head.loss(feats(), batch())
    assert called == [(name, 120, (120, 3), (120, 4)) for name in ("assigner", "reg_assigner")]


def test_ddod_needs_an_assigner_for_boxes() -> None:
    with pytest.raises(ValueError, match="needs reg_assigner beside assigner"):
        make("DDODHead", train_cfg={"assigner": {"type": "ATSSAssigner", "topk": 3}})


@pytest.mark.parametrize("use_dcn", [False, True])
def test_first_convolutions_of_ddod_are_deformable(use_dcn: bool) -> None:
    head = make("DDODHead", use_dcn=use_dcn, stacked_convs=2)
    for tower in (head.cls_convs, head.reg_convs):
        assert [hasattr(block.conv, "conv_offset") for block in tower] == [use_dcn, False]


# TOOD


def test_mixture_scales_layers_by_their_attention() -> None:
    torch.manual_seed(0)
    mixture = TaskDecomposition(feat_channels=4, stacked_convs=3, la_down_rate=2)
    mixture.layer_attention = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(12, 3), torch.nn.Sigmoid())
    layers = torch.randn(2, 12, 5, 6)
    average = layers.mean((2, 3), keepdim=True)
    scaled = layers * mixture.layer_attention(average).repeat_interleave(4, dim=1)[..., None, None]
    conv = mixture.reduction_conv.conv
    expected = torch.nn.functional.conv2d(scaled, conv.weight).relu()
    torch.testing.assert_close(mixture(layers, average), expected)


def test_sides_are_looked_up_at_cells_nearby() -> None:
    x = torch.arange(6.0).expand(1, 1, 6, 6)
    boxes = torch.cat([x - 1, x.transpose(2, 3) - 1, x + 1, x.transpose(2, 3) + 1], dim=1)
    offsets = torch.zeros(1, 8, 6, 6)
    assert torch.equal(look_up(boxes, offsets), boxes)
    offsets[:, 5] = 1.5  # the right side is that of a cell one and a half further right
    assert look_up(boxes, offsets)[0, :, 2, 2].tolist() == [1.0, 1.0, 4.5, 3.0]
    offsets[:, 5] = -3.0  # too far left: the box would turn inside out
    assert torch.equal(look_up(boxes, offsets)[0, :, 2, 4], boxes[0, :, 2, 4])


@pytest.mark.parametrize("epoch", [0, 3, 4])
def test_assigner_and_loss_change_after_the_first_epochs(epoch: int) -> None:
    head = make("TOODHead")
    head.epoch = epoch
    called = []
    for name in ("assigner", "alignment_assigner"):
        part = getattr(head, name)
        part.assign = lambda *args, name=name, plain=part.assign: called.append(name) or plain(*args)
    losses = head.loss(feats(), batch())
    assert called == ["assigner" if epoch < 4 else "alignment_assigner"]
    sum(losses.values()).backward()
    assert all(torch.isfinite(p.grad).all() for p in head.parameters())


def test_aligned_epochs_learn_from_no_objects() -> None:
    head = make("TOODHead", train_cfg={**TOOD, "initial_epoch": 0})
    losses = head.loss(feats(), batch(BOXES[:0]))
    assert losses["loss_bbox"] == 0
    assert torch.isfinite(losses["loss_cls"])


def test_best_aligned_positive_has_the_highest_overlap_of_its_object() -> None:
    head = make("TOODHead", train_cfg={**TOOD, "initial_epoch": 0})
    output = head.outputs(feats())
    output.values["box"].data[0] = output.priors
    targets = head.targets(output, batch(BOXES[:1]))
    assert len(targets.positive) == 5
    quality = aligned(targets)
    overlaps = bbox_overlaps(output.rows("box", targets.positive), targets.boxes, is_aligned=True)
    assert quality.argmax() == (output["cls"][0, targets.positive, 0] * overlaps**6).argmax()
    metric = output["cls"][0, targets.positive, 0] * overlaps**6
    torch.testing.assert_close(quality, metric / (metric.max() + 1e-7) * overlaps.max())


@pytest.mark.parametrize("anchor_type", ["anchor_free", "anchor_based"])
def test_boxes_start_around_their_cells(anchor_type: str) -> None:
    head = make("TOODHead", anchor_type=anchor_type)
    for layer in (head.tood_reg, head.reg_offset_module[2]):
        torch.nn.init.zeros_(layer.weight)
    output = head.outputs(feats())
    side = output.priors[:, 2:] - output.priors[:, :2]
    expected = torch.cat([output.priors[:, :2], output.priors[:, 2:]], dim=1)
    if anchor_type == "anchor_free":
        middle, reach = (output.priors[:, :2] + output.priors[:, 2:]) / 2, side / 4
        expected = torch.cat([middle - reach, middle + reach], dim=1)
    torch.testing.assert_close(output["box"][0], expected)


def test_unknown_settings_of_tood_are_refused() -> None:
    with pytest.raises(ValueError, match="anchor_type must be one of anchor_free, anchor_based, got 'points'"):
        make("TOODHead", anchor_type="points")
    with pytest.raises(ValueError, match="needs initial_assigner"):
        make("TOODHead", train_cfg={"assigner": TOOD["assigner"]})
