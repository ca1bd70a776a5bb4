"""YOLACT: hard negatives, masks mixed from prototypes, a semantic map that is learned beside them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from dense_settings import HEADS as SETTINGS

from raydet.heads.dense.mining import hardest_loss
from raydet.registry import HEADS
from raydet.structures import Batch, BitmapMasks, GroundTruth, ImageMeta

PROTONET = {
    "num_classes": 3,
    "in_channels": 8,
    "proto_channels": (8, None, 8, 4),
    "proto_kernel_sizes": (3, -2, -2, 1),
    "num_protos": 4,
}


def make(name: str, **settings: Any) -> Any:
    torch.manual_seed(0)
    head = HEADS.build({"type": name, **settings})
    head.init_weights()
    return head


def batch(num_boxes: int = 2) -> Batch:
    corner = torch.arange(num_boxes)[:, None] * torch.tensor([20.0, 10.0]) + 4
    boxes = torch.cat([corner, corner + 30], dim=1)
    masks = np.zeros((num_boxes, 64, 96), dtype=np.uint8)
    for mask, (x, y, x2, y2) in zip(masks, boxes.int().tolist(), strict=True):
        mask[y:y2, x:x2] = 1
    truth = GroundTruth(boxes, torch.arange(num_boxes) % 3, BitmapMasks(masks, 64, 96))
    return Batch(torch.zeros(2, 3, 64, 96), [meta()] * 2, [truth] * 2)


def meta(**changes: Any) -> ImageMeta:
    return ImageMeta.from_dict({"img_shape": (64, 96), **changes})


def feats() -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return [torch.randn(2, 8, h, w, generator=generator) for h, w in ((8, 12), (4, 6))]


def box_targets(num_boxes: int) -> tuple[Any, Any]:
    head = make("YOLACTHead", **SETTINGS["YOLACTHead"])
    output = head.outputs(feats())
    targets = head.targets(output, batch(num_boxes))
    return output.rows("coefficients", targets.positive), targets


def test_negatives_of_the_highest_loss_are_added() -> None:
    loss = torch.tensor([[5.0, 1.0, 3.0, 2.0], [1.0, 2.0, 3.0, 4.0]])
    positive = torch.tensor([[True, False, False, False], [False] * 4])
    assert hardest_loss(loss, positive, torch.tensor([2, 1])) == 5 + 3 + 2 + 4


def test_without_positives_all_negatives_learn() -> None:
    head = make("YOLACTHead", **SETTINGS["YOLACTHead"])
    output = head.outputs(feats())
    targets = head.targets(output, batch(0))
    loss = head.class_loss(output, targets, 1.0)
    everything = torch.nn.functional.cross_entropy(output["cls"].flatten(0, 1), targets.labels.flatten())
    torch.testing.assert_close(loss, everything * targets.labels.numel())


def test_sampler_beside_hard_negatives_is_ignored() -> None:
    sampler = {"type": "RandomSampler", "num": 6, "pos_fraction": 0.5, "add_gt_as_proposals": False}
    settings = SETTINGS["YOLACTHead"]
    settings = {**settings, "train_cfg": {**settings["train_cfg"], "sampler": sampler}}
    for use_ohem in (True, False):
        assert make("YOLACTHead", **settings, use_ohem=use_ohem).sampling != use_ohem


@pytest.mark.parametrize("num_boxes", [0, 2])
def test_mask_loss_is_finite_and_reaches_prototypes_and_coefficients(num_boxes: int) -> None:
    head = make("YOLACTProtonet", **PROTONET)
    coefficients, targets = box_targets(num_boxes)
    (loss,) = head.loss(feats()[0], coefficients, targets, batch(num_boxes)).values()
    coefficients.retain_grad()
    loss.backward()
    assert torch.isfinite(loss)
    assert (loss > 0) == (num_boxes > 0)
    assert coefficients.grad is not None
    assert [key for key, p in head.named_parameters() if p.grad is None] == []


def test_only_so_many_masks_of_an_image_learn() -> None:
    head = make("YOLACTProtonet", **PROTONET, max_masks_to_train=3)
    assert len(head._drawn(torch.arange(3))) == 3
    drawn = head._drawn(torch.arange(10))
    assert len(drawn.unique()) == 3


def test_masks_end_one_cell_outside_their_boxes() -> None:
    head = make("YOLACTProtonet", **PROTONET)
    boxes = torch.tensor([[24.0, 16.0, 48.0, 32.0]])  # cells 3 to 6 and 2 to 4 of 8 pixels
    mask = head.masks(torch.zeros(4, 8, 12), torch.ones(1, 4), boxes, meta())[0]
    assert torch.equal(mask > 0, torch.nn.functional.pad(torch.ones(4, 5), (2, 5, 1, 3)) > 0)
    assert mask.max() == 0.5


@pytest.mark.parametrize(("rescale", "size"), [(False, (64, 96)), (True, (32, 48))])
def test_masks_are_as_large_as_the_image(rescale: bool, size: tuple[int, int]) -> None:
    box_head, head = make("YOLACTHead", **SETTINGS["YOLACTHead"]), make("YOLACTProtonet", **PROTONET)
    view = meta(ori_shape=(32, 48), scale_factor=2.0)
    found, coefficients = box_head.detect(box_head.outputs(feats()), 0, view, rescale)
    masks = head.predict(head(feats()[0])[0], coefficients, found, view, rescale)
    assert masks.shape == (len(found), *size)
    assert masks.dtype == bool
    assert len(coefficients) == len(found) > 0


def test_protonet_enlarges_by_interpolation_or_transposed_convolution() -> None:
    head = make("YOLACTProtonet", **PROTONET)
    assert head(feats()[0]).shape == (2, 4, 32, 48)
    assert len(make("YOLACTProtonet", **PROTONET, include_last_relu=False).protonet) == 7
    with pytest.raises(ValueError, match="one entry per layer"):
        make("YOLACTProtonet", **{**PROTONET, "proto_channels": (4,)})


@pytest.mark.parametrize("num_boxes", [0, 2])
def test_semantic_head_learns_the_classes_of_the_pixels(num_boxes: int) -> None:
    head = make("YOLACTSegmHead", num_classes=3, in_channels=8)
    (loss,) = head.loss(feats()[0], batch(num_boxes)).values()
    loss.backward()
    assert torch.isfinite(loss)
    assert (loss > 0) == (num_boxes > 0)
    assert head.segm_conv.weight.grad is not None


def test_semantic_head_keeps_the_maps_of_published_weights() -> None:
    head = make("YOLACTSegmHead", num_classes=3, in_channels=8)
    truths = batch(2).truths
    assert truths is not None
    target = head._target(truths[0], torch.zeros(2, 3, 64, 96))
    assert [int(each.sum()) for each in target] == [900, 0, 900]  # class 1, class 2, class 0
