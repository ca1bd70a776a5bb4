from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from raydet_ops import SimpleRoIAlign, deform_roi_pool, point_sample, prroi_pool, roi_align, roi_pool

shapes = st.lists(st.integers(0, 5), min_size=0, max_size=5).map(tuple)
dtypes = st.sampled_from([torch.float32, torch.float64, torch.float16, torch.int64, torch.bool])
devices = st.sampled_from(["cpu", "meta"])
tensors = st.builds(lambda *args: torch.zeros(args[0], dtype=args[1], device=args[2]), shapes, dtypes, devices)
sizes = st.one_of(st.integers(-2, 3), st.tuples(st.integers(-2, 3), st.integers(-2, 3)), st.just((1, 2, 3)))

POOLS = {
    "roi_align": roi_align,
    "roi_pool": roi_pool,
    "prroi_pool": prroi_pool,
    "deform_roi_pool": lambda input, rois, size: deform_roi_pool(input, rois, None, size),
    "SimpleRoIAlign": lambda input, rois, size: SimpleRoIAlign(size, 1.0)(input, rois),
}


def words_of_refusal(call):
    """The message of the refusal of arguments, or what came out."""
    try:
        return call()
    except (ValueError, TypeError) as error:
        return str(error)


@pytest.mark.parametrize("name", POOLS)
@settings(max_examples=60, deadline=None)
@given(input=tensors, rois=tensors, size=sizes)
def test_pooling_of_anything_pools_or_names_what_is_wrong(name, input, rois, size):
    answer = words_of_refusal(lambda: POOLS[name](input, rois, size))
    if isinstance(answer, str):
        assert any(word in answer for word in ("input", "rois", "output_size"))
    else:
        assert answer.shape[:2] == (len(rois), input.shape[1])


@settings(max_examples=60, deadline=None)
@given(offset=tensors)
def test_offsets_that_do_not_fit_are_named(offset):
    input, rois = torch.zeros(1, 2, 4, 4), torch.zeros(3, 5)
    answer = words_of_refusal(lambda: deform_roi_pool(input, rois, offset, 2))
    assert "offset" in answer if isinstance(answer, str) else answer.shape == (3, 2, 2, 2)


@settings(max_examples=60, deadline=None)
@given(input=tensors, points=tensors)
def test_points_that_do_not_fit_are_named(input, points):
    answer = words_of_refusal(lambda: point_sample(input, points))
    if isinstance(answer, str):
        assert "input" in answer or "points" in answer
    else:
        assert answer.shape[:2] == input.shape[:2]
