from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from raydet.evaluation import np_bbox_overlaps

FIRST = np.array([[0, 0, 10, 10]])
SECOND = np.array([[0, 0, 10, 10], [5, 0, 15, 10], [20, 20, 30, 30]])


@pytest.mark.parametrize(
    ("mode", "legacy", "expected"),
    [
        ("iou", False, [1, 1 / 3, 0]),
        ("iof", False, [1, 1 / 2, 0]),
        ("iou", True, [1, 66 / 176, 0]),
    ],
)
def test_np_bbox_overlaps_of_three_positions_is_exact(mode, legacy, expected):
    overlaps = np_bbox_overlaps(FIRST, SECOND, mode, use_legacy_coordinate=legacy)
    np.testing.assert_allclose(overlaps, [expected], rtol=1e-6)


@pytest.mark.parametrize("shape", [(0, 3), (2, 0), (0, 0)])
def test_np_bbox_overlaps_of_nothing_has_the_right_shape(shape):
    boxes = [np.zeros((n, 4)) for n in shape]
    assert np_bbox_overlaps(*boxes).shape == shape


def test_np_bbox_overlaps_with_unknown_mode_is_refused():
    with pytest.raises(ValueError, match="giou"):
        np_bbox_overlaps(FIRST, SECOND, "giou")


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(*[st.integers(0, 40)] * 4), min_size=1, max_size=8))
def test_np_bbox_overlaps_is_symmetric_and_one_with_itself(corners):
    boxes = np.array([[x, y, x + w + 1, y + h + 1] for x, y, w, h in corners])
    overlaps = np_bbox_overlaps(boxes, boxes)
    np.testing.assert_allclose(overlaps, overlaps.T)
    np.testing.assert_allclose(overlaps.diagonal(), 1)
