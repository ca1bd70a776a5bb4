import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from raydet_ops import sigmoid_focal_loss, softmax_focal_loss
from refusals import result_or_refusal

SIZES = st.lists(st.integers(0, 3), max_size=3).map(tuple)
DTYPES = st.sampled_from([torch.float32, torch.float64, torch.float16, torch.int64, torch.int32, torch.bool])
DEVICES = st.sampled_from(["cpu", "cpu", "cpu", "meta"])


@st.composite
def tensors(draw):
    return torch.zeros(draw(SIZES), dtype=draw(DTYPES), device=draw(DEVICES))


@pytest.mark.parametrize("function", [sigmoid_focal_loss, softmax_focal_loss])
@settings(max_examples=150, deadline=None)
@given(tensors(), tensors(), st.none() | tensors(), st.sampled_from(["none", "mean", "sum", "median"]))
def test_wrong_arguments_are_named(function, input, target, weight, reduction):
    result, refusal = result_or_refusal(function, input, target, 2.0, 0.25, weight, reduction)
    if result is None:
        assert any(name in refusal for name in ("input", "target", "weight", "reduction"))
    else:
        assert target.shape == input.shape[:1]
        assert result.ndim == 0 or len(result) == len(input)


@pytest.mark.parametrize("function", [sigmoid_focal_loss, softmax_focal_loss])
@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(-(2**62), 2**62), max_size=4), st.booleans())
def test_classes_out_of_range_are_background(function, classes, weighted):
    weight = torch.rand(3) if weighted else None
    logits = torch.randn(len(classes), 3, requires_grad=True)
    loss = function(logits, torch.tensor(classes, dtype=torch.long), weight=weight, reduction="sum")
    loss.backward()
    assert torch.isfinite(loss)


@pytest.mark.parametrize("input", [None, [[1.0]], 3.0])
def test_what_is_no_tensor_is_named(input):
    with pytest.raises(TypeError, match="input must be a tensor"):
        sigmoid_focal_loss(input, torch.zeros(1).long())
