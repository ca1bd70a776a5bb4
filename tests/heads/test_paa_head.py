"""PAA: the mixture that picks positives, and the votes on where a box is."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from dense_settings import HEADS as SETTINGS
from dense_settings import SIZES
from torch import Tensor

from raydet.heads.dense.layout import LevelLayout
from raydet.heads.dense.mixture import better_group, places, probable
from raydet.heads.dense.paa import voted
from raydet.registry import HEADS
from raydet.structures import Batch, Detections, GroundTruth, ImageMeta

META = ImageMeta.from_dict({"img_shape": (64, 96)})
BOXES = torch.tensor([[10.0, 8.0, 70.0, 56.0], [40.0, 20.0, 70.0, 50.0]])


def rows(*values: list[float]) -> Tensor:
    width = max(map(len, values))
    return torch.tensor([row + [torch.inf] * (width - len(row)) for row in values], dtype=torch.float64)


def make(**changes: Any) -> Any:
    torch.manual_seed(0)
    head = HEADS.build({"type": "PAAHead", **SETTINGS["PAAHead"], **changes})
    head.init_weights()
    return head


def feats() -> list[Tensor]:
    generator = torch.Generator().manual_seed(0)
    return [torch.randn(1, 8, h, w, generator=generator) for h, w in SIZES]


def batch() -> Batch:
    return Batch(torch.zeros(1, 3, 64, 96), [META], [GroundTruth(BOXES, torch.tensor([0, 2]))])


def test_place_of_a_value_within_its_group() -> None:
    assert places(torch.tensor([3.0, 1.0, 2.0, 0.0]), torch.tensor([5, 2, 5, 5])).tolist() == [2, 0, 1, 0]


# Logarithms of the densities after 2.x's iteration, by hand for two groups that do not touch.
@pytest.mark.parametrize("covariance_type", ["diag", "tied"])
def test_lower_group_is_kept_up_to_its_densest_member(covariance_type: str) -> None:
    low, high = [1.0, 1.9, 2.0, 2.05, 3.0], [11.0, 11.9, 12.0, 12.1, 13.0]
    assert better_group(rows(low + high), covariance_type)[0].tolist() == [True, True, True] + 7 * [False]


def test_rows_are_fitted_each_on_its_own() -> None:
    first, second = [1.0, 1.2, 1.3, 5.0, 5.2], [2.0, 2.1, 9.0]
    together = better_group(rows(first, second))
    assert torch.equal(together[0], better_group(rows(first))[0])
    assert torch.equal(together[1, :3], better_group(rows(second))[0])
    assert not together[1, 3:].any()


def test_single_candidate_has_nothing_to_be_compared_with() -> None:
    assert not better_group(rows([1.0])).any()
    assert probable(torch.zeros(0), *2 * [torch.zeros(0, dtype=torch.long)], topk=9).shape == (0,)


def test_equal_losses_give_a_finite_fit() -> None:
    assert better_group(rows([17.3] * 6)).any()


def test_only_the_best_of_each_level_may_stay_positive() -> None:
    losses = torch.tensor([1.0, 1.1, 1.2, 1.0, 1.1, 1.2])
    kept = probable(losses, torch.zeros(6, dtype=torch.long), torch.tensor([0, 0, 0, 1, 1, 1]), topk=1)
    assert set(kept.nonzero().flatten().tolist()) <= {0, 3}
    assert kept.any()


def test_candidates_that_do_worse_become_background() -> None:
    head = make()
    output = head.outputs(feats())
    found, all_ = head.targets(output, batch()), super(type(head), head).targets(output, batch())
    assert 0 < len(found.positive) < len(all_.positive)
    lost = all_.positive[~torch.isin(all_.positive, found.positive)]
    assert (found.labels.flatten()[lost] == head.num_classes).all()
    assert torch.isin(lost, found.negative).all()
    worst = head.candidate_losses(output, all_).argmax()
    assert all_.positive[worst] in lost


def test_taught_boxes_count_evenly() -> None:
    head = make()
    output = head.outputs(feats())
    targets = head.targets(output, batch())
    own, taught = head.losses(output, targets), head.loss_taught(feats(), targets)
    assert own["loss_cls"] == taught["loss_cls"]
    mean = head.loss_bbox(head.boxes_of(output, targets), targets.boxes)
    torch.testing.assert_close(taught["loss_bbox"], mean)
    assert own["loss_bbox"] < mean


def test_boxes_move_towards_what_overlaps_them_in_their_class() -> None:
    found = Detections(torch.tensor([[0.0, 0.0, 10.0, 10.0]]), torch.tensor([0.9]), torch.tensor([1]))
    boxes = torch.tensor([[0.0, 0.0, 10.0, 10.0], [0.0, 0.0, 11.0, 10.0], [0.0, 0.0, 12.0, 10.0]])
    voters = Detections(boxes, torch.tensor([0.9, 0.9, 0.9]), torch.tensor([1, 1, 0]))
    vote = torch.exp(torch.tensor(-((1 - 10 / 11) ** 2) / 0.025))
    expected = (10 + 11 * vote) / (1 + vote)
    moved = voted(found, voters)
    torch.testing.assert_close(moved.boxes, torch.tensor([[0.0, 0.0, expected, 10.0]]))
    assert (moved.scores, moved.labels) == (found.scores, found.labels)


def test_box_without_area_stays() -> None:
    point = Detections(torch.tensor([[5.0, 5.0, 5.0, 5.0]]), torch.tensor([0.9]), torch.tensor([0]))
    assert torch.equal(voted(point, point).boxes, point.boxes)


def test_all_classes_of_the_best_priors_are_candidates() -> None:
    head = make(test_cfg={**SETTINGS["PAAHead"]["test_cfg"], "nms_pre": 1})
    scores = torch.tensor([[0.3, 0.2, 0.1], [0.1, 0.4, 0.3], [0.2, 0.2, 0.1]])
    picked = head.select(scores, LevelLayout(((1, 2), (1, 1)), (1, 1)))
    assert picked.priors.tolist() == [1, 1, 1, 2, 2, 2]


def test_unknown_covariance_is_refused() -> None:
    with pytest.raises(ValueError, match="covariance_type must be one of diag, spherical, full, tied, got 'round'"):
        make(covariance_type="round")
