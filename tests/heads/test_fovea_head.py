"""FoveaBox: which cells see an object, and what they learn about it."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from dense_settings import HEADS as SETTINGS
from dense_settings import SIZES
from torch import Tensor

from raydet.registry import HEADS
from raydet.structures import Batch, GroundTruth, ImageMeta


def feats() -> list[Tensor]:
    return [torch.randn(1, 8, h, w, generator=torch.Generator().manual_seed(h)) for h, w in SIZES]


def batch(boxes: list[list[float]], labels: list[int]) -> Batch:
    truth = GroundTruth(torch.tensor(boxes), torch.tensor(labels))
    return Batch(torch.zeros(1, 3, 64, 96), [ImageMeta.from_dict({"img_shape": (64, 96)})], [truth])


def make(**changes: Any) -> Any:
    torch.manual_seed(0)
    head = HEADS.build({"type": "FoveaHead", **SETTINGS["FoveaHead"], **changes})
    head.init_weights()
    return head


def cells(head: Any, given: Batch) -> list[Tensor]:
    output = head.outputs(feats())
    labels = head.targets(output, given).labels[0]
    return [level.view(size) for level, size in zip(output.layout.split(labels, 0), SIZES, strict=True)]


def test_the_middle_of_an_object_sees_it_on_the_levels_of_its_size() -> None:
    low, high = cells(make(sigma=0.5), batch([[16.0, 16.0, 48.0, 48.0]], [2]))
    assert (low == 2).nonzero().tolist() == [[y, x] for y in (3, 4) for x in (3, 4)]
    assert (high == 3).all()


def test_an_object_in_range_of_two_levels_is_seen_on_both() -> None:
    low, high = cells(make(), batch([[16.0, 8.0, 60.0, 52.0]], [1]))
    assert (low == 1).any()
    assert (high == 1).any()


def test_the_smaller_of_two_objects_wins() -> None:
    low, _ = cells(make(sigma=1.0), batch([[24.0, 24.0, 40.0, 40.0], [8.0, 8.0, 48.0, 48.0]], [0, 1]))
    assert (low[3:5, 3:5] == 0).all()
    assert low[2, 2] == 1


def test_a_tiny_object_beyond_the_last_cell_is_seen_by_it() -> None:
    low, _ = cells(make(), batch([[84.0, 52.0, 95.9, 63.9]], [1]))
    assert low[-1, -1] == 1


def test_decoded_targets_are_the_objects() -> None:
    head = make()
    output = head.outputs(feats())
    given = batch([[10.0, 12.0, 40.0, 44.0]], [0])
    targets = head.targets(output, given)
    rows = targets.positive
    output["box"].data[0, rows] = head.box_pairs(output, targets)[1]
    boxes = head.decode(output, 0, rows, (64, 96))
    torch.testing.assert_close(boxes, given.truths[0].boxes.expand(len(rows), -1))


@pytest.mark.parametrize("with_deform", [False, True])
def test_alignment_has_wide_towers_for_classes(with_deform: bool) -> None:
    head = make(with_deform=with_deform)
    assert head.conv_cls.in_channels == (32 if with_deform else 8)
    assert ("feature_adaption.conv_offset.weight" in head.state_dict()) == with_deform
