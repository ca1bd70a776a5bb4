import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from raydet_ops import ms_deform_attn
from refusals import result_or_refusal

NAMES = ("value", "spatial_shapes", "sampling_locations", "attention_weights")
GOOD = {
    "value": torch.zeros(2, 10, 2, 3),
    "spatial_shapes": torch.tensor([[2, 3], [2, 2]]),
    "sampling_locations": torch.zeros(2, 4, 2, 2, 1, 2),
    "attention_weights": torch.zeros(2, 4, 2, 2, 1),
}


@st.composite
def changed(draw):
    """Arguments of which one has another size, rank, dtype or device."""
    name = draw(st.sampled_from(NAMES))
    value = GOOD[name]
    kind = draw(st.sampled_from(["size", "rank", "dtype", "device"]))
    if kind == "size":
        axis = draw(st.integers(0, value.ndim - 1))
        value = torch.cat([value, value], axis) if draw(st.booleans()) else value.narrow(axis, 0, 1)
    elif kind == "rank":
        value = draw(st.sampled_from([value[0], value[None]]))
    elif kind == "dtype":
        value = value.to(draw(st.sampled_from([torch.bool, torch.int32, torch.float64, torch.complex64])))
    else:
        value = value.to("meta")
    return {**GOOD, name: value}


@settings(max_examples=200, deadline=None)
@given(changed())
def test_wrong_arguments_are_named(arguments):
    result, refusal = result_or_refusal(ms_deform_attn, **arguments)
    if result is None:
        assert any(name in refusal for name in NAMES)
    else:
        num_images, _, num_heads, channels = arguments["value"].shape
        assert result.shape == (num_images, arguments["attention_weights"].shape[1], num_heads * channels)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(*[st.integers(-(2**40), 2**40)] * 2), min_size=2, max_size=2))
def test_the_kernel_reads_no_map_beyond_the_values(shapes):
    """The kernel on a GPU meets shapes that nobody has checked, as checking them would wait for the GPU."""
    arguments = {**GOOD, "spatial_shapes": torch.tensor(shapes), "sampling_locations": torch.rand(2, 4, 2, 2, 1, 2)}
    with pytest.raises(ValueError, match="spatial_shapes"):
        ms_deform_attn(**arguments)
    if torch.ops.raydet.ms_deform_attn.default.has_kernel_for_dispatch_key(torch._C.DispatchKey.CPU):
        assert not torch.ops.raydet.ms_deform_attn(*arguments.values()).any()
