import copy
import pickle

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from raydet.config import Config


@pytest.fixture
def cfg():
    return Config(
        dict(model=dict(type="A", depth=50), steps=[8, 11], pipeline=[dict(type="L"), dict(type="R", size=(1, 2))])
    )


def test_values_by_attribute_item_and_get(cfg):
    assert cfg.model.depth == cfg["model"]["depth"] == cfg.get("model").depth == 50
    assert cfg.get("nothing", 7) == 7


def test_missing_attribute_is_an_attribute_error(cfg):
    assert not hasattr(cfg, "nothing")
    with pytest.raises(AttributeError, match="did you mean 'model'"):
        _ = cfg.modl


def test_dict_protocol(cfg):
    assert list(cfg) == list(cfg.keys()) == ["model", "steps", "pipeline"]
    assert len(cfg) == 3
    assert "model" in cfg
    assert dict(cfg.items())["steps"] == [8, 11]
    assert cfg.pop("steps") == [8, 11]
    del cfg["pipeline"]
    del cfg.model
    assert len(cfg) == 0


def test_assignment(cfg):
    cfg.extra = dict(a=dict(b=1))
    cfg["more"] = dict(c=2)
    cfg.model.depth = 101
    assert (cfg.extra.a.b, cfg.more.c, cfg.model.depth) == (1, 2, 101)


@pytest.mark.parametrize("key", ["filename", "text", "pretty_text"])
def test_reserved_names_are_refused(key, cfg):
    with pytest.raises(KeyError, match=key):
        Config({key: 1})
    with pytest.raises(AttributeError):
        setattr(cfg, key, 1)


def test_anything_but_a_dict_is_refused():
    with pytest.raises(TypeError, match="list"):
        Config([1])


def test_dict_of_the_caller_is_not_shared():
    values = dict(a=dict(b=[1]))
    cfg = Config(values)
    cfg.a.b.append(2)
    assert values == dict(a=dict(b=[1]))


@pytest.mark.parametrize("duplicate", [copy.copy, copy.deepcopy, lambda c: pickle.loads(pickle.dumps(c))])
def test_copies_are_equal_and_independent(write, duplicate):
    cfg = Config.fromfile(write(c_py="a = dict(b=1)\nc = 2"))
    twin = duplicate(cfg)
    assert twin == cfg
    assert (twin.filename, twin.text) == (cfg.filename, cfg.text)
    assert twin.where("c") == cfg.where("c")
    twin.c = 3
    assert cfg.c == 2


def test_nested_options_change_one_value(cfg):
    cfg.merge_from_dict({"model.depth": 101, "model.neck.type": "F", "steps": [1], "new.a.b": 2})
    assert cfg.model == dict(type="A", depth=101, neck=dict(type="F"))
    assert cfg.steps == [1]
    assert cfg.new.a.b == 2


def test_option_for_an_element_of_a_list(cfg):
    cfg.merge_from_dict({"pipeline.1.size": (3, 4), "steps.0": 5})
    assert cfg.pipeline[1].size == (3, 4)
    assert cfg.steps == [5, 11]


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"pipeline.5.type": 1}, KeyError, "index 5 is beyond the end of a list of 2"),
        ({"pipeline.first.type": 1}, TypeError, "index was expected"),
        ({"model.depth.x": 1}, TypeError, "model.depth"),
    ],
)
def test_option_that_does_not_fit_is_refused(cfg, options, error, message):
    with pytest.raises(error, match=message):
        cfg.merge_from_dict(options)


def test_option_into_a_list_needs_permission(cfg):
    with pytest.raises(TypeError):
        cfg.merge_from_dict({"pipeline.0.type": "X"}, allow_list_keys=False)


def test_option_with_delete_replaces_a_dict(cfg):
    cfg.merge_from_dict({"model": dict(_delete_=True, type="B")})
    assert cfg.model == dict(type="B")


def test_option_forgets_the_place_of_what_it_changes(write):
    cfg = Config.fromfile(write(c_py="a = dict(b=1, c=2)"))
    cfg.merge_from_dict({"a.b": 3})
    assert cfg.a.where("b") is None
    assert cfg.a.where("c") is not None


def test_options_of_the_caller_are_not_changed(cfg):
    inner = dict(x=1)
    cfg.merge_from_dict({"a": inner, "a.y": 2})
    assert inner == dict(x=1)
    assert cfg.a == dict(x=1, y=2)


def test_fromstring_needs_a_known_format():
    with pytest.raises(OSError, match="one of"):
        Config.fromstring("a = 1", ".txt")


def test_fromstring_of_python_as_json_warns():
    with pytest.warns(UserWarning, match=r"\.py"), pytest.raises(ValueError, match="JSON"):
        Config.fromstring("a = dict(b=1)", ".json")


def test_dump_without_file_has_the_format_of_the_source(write):
    assert Config.fromfile(write(c_json='{"a": 1}')).dump() == '{\n  "a": 1\n}\n'
    assert Config.fromfile(write(c_yaml="a: 1")).dump() == "a: 1\n"
    assert Config(dict(a=1)).dump() == "a = 1\n"


def test_dump_to_an_unknown_format_is_refused(tmp_path):
    with pytest.raises(OSError, match=r"\.txt"):
        Config(dict(a=1)).dump(tmp_path / "a.txt")


def test_pretty_text_breaks_long_lines():
    text = Config(dict(a=dict(type="T", values=list(range(60))), b=(1,), c={"no name": 1, "class": 2})).pretty_text
    assert max(map(len, text.splitlines())) <= 100
    assert "b = (1,)\n" in text
    assert "c = {'no name': 1, 'class': 2}\n" in text


@pytest.mark.parametrize("text", ["\x85", "\u2028", "\ufeff", "\x00", "µ", "a\nb", "1e-3", "null", "{{ x }}", "é"])
@pytest.mark.parametrize("name", ["a.py", "a.json", "a.yaml"])
def test_unusual_text_survives_as_key_and_value(tmp_path, name, text):
    cfg = Config(dict(a={text: text}))
    cfg.dump(tmp_path / name)
    assert Config.fromfile(tmp_path / name) == cfg


@pytest.mark.parametrize("key", ["a-b", "class", "µ"])
def test_key_that_is_no_name_cannot_be_written_as_python(tmp_path, key):
    cfg = Config({key: 1})
    with pytest.raises(KeyError, match="no Python name"):
        cfg.dump(tmp_path / "a.py")
    assert Config.fromstring(cfg.pretty_text, ".yaml") == cfg


def test_repr_names_the_file(write):
    path = write(c_py="a = 1")
    assert str(path) in repr(Config.fromfile(path))


texts = st.text(max_size=30)
numbers = st.integers(-(2**40), 2**40) | st.floats(allow_nan=False, allow_infinity=False)
names = st.from_regex(r"k_[a-z0-9_]{0,8}", fullmatch=True)


def containers(inner):
    lists = st.lists(inner, max_size=4)
    return lists | lists.map(tuple) | st.dictionaries(names | texts, inner, max_size=4)


values = st.recursive(st.none() | st.booleans() | numbers | texts, containers, max_leaves=12)


@given(st.dictionaries(names, values, max_size=4))
@settings(max_examples=25, deadline=None)
def test_python_text_reads_back_as_the_same_config(content):
    cfg = Config(content)
    assert Config.fromstring(cfg.pretty_text, ".py")._cfg_dict.to_dict() == cfg._cfg_dict.to_dict()


@given(st.dictionaries(names, values, max_size=4))
@settings(max_examples=25, deadline=None)
def test_json_and_yaml_read_back_with_lists_for_tuples(tmp_path_factory, content):
    def listed(value):
        if isinstance(value, dict):
            return {key: listed(item) for key, item in value.items()}
        return [listed(item) for item in value] if isinstance(value, (list, tuple)) else value

    folder = tmp_path_factory.mktemp("dumps")
    for name in ("a.json", "a.yaml", "a.yml"):
        Config(content).dump(folder / name)
        assert Config.fromfile(folder / name)._cfg_dict.to_dict() == listed(content)
