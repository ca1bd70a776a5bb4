import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from raydet_ops import carafe, corner_pool
from refusals import result_or_refusal

SIZES = st.lists(st.integers(0, 4), min_size=2, max_size=5).map(tuple)
DTYPES = st.sampled_from([torch.float32, torch.float32, torch.float64, torch.float16, torch.int64])
DEVICES = st.sampled_from(["cpu", "cpu", "cpu", "meta"])


@settings(max_examples=200, deadline=None)
@given(SIZES, SIZES, DTYPES, DTYPES, DEVICES, st.integers(-1, 4), st.integers(-1, 3), st.integers(-1, 3))
def test_wrong_arguments_of_carafe_are_named(size, mask_size, dtype, mask_dtype, device, kernel, groups, scale):
    features, masks = torch.zeros(size, dtype=dtype), torch.zeros(mask_size, dtype=mask_dtype, device=device)
    names = ("features", "masks", "kernel_size", "group_size", "scale_factor")
    result, refusal = result_or_refusal(carafe, features, masks, kernel, groups, scale)
    if result is None:
        assert any(name in refusal for name in names)
    else:
        assert result.shape == (*size[:2], *mask_size[2:])


@settings(max_examples=50, deadline=None)
@given(SIZES, DTYPES, st.sampled_from(["top", "bottom", "left", "right", "up", ""]))
def test_wrong_arguments_of_corner_pool_are_named(size, dtype, mode):
    result, refusal = result_or_refusal(corner_pool, torch.zeros(size, dtype=dtype), mode)
    if result is None:
        assert "x must" in refusal or "mode must" in refusal
    else:
        assert result.shape == size
