"""Whatever the arguments: a result, or an error that names the argument."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from raydet_ops import batched_nms, bbox_overlaps, nms, nms_match, soft_nms

DTYPES = st.sampled_from([torch.float32, torch.float64, torch.float16, torch.int64, torch.bool])
NAMES = ("box", "scores", "dets", "idxs", "offset", "method", "sigma", "mode", "tensors")


@st.composite
def tensors(draw, *usual):
    """Often of the usual shape, else of any; of any type; seldom on another device; with odd values."""
    shape = draw(st.one_of(st.just(usual), st.lists(st.integers(0, 5), max_size=4)))
    values = draw(st.sampled_from([0.0, 1.5, -3.0, 1e30, float("nan"), float("inf"), -float("inf")]))
    base = torch.arange(float(torch.Size(shape).numel())).view(torch.Size(shape)) % 7
    return torch.where(base == 3, values, base).to(draw(DTYPES)).to(draw(st.sampled_from(["cpu"] * 9 + ["meta"])))


def answers_or_names(function, *args, **kwargs):
    message = ""
    try:
        function(*args, **kwargs)
    except (ValueError, TypeError) as error:
        message = str(error)
    assert not message or any(name in message for name in NAMES), message


numbers = st.sampled_from([0.5, 0.0, -1.0, 2.0, float("nan")])
integers = st.sampled_from([0, 1, -1, 2, 7])


@settings(max_examples=150, deadline=None)
@given(tensors(6, 4), tensors(6), numbers, integers, numbers, integers)
def test_nms(boxes, scores, threshold, offset, score_threshold, max_num):
    if "meta" not in (boxes.device.type, scores.device.type) or boxes.device != scores.device:
        answers_or_names(nms, boxes, scores, threshold, offset, score_threshold, max_num)


@settings(max_examples=150, deadline=None)
@given(
    tensors(6, 4),
    tensors(6),
    numbers,
    numbers,
    numbers,
    st.sampled_from(["linear", "gaussian", "naive", "x"]),
    integers,
)
def test_soft_nms(boxes, scores, threshold, sigma, min_score, method, offset):
    if "meta" not in (boxes.device.type, scores.device.type) or boxes.device != scores.device:
        answers_or_names(soft_nms, boxes, scores, threshold, sigma, min_score, method, offset)


@settings(max_examples=150, deadline=None)
@given(tensors(6, 4), tensors(6), tensors(6), integers, integers, st.booleans())
def test_batched_nms(boxes, scores, idxs, split_thr, offset, class_agnostic):
    config = {"iou_threshold": 0.5, "split_thr": split_thr, "offset": offset}
    devices = {boxes.device.type, scores.device.type, idxs.device.type}
    if devices == {"cpu"} or len(devices) > 1:
        answers_or_names(batched_nms, boxes, scores, idxs, config, class_agnostic)


@settings(max_examples=100, deadline=None)
@given(tensors(6, 5), numbers)
def test_nms_match(dets, threshold):
    if dets.device.type == "cpu":
        answers_or_names(nms_match, dets, threshold)


@settings(max_examples=150, deadline=None)
@given(tensors(6, 4), tensors(6, 4), st.sampled_from(["iou", "iof", "giou", "x"]), st.booleans(), integers)
def test_bbox_overlaps(bboxes1, bboxes2, mode, aligned, offset):
    answers_or_names(bbox_overlaps, bboxes1, bboxes2, mode, aligned, offset)


@pytest.mark.parametrize("function", [nms, soft_nms])
def test_lists_are_refused(function):
    with pytest.raises(TypeError, match="boxes"):
        function([[0.0, 0.0, 1.0, 1.0]], [0.5], 0.5)
