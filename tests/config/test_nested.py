"""Containers within each other keep their shape while their leaves change."""

from collections import OrderedDict, namedtuple

from raydet.config import ConfigDict
from raydet.config.nested import map_leaves, plain_copy

Pair = namedtuple("Pair", "first second")


def test_leaves_change_and_containers_stay():
    value = ConfigDict(a=[1, (2, dict(b=3))], c="text")
    assert map_leaves(lambda leaf: leaf * 2, value) == {"a": [2, (4, {"b": 6})], "c": "texttext"}


def test_mappings_of_any_kind_become_dicts_and_nothing_is_shared():
    inner = OrderedDict(a=[1])
    copied = plain_copy([inner])
    assert type(copied[0]) is dict
    copied[0]["a"].append(2)
    assert inner == {"a": [1]}


def test_named_tuples_are_leaves_unless_all_become_lists():
    value = dict(pair=Pair(1, (2,)))
    assert plain_copy(value)["pair"] is value["pair"]
    assert plain_copy(value, tuples=False) == {"pair": [1, [2]]}
