import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from raydet_ops import modulated_deform_conv2d

GOOD = {"input": (2, 4, 5, 5), "offset": (2, 18, 5, 5), "mask": (2, 9, 5, 5), "weight": (4, 4, 3, 3), "bias": (4,)}
NUMBERS = {"stride": 1, "padding": 1, "dilation": 1, "groups": 1, "deform_groups": 1}


def call(shapes, numbers, dtype=(), device=()):
    tensors = {name: torch.ones(shape) for name, shape in shapes.items()}
    tensors |= {name: tensors[name].long() for name in dtype} | {name: tensors[name].to("meta") for name in device}
    return modulated_deform_conv2d(**tensors, **numbers)


def error_of(shapes, numbers):
    try:
        call(shapes, numbers)
    except ValueError as error:
        return str(error)
    return None


def test_the_shapes_below_are_changed_from_good_ones():
    assert call(GOOD, NUMBERS).shape == (2, 4, 5, 5)


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(sorted(GOOD)), st.lists(st.integers(0, 6), max_size=5).map(tuple))
def test_one_wrong_shape_is_an_error_with_a_name(name, shape):
    error = error_of({**GOOD, name: shape}, NUMBERS)
    # An image of another size may have an output of the same size.
    assert any(argument in error for argument in GOOD) if error else shape == GOOD[name] or name == "input"


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(sorted(NUMBERS)), st.integers(-3, 7))
def test_one_wrong_number_is_an_error_with_a_name(name, number):
    error = error_of(GOOD, {**NUMBERS, name: number})
    assert any(argument in error for argument in (*GOOD, *NUMBERS)) if error else number == NUMBERS[name]


@pytest.mark.parametrize("name", sorted(GOOD))
def test_integers_and_other_devices_are_errors_with_a_name(name):
    with pytest.raises(TypeError, match=name):
        call(GOOD, NUMBERS, dtype=[name])
    with pytest.raises(ValueError, match="input"):
        call(GOOD, NUMBERS, device=[name])
