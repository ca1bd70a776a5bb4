import copy
import pickle

import pytest

from raydet.config import ConfigDict
from raydet.config.config_dict import PlacedDict, set_place


def placed(**values):
    made = ConfigDict(**values)
    for line, key in enumerate(values, 1):
        set_place(made, key, f"a.py:{line}")
    set_place(made, None, "a.py:1")
    return made


def test_nested_dicts_are_reached_by_attribute():
    cfg = ConfigDict(a=dict(b=[dict(c=1)], d=(dict(e=2),)))
    assert cfg.a.b[0].c == 1
    assert cfg.a.d[0].e == 2


def test_assigned_plain_dict_becomes_config_dict():
    cfg = ConfigDict()
    cfg.a = {"b": {"c": 1}}
    cfg["x"] = [{"y": 2}]
    assert cfg.a.b.c == 1
    assert cfg.x[0].y == 2


def test_assigned_list_without_dicts_stays_the_same_object():
    numbers = [1, 2]
    cfg = ConfigDict()
    cfg.numbers = numbers
    assert cfg.numbers is numbers


def test_missing_key_as_attribute_raises_attribute_error_with_nearest():
    with pytest.raises(AttributeError, match="did you mean 'backbone'"):
        _ = ConfigDict(backbone=1).bakbone


def test_missing_key_as_item_raises_key_error():
    with pytest.raises(KeyError):
        ConfigDict()["a"]


def test_method_name_as_attribute_is_refused():
    with pytest.raises(AttributeError, match="method"):
        ConfigDict().items = 1


def test_method_name_as_item_is_allowed():
    assert ConfigDict({"items": 1})["items"] == 1


def test_building_from_another_copies_containers():
    first = ConfigDict(a=dict(b=[1]))
    second = ConfigDict(first)
    second.a.b.append(2)
    assert first.a.b == [1]


def test_none_makes_an_empty_dict():
    assert ConfigDict(None) == {}


def test_update_merges_nested_dicts():
    cfg = ConfigDict(a=dict(b=1, c=2))
    cfg.update(a=dict(b=3))
    assert cfg == dict(a=dict(b=3, c=2))


def test_or_operator_merges_into_a_new_dict():
    cfg = ConfigDict(a=dict(b=1))
    assert (cfg | dict(a=dict(c=2))).a == dict(b=1, c=2)
    assert cfg == dict(a=dict(b=1))


def test_setdefault_returns_the_stored_value():
    cfg = ConfigDict()
    cfg.setdefault("a", {}).b = 1
    assert cfg.a.b == 1


def test_delattr_removes_the_key():
    cfg = ConfigDict(a=1)
    del cfg.a
    assert "a" not in cfg
    with pytest.raises(AttributeError):
        del cfg.a


def test_to_dict_returns_plain_containers():
    plain = ConfigDict(a=[dict(b=(dict(c=1),))]).to_dict()
    assert type(plain["a"][0]) is dict
    assert type(plain["a"][0]["b"][0]) is dict


def test_isinstance_of_dict_for_registries():
    assert isinstance(ConfigDict(), dict)


@pytest.mark.parametrize(
    "duplicate",
    [
        copy.copy,
        copy.deepcopy,
        lambda cfg: pickle.loads(pickle.dumps(cfg)),
        lambda cfg: cfg.copy(),
        ConfigDict,
    ],
    ids=["copy", "deepcopy", "pickle", "method", "constructor"],
)
def test_places_survive_copies(duplicate):
    twin = duplicate(placed(a=1, b=placed(c=2)))
    assert twin == dict(a=1, b=dict(c=2))
    assert twin.where("b") == "a.py:2"
    assert twin.b.where("c") == "a.py:1"
    assert twin.where() == "a.py:1"


def test_copy_is_shallow_and_deepcopy_is_not():
    cfg = ConfigDict(a=[1])
    assert copy.copy(cfg).a is cfg.a
    assert copy.deepcopy(cfg).a is not cfg.a


def test_assignment_by_the_program_forgets_the_place():
    cfg = placed(a=1)
    cfg.a = 2
    assert cfg.where("a") is None


def test_places_are_taken_over_from_placed_dicts():
    source = PlacedDict(a=1)
    set_place(source, "a", "b.py:3")
    assert ConfigDict(source).where("a") == "b.py:3"


def test_unknown_key_has_no_place():
    assert ConfigDict(a=1).where("b") is None
