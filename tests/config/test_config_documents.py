import pytest

from raydet.config import Config, ConfigError


def test_yaml_keys_remember_their_line(write):
    path = write(
        c_yaml="""\
        model:
          type: A
          heads:
            - type: B
              depth: 2
        """
    )
    cfg = Config.fromfile(path)
    assert cfg.model.where("type") == f"{path}:2"
    assert cfg.model.heads[0].where("depth") == f"{path}:5"
    assert cfg.where("model") == f"{path}:1"


def test_json_keys_remember_their_line(write):
    path = write(c_json='{"a": 1,\n "b": {"c": [1,\n  {"d": 2}]}}')
    cfg = Config.fromfile(path)
    assert cfg.where("b") == f"{path}:2"
    assert cfg.b.c[1].where("d") == f"{path}:3"


def test_json_with_tabs_is_read(write):
    assert Config.fromfile(write(c_json='{\t"a":\t[1,\n\t2]}')).a == [1, 2]


def test_yaml_anchors_and_merge_keys(write):
    path = write(c_yaml="base: &b {x: 1, y: 2}\nuse: {<<: *b, y: 3}\nlist: [*b, *b]\n")
    cfg = Config.fromfile(path)
    assert cfg.use == dict(x=1, y=3)
    cfg.list[0].x = 9
    assert cfg.list[1].x == 1


def test_yaml_tuple_tag_of_other_tools_is_read(write):
    assert Config.fromfile(write(c_yaml="a: !!python/tuple [1, [2]]\n")).a == (1, [2])


def test_empty_yaml_is_an_empty_config(write):
    assert len(Config.fromfile(write(c_yaml=""))) == 0


@pytest.mark.parametrize(
    "text",
    [
        "a: !!python/object/apply:os.system ['true']",
        "a: !!python/name:os.system ''",
        "a: !!python/object/new:os.system ['true']",
        "a: [1",
        "a: 1\n b: 2",
        "a: b: c",
    ],
)
def test_bad_or_dangerous_yaml_is_refused_with_place(write, text):
    path = write(c_yaml=text)
    with pytest.raises(ConfigError, match=r"c\.yaml:\d+: not valid YAML"):
        Config.fromfile(path)


def test_bad_json_is_refused_with_line(write):
    with pytest.raises(ConfigError, match=r"c\.json:2: not valid JSON"):
        Config.fromfile(write(c_json='{"a": 1,\n oops}'))


@pytest.mark.parametrize(("name", "text"), [("c_yaml", "- 1\n- 2\n"), ("c_json", "[1]"), ("c_yaml", "text")])
def test_document_that_is_no_mapping_is_refused(write, name, text):
    with pytest.raises(ConfigError, match="mapping"):
        Config.fromfile(write(**{name: text}))


def laughs(opening, closing):
    lines = ["a0: &a0 " + opening.format("x") + closing]
    for i in range(1, 30):
        lines.append(f"a{i}: &a{i} [" + ", ".join([f"*a{i - 1}"] * 9) + "]")
    return "\n".join(lines)


def test_billion_laughs_are_refused(write):
    path = write(c_yaml=laughs("[{}", "]"))
    with pytest.raises(ConfigError, match="when written out"):
        Config.fromfile(path)


def test_billion_laughs_by_merge_keys_are_refused(write):
    lines = ["a0: &a0 {k: 1}"]
    lines += [f"a{i}: &a{i} {{<<: [" + ", ".join([f"*a{i - 1}"] * 9) + "]}" for i in range(1, 30)]
    with pytest.raises(ConfigError, match="when written out"):
        Config.fromfile(write(c_yaml="\n".join(lines)))


def test_yaml_that_contains_itself_is_refused(write):
    with pytest.raises(ConfigError, match="itself"):
        Config.fromfile(write(c_yaml="a: &a [*a]\n"))


@pytest.mark.parametrize(
    ("name", "text"), [("c_yaml", "a: " + "[" * 3000 + "]" * 3000), ("c_json", '{"a": ' + "[" * 99999)]
)
def test_deeply_nested_document_is_refused(write, name, text):
    with pytest.raises(ConfigError):
        Config.fromfile(write(**{name: text}))


def test_other_extension_is_refused(write):
    with pytest.raises(OSError, match=r"end with one of \.py"):
        Config.fromfile(write(c_txt="a = 1"))
