import argparse

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from raydet.config import DictAction, parse_value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1", 1),
        ("-2", -2),
        ("1e-3", 0.001),
        ("2.0", 2.0),
        ("true", True),
        ("False", False),
        ("None", None),
        ("none", "none"),
        ("text", "text"),
        ("", ""),
        ("data/my folder", "data/my folder"),
        ("1,2,3", [1, 2, 3]),
        ("[1,2]", [1, 2]),
        ("(1,2)", (1, 2)),
        ("(1,)", (1,)),
        ("[]", []),
        ("()", ()),
        ("x,y", ["x", "y"]),
        ("[(train,1),(val,1)]", [("train", 1), ("val", 1)]),
        ('"[(train,1),(val,1)]"', [("train", 1), ("val", 1)]),
        ("'(1333,800)'", (1333, 800)),
        ("[(1, 2), [a, b], c]", [(1, 2), ["a", "b"], "c"]),
        ("(1,2),(3,4)", [(1, 2), (3, 4)]),
        ("b=c", "b=c"),
        ("f(x)", "f(x)"),
    ],
)
def test_text_becomes_the_value(text, value):
    assert parse_value(text) == value
    assert type(parse_value(text)) is type(value)


@pytest.mark.parametrize("text", ["(1,2", "[1,2)", "1,2)", "[(1]"])
def test_unbalanced_brackets_are_refused(text):
    with pytest.raises(ValueError, match="bracket"):
        parse_value(text)


numbers = st.integers(-999, 999) | st.sampled_from(["a", "bc"]) | st.booleans() | st.none()
nested = st.recursive(
    numbers, lambda inner: st.lists(inner, max_size=3) | st.lists(inner, min_size=1, max_size=3).map(tuple)
)


@given(nested)
@settings(max_examples=25, deadline=None)
def test_printed_value_is_read_back(value):
    assert parse_value(str(value).replace("'", "")) == value


def parse(*arguments):
    parser = argparse.ArgumentParser()
    parser.add_argument("--cfg-options", nargs="+", action=DictAction)
    return parser.parse_args(arguments).cfg_options


def test_action_collects_dotted_keys():
    options = parse("--cfg-options", "a.b=1", "c=x=y", "d=[1,2]")
    assert options == {"a.b": 1, "c": "x=y", "d": [1, 2]}


def test_action_given_twice_keeps_both():
    assert parse("--cfg-options", "a=1", "--cfg-options", "b=2") == {"a": 1, "b": 2}


@pytest.mark.parametrize("argument", ["a", "=1", "a=(1"])
def test_action_refuses_what_is_no_pair(argument, capsys):
    with pytest.raises(SystemExit):
        parse("--cfg-options", argument)
    assert argument in capsys.readouterr().err
