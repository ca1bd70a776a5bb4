from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from raydet.evaluation import average_precision


@pytest.mark.parametrize(
    ("mode", "expected"),
    [("area", 0.5 * 1.0 + 0.5 * 2 / 3), ("11points", (6 * 1.0 + 5 * 2 / 3) / 11)],
)
def test_average_precision_of_a_hit_a_miss_and_a_hit_is_exact(mode, expected):
    recall, precision = np.array([0.5, 0.5, 1.0]), np.array([1.0, 0.5, 2 / 3])
    assert average_precision(recall, precision, mode) == pytest.approx(expected, abs=1e-6)


def test_average_precision_with_scales_gives_one_value_per_scale():
    recall, precision = np.array([[1.0], [0.0]]), np.array([[1.0], [0.0]])
    values = average_precision(recall, precision)
    np.testing.assert_array_equal(values, np.array([1.0, 0.0], dtype=np.float32))


@pytest.mark.parametrize("mode", ["area", "11points"])
def test_average_precision_without_detections_is_zero(mode):
    assert average_precision(np.zeros(0), np.zeros(0), mode) == 0


def test_average_precision_with_unknown_mode_is_refused():
    with pytest.raises(ValueError, match="12points"):
        average_precision(np.zeros(1), np.zeros(1), "12points")


@settings(max_examples=25, deadline=None)
@given(st.lists(st.booleans(), max_size=30), st.integers(1, 30))
def test_average_precision_lies_between_zero_and_one(hits, num_gts):
    tp = np.cumsum(hits)
    num_gts = max(num_gts, int(tp[-1]) if len(tp) else 0)
    ap = average_precision(tp / num_gts, tp / np.arange(1, len(hits) + 1))
    assert -1e-6 <= ap <= 1 + 1e-6
