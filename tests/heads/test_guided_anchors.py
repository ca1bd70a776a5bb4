"""Guided anchoring: locations, shapes, and what is done with them."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from dense_settings import HEADS as SETTINGS
from dense_settings import SIZES, TEST
from torch import Tensor

from raydet.assignment.region import location_targets
from raydet.geometry.priors.grid import grid_points
from raydet.heads.settings import Prediction
from raydet.registry import HEADS
from raydet.structures import Batch, GroundTruth, ImageMeta

META = ImageMeta.from_dict({"img_shape": (64, 96)})
NAMES = ("GuidedAnchorHead", "GARetinaHead", "GARPNHead")


def feats(num: int = 1) -> list[Tensor]:
    return [torch.randn(num, 8, h, w, generator=torch.Generator().manual_seed(h)) for h, w in SIZES]


def batch(boxes: list[list[float]], labels: list[int]) -> Batch:
    return Batch(torch.zeros(1, 3, 64, 96), [META], [GroundTruth(torch.tensor(boxes), torch.tensor(labels))])


def make(name: str, **changes: Any) -> Any:
    torch.manual_seed(0)
    head = HEADS.build({"type": name, **SETTINGS[name], **changes})
    head.init_weights()
    return head


def locations(boxes: list[list[float]], offset: list[int]) -> tuple[Tensor, Tensor]:
    cells = grid_points((8, 8), (1, 1), 0, torch.float32, "cpu")
    found = location_targets(cells, (8, 8), torch.tensor(boxes).view(-1, 4), torch.tensor(offset), 0.25, 0.5)
    return found[0].view(8, 8), found[1].view(8, 8)


def test_locations_learn_the_middle_of_objects_and_nothing_around_it() -> None:
    wanted, weights = locations([[0.0, 0.0, 8.0, 8.0]], [0])
    assert wanted.nonzero().tolist() == [[y, x] for y in (3, 4, 5) for x in (3, 4, 5)]
    assert (weights[wanted] == 1).all()
    ring = torch.zeros(8, 8, dtype=torch.bool)
    ring[2:7, 2:7] = True
    assert (weights[ring & ~wanted] == 0).all()
    assert (weights[~ring] == 0.1).all()


@pytest.mark.parametrize(("offset", "weight"), [(1, 0.0), (-1, 0.0), (2, 0.1)])
def test_objects_of_the_next_levels_are_ignored(offset: int, weight: float) -> None:
    wanted, weights = locations([[0.0, 0.0, 8.0, 8.0]], [offset])
    assert not wanted.any()
    assert torch.isclose(weights[4, 4], torch.tensor(weight))


def test_surroundings_of_a_later_object_silence_the_middle_of_an_earlier_one() -> None:
    wanted, weights = locations([[3.0, 3.0, 5.0, 5.0], [0.0, 2.0, 8.0, 10.0]], [0, 0])
    assert wanted[4, 4]
    assert weights[4, 4] == 0


@pytest.mark.parametrize("name", NAMES)
def test_anchors_have_the_predicted_shape(name: str) -> None:
    head = make(name)
    head.conv_shape.weight.data.zero_()
    head.conv_shape.bias.data = torch.tensor([2.0, 0.5]).log()
    anchors = head.outputs(feats(2)).priors
    sides = anchors[..., 2:] - anchors[..., :2]
    torch.testing.assert_close(sides[:, :96], torch.tensor([64.0, 16.0]).expand(2, 96, 2))


@pytest.mark.parametrize("name", NAMES)
def test_classes_and_boxes_do_not_shape_anchors(name: str) -> None:
    head = make(name)
    output = head.outputs(feats())
    (output["cls"].sum() + output["box"].sum()).backward()
    assert head.conv_shape.weight.grad is None


def test_unlikely_places_propose_nothing_outside_training() -> None:
    head = make("GARPNHead", loc_filter_thr=0.5)
    output = head.outputs(feats())
    count = len(head.propose(output, [META], head.test_config)[0])
    assert count > 0
    head.eval()
    assert head.propose(output, [META], head.test_config)[0].shape == (0, 5)
    assert len(make("GARetinaHead", loc_filter_thr=0.5).eval().predict(feats(), [META])[0]) == 0


def test_proposals_are_limited_per_level_and_suppressed_across_levels() -> None:
    head = make("GARPNHead")
    boxes = torch.tensor([[0.0, 0, 10, 10], [20, 0, 30, 10], [40, 0, 50, 10], [0, 0, 10, 11]])
    scores, levels = torch.tensor([0.9, 0.8, 0.7, 0.6]), torch.tensor([0, 0, 0, 1])

    def kept(**settings: Any) -> list[float]:
        config = Prediction.read({**TEST, **settings})
        return [round(score, 1) for score in head.suppress(boxes, scores, levels, config)[:, 4].tolist()]

    assert kept() == [0.9, 0.8, 0.7, 0.6]
    assert kept(nms_post=2) == [0.9, 0.8, 0.6]
    assert kept(nms_post=2, nms_across_levels=True) == [0.9, 0.8]
    assert kept(nms_post=2, max_per_img=1) == [0.9]


def test_losses_of_proposals_have_names_of_their_own() -> None:
    losses, proposals = make("GARPNHead").loss_and_proposals(
        feats(), batch([[10.0, 8.0, 50.0, 40.0]], [2]), Prediction.read(TEST)
    )
    assert set(losses) == {"loss_rpn_cls", "loss_rpn_bbox", "loss_anchor_shape", "loss_anchor_loc"}
    assert len(proposals[0]) > 0
