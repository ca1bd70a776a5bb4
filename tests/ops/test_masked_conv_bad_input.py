import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from raydet_ops import masked_conv2d, tin_shift

MASKED = {"features": (1, 2, 4, 5), "mask": (1, 4, 5), "weight": (3, 2, 3, 3), "bias": (3,)}
SHAPES = st.lists(st.integers(0, 6), max_size=5).map(tuple)


def message_of(function, shapes, **rest):
    """What the ValueError says; nothing where there is none."""
    tensors = {name: torch.ones(shape) for name, shape in shapes.items()}
    if "shift" in tensors:
        tensors["shift"] = tensors["shift"].long()
    try:
        function(**tensors, **rest)
    except ValueError as error:
        return str(error)
    return ""


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(sorted(MASKED)), SHAPES)
def test_a_wrong_shape_in_masked_conv2d_is_named(name, shape):
    message = message_of(masked_conv2d, {**MASKED, name: shape}, padding=1)
    assert any(argument in message for argument in MASKED) if message else shape == MASKED[name]


@settings(max_examples=30, deadline=None)
@given(st.sampled_from(["padding", "stride"]), st.one_of(st.integers(-5, 5), st.tuples(st.integers(-1, 1))))
def test_a_wrong_number_in_masked_conv2d_is_named(name, number):
    message = message_of(masked_conv2d, MASKED, **{"padding": 1, name: number})
    assert name in message or "mask" in message or "weight" in message if message else number in (1, (1,))


@settings(max_examples=60, deadline=None)
@given(SHAPES, SHAPES)
def test_wrong_shapes_in_tin_shift_are_named(input, shift):
    message = message_of(tin_shift, {"input": input, "shift": shift})
    fits = (
        len(input) == 4
        and len(shift) == 2
        and shift[0] == input[0]
        and shift[1]
        and input[2]
        and not input[2] % shift[1]
    )
    assert ("input" in message or "shift" in message) if message else fits
