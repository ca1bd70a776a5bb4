"""RepPoints: sets of points, the boxes they stand for, and what they learn."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from dense_settings import HEADS as SETTINGS
from dense_settings import SIZES
from torch import Tensor

from raydet.heads.dense.point_sets import boxes_around, grids_in_boxes, kernel_places
from raydet.registry import HEADS
from raydet.structures import Batch, GroundTruth, ImageMeta

POINTS = torch.tensor([[1.0, 10.0, 2.0, 30.0, 6.0, 20.0, 3.0, 20.0, 9.0, 70.0]])


def feats() -> list[Tensor]:
    return [torch.randn(1, 8, h, w, generator=torch.Generator().manual_seed(h)) for h, w in SIZES]


def batch(boxes: list[list[float]], labels: list[int]) -> Batch:
    truth = GroundTruth(torch.tensor(boxes), torch.tensor(labels))
    return Batch(torch.zeros(1, 3, 64, 96), [ImageMeta.from_dict({"img_shape": (64, 96)})], [truth])


def make(**changes: Any) -> Any:
    torch.manual_seed(0)
    head = HEADS.build({"type": "RepPointsHead", **SETTINGS["RepPointsHead"], **changes})
    head.init_weights()
    return head


def test_minmax_spans_all_points_and_partial_minmax_the_first_four() -> None:
    assert boxes_around(POINTS, "minmax").tolist() == [[10, 1, 70, 9]]
    assert boxes_around(POINTS, "partial_minmax").tolist() == [[10, 1, 30, 6]]


def test_moment_goes_as_far_as_the_deviation_times_the_learned_growth() -> None:
    box = boxes_around(POINTS, "moment", torch.tensor([2.0, 1.0]).log())[0]
    middle = torch.tensor([30.0, 4.2])
    torch.testing.assert_close((box[:2] + box[2:]) / 2, middle)
    deviation = POINTS.view(-1, 2).std(dim=0).flip(0)
    torch.testing.assert_close(box[2:] - middle, deviation * torch.tensor([2.0, 1.0]))


def test_grids_fill_moved_boxes_row_by_row() -> None:
    deltas = torch.tensor([0.5, 0.0, 0.0, math.log(2)]).view(1, 4, 1, 1)
    points, boxes = grids_in_boxes(deltas, torch.tensor([-2.0, -1, 2, 1]).view(1, 4, 1, 1), 3)
    torch.testing.assert_close(boxes.flatten(), torch.tensor([0.0, -2.0, 4.0, 2.0]))
    rows = points.view(3, 3, 2)
    torch.testing.assert_close(rows[:, 0, 0], torch.tensor([-2.0, 0.0, 2.0]))
    torch.testing.assert_close(rows[0, :, 1], torch.tensor([0.0, 2.0, 4.0]))


def test_taps_of_a_kernel_are_y_before_x() -> None:
    assert kernel_places(3, POINTS).flatten().tolist()[:8] == [-1, -1, -1, 0, -1, 1, 0, -1]


@pytest.mark.parametrize("method", ["minmax", "partial_minmax", "moment"])
@pytest.mark.parametrize("options", [{}, {"center_init": False}, {"use_grid_points": True}])
def test_every_kind_of_points_trains_and_detects(method: str, options: dict[str, Any]) -> None:
    head = make(transform_method=method, **options)
    losses = head.loss(feats(), batch([[10.0, 8.0, 50.0, 40.0]], [1]))
    assert set(losses) == {"loss_cls", "loss_pts_init", "loss_pts_refine"}
    sum(losses.values()).backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in head.parameters())
    found = head.predict(feats(), [ImageMeta.from_dict({"img_shape": (64, 96)})])[0]
    assert (found.boxes >= 0).all()
    assert (found.boxes <= torch.tensor([96.0, 64.0, 96.0, 64.0])).all()


def test_evaluation_returns_boxes_in_cells() -> None:
    head = make().eval()
    boxes = head(feats())[1]
    assert [tuple(level.shape) for level in boxes] == [(1, 4, h, w) for h, w in SIZES]
    pixels = boxes[1][0, :, 2, 3] * 16 + torch.tensor([48.0, 32.0, 48.0, 32.0])
    torch.testing.assert_close(head.outputs(feats())["box"][0, 8 * 12 + 2 * 6 + 3], pixels)
    assert len(head.train()(feats())) == 3


def test_what_is_seen_at_points_moves_them_a_little() -> None:
    sizes = {}
    for factor in (0.1, 0.2):
        head = make(gradient_mul=factor)
        head.outputs(feats())["cls"].sum().backward()
        sizes[factor] = head.reppoints_pts_init_out.weight.grad.abs().sum()
    torch.testing.assert_close(sizes[0.2], 2 * sizes[0.1])


def test_first_points_may_be_matched_as_standard_boxes() -> None:
    stage = {"assigner": {"type": "MaxIoUAssigner", "pos_iou_thr": 0.5, "neg_iou_thr": 0.4, "min_pos_iou": 0}}
    head = make(train_cfg={"init": stage, "refine": stage})
    assert head.loss(feats(), batch([[16.0, 16.0, 48.0, 48.0]], [1]))["loss_pts_init"] > 0


@pytest.mark.parametrize(
    ("changes", "message"),
    [({"num_points": 8}, "odd square number"), ({"transform_method": "median"}, "choose from minmax")],
)
def test_senseless_settings_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make(**changes)
