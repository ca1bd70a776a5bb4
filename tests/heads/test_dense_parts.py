"""Layout, candidates and settings of dense heads."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import settings as limits
from hypothesis import strategies as st

from raydet.heads.dense.candidates import select_candidates, suppress
from raydet.heads.dense.layout import LevelLayout, flatten_levels
from raydet.heads.dense.rpn import RPNHead
from raydet.heads.settings import DenseTraining, Prediction
from raydet.structures import Detections

LAYOUT = LevelLayout(((1, 2), (1, 1)), (2, 1))


def test_layout_splits_and_names_levels() -> None:
    assert LAYOUT.num_per_level == [4, 1]
    assert LAYOUT.starts == [0, 4]
    assert LAYOUT.level_of().tolist() == [0, 0, 0, 0, 1]
    assert [part.shape[1] for part in LAYOUT.split(torch.zeros(2, 5, 3))] == [4, 1]


@limits(max_examples=25, deadline=None)
@given(st.integers(1, 3), st.integers(1, 3), st.integers(1, 4), st.integers(1, 4))
def test_flat_index_is_row_column_prior(num_priors: int, dims: int, height: int, width: int) -> None:
    level = torch.arange(num_priors * dims * height * width).view(1, num_priors * dims, height, width).float()
    flat = flatten_levels([level], dims)
    for a in range(num_priors):
        at = (height - 1) * width * num_priors + (width - 1) * num_priors + a
        assert torch.equal(flat[0, at], level[0, a * dims : (a + 1) * dims, height - 1, width - 1])


@pytest.mark.parametrize("num_priors", [(2, 2), (2, 1)])
def test_levels_follow_one_another_on_the_flat_axis(num_priors: tuple[int, int]) -> None:
    maps = [torch.rand(2, 3 * count, size, size + 1) for count, size in zip(num_priors, (4, 2), strict=True)]
    flat = flatten_levels(maps, 3)
    assert torch.equal(flat, torch.cat([flatten_levels([level], 3) for level in maps], dim=1))


def test_every_level_has_its_own_contingent_and_ties_go_by_index() -> None:
    scores = torch.tensor([[0.5, 0.1], [0.5, 0.0], [0.9, 0.5], [0.2, 0.5], [0.3, 0.0]])
    picked = select_candidates(scores, LAYOUT, score_thr=0.05, nms_pre=3)
    assert picked.priors.tolist() == [2, 0, 1, 4]
    assert picked.labels.tolist() == [0, 0, 0, 0]
    assert picked.scores.tolist() == pytest.approx([0.9, 0.5, 0.5, 0.3])


def test_without_limit_all_candidates_above_the_threshold_stay() -> None:
    picked = select_candidates(torch.full((5, 2), 0.5), LAYOUT, score_thr=0.4, nms_pre=-1)
    assert len(picked.scores) == 10


def test_suppress_works_within_each_class_and_keeps_the_best() -> None:
    boxes = torch.tensor([[0.0, 0, 10, 10], [0, 0, 10, 9], [0, 0, 10, 9]])
    found = Detections(boxes, torch.tensor([0.5, 0.9, 0.8]), torch.tensor([0, 0, 1]))
    config = Prediction(nms={"type": "nms", "iou_threshold": 0.5}, max_per_img=2)
    kept = suppress(found, config)
    assert kept.labels.tolist() == [0, 1]
    assert kept.scores.tolist() == pytest.approx([0.9, 0.8])


def test_settings_keep_unknown_keys_for_heads_that_have_their_own() -> None:
    assert DenseTraining.read({"pos_weight": 2, "neg_pos_ratio": 3}).extra == {"neg_pos_ratio": 3}


def test_settings_refuse_what_is_no_dict() -> None:
    with pytest.raises(TypeError, match="expected a dict of settings"):
        Prediction.read(["nms"])  # type: ignore[arg-type]


def test_old_names_of_proposal_settings_are_understood() -> None:
    with pytest.warns(UserWarning, match="old names"):
        config = Prediction.read({"nms_thr": 0.7, "max_num": 9})
    assert (config.nms, config.max_per_img) == ({"type": "nms", "iou_threshold": 0.7}, 9)


def test_old_and_new_name_that_disagree_are_refused() -> None:
    with (
        pytest.warns(UserWarning, match="old names"),
        pytest.raises(ValueError, match=r"max_num=9 and max_per_img=8 disagree"),
    ):
        Prediction.read({"max_num": 9, "max_per_img": 8})


def test_rpn_with_classes_is_refused() -> None:
    with pytest.raises(ValueError, match="knows one class"):
        RPNHead(8, num_classes=3)


def test_rpn_with_several_convolutions_has_the_keys_of_2x() -> None:
    anchors = {"type": "AnchorGenerator", "scales": [4], "ratios": [1.0], "strides": [8]}
    keys = RPNHead(4, num_convs=2, feat_channels=4, anchor_generator=anchors).state_dict()
    assert [key for key in keys if key.endswith("weight")] == [
        "rpn_conv.0.conv.weight",
        "rpn_conv.1.conv.weight",
        "rpn_cls.weight",
        "rpn_reg.weight",
    ]
