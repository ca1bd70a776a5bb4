"""What a Python config may contain, and what it evaluates to."""

import pytest

from raydet.config import Config, ConfigError, ConfigSyntaxError


def evaluate(text, **kwargs):
    return Config.fromstring(text, ".py", **kwargs)


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("1 + 2 * 3", 7),
        ("-1.5", -1.5),
        ("7 // 2, 7 % 2, 2 ** 5, 1 << 3", (3, 1, 32, 8)),
        ("[0.1] * 3 + [1]", [0.1, 0.1, 0.1, 1]),
        ("'a' + 'b'", "ab"),
        ("f'{1 + 1:03d}-{\"x\"!r}'", "002-'x'"),
        ("'{}-{name}'.format(1, name='b')", "1-b"),
        ("'%s %d' % ('a', 2)", "a 2"),
        ("'A,B'.lower().split(',')", ["a", "b"]),
        ("', '.join(str(i) for i in range(3))", "0, 1, 2"),
        ("1 < 2 <= 2", True),
        ("1 < 2 > 5", False),
        ("0 or 'x'", "x"),
        ("1 and 0", 0),
        ("not 1", False),
        ("'a' if 2 in [1, 2] else 'b'", "a"),
        ("[1, 2, 3][1:]", [2, 3]),
        ("(1, 2, 3)[-1]", 3),
        ("{'a': 1, **dict(b=2)}", {"a": 1, "b": 2}),
        ("[*range(2), 5]", [0, 1, 5]),
        ("{1, 2} | {3}", {1, 2, 3}),
        ("[(1333, v) for v in (480, 512) if v > 480]", [(1333, 512)]),
        ("[a + b for a in [1, 2] for b in [10, 20]]", [11, 21, 12, 22]),
        ("{k: v for k, v in zip('ab', range(2))}", {"a": 0, "b": 1}),
        ("dict((f's{i}', i) for i in range(2))", {"s0": 0, "s1": 1}),
        ("sorted({'b': 1, 'a': 2}.items(), key=lambda pair: pair[1])", [("b", 1), ("a", 2)]),
        ("sum([1, 2.5]), max(1, 2), min([3, 4]), abs(-1), round(2.567, 1)", (3.5, 2, 3, 1, 2.6)),
        ("list(map(int, ['1', '2'])), list(enumerate('a', 1))", ([1, 2], [(1, "a")])),
        ("any([0, 1]), all([]), len('abc'), bool([])", (True, True, 3, False)),
        ("dict(a=1).get('b', 5)", 5),
        ("None is None", True),
        ("1e-3, 1_000, True, None, b'x'", (0.001, 1000, True, None, b"x")),
        ("...", ...),
    ],
)
def test_expression_has_the_value_python_gives(expression, value):
    result = evaluate(f"x = {expression}").x
    assert result == value
    assert type(result) is type(value) or isinstance(value, dict)


@pytest.mark.parametrize(
    ("statements", "names"),
    [
        ("a = b = 1", {"a": 1, "b": 1}),
        ("a, (b, c) = 1, (2, 3)", {"a": 1, "b": 2, "c": 3}),
        ("a: int = 1", {"a": 1}),
        ("a = 1\na += 2", {"a": 3}),
        ("a = [1]\nb = a\nb += [2]", {"a": [1, 2], "b": [1, 2]}),
        ("d = dict(a=1)\nd['b'] = 2\nd['a'] += 4\nd.update(c=3)", {"d": {"a": 5, "b": 2, "c": 3}}),
        ("a = 1\nb = 2\ndel a", {"b": 2}),
        ("d = dict(a=1, b=2)\ndel d['a']", {"d": {"b": 2}}),
        ("if 1 > 2:\n    a = 1\nelse:\n    a = 2", {"a": 2}),
        ("a = []\nfor i, c in enumerate('xy'):\n    a.append((i, c))", {"a": [(0, "x"), (1, "y")], "i": 1, "c": "y"}),
        ("def f(x, y=2):\n    'doc'\n    if x:\n        return x + y\na = f(1)\nb = f(0)", {"a": 3, "b": None}),
        ("def f(n):\n    return 1 if n < 2 else n * f(n - 1)\na = f(5)", {"a": 120}),
        ("f = lambda x: x * 2\na = f(x=2)", {"a": 4}),
        ("import math\na = math.floor(2.5)", {"a": 2}),
        ("import os.path as osp\na = osp.join('a', 'b')", {"a": "a/b"}),
        ("import os\na = os.path.basename('a/b.py')", {"a": "b.py"}),
        (
            "from copy import deepcopy\na = dict(x=[1])\nb = deepcopy(a)\nb['x'].append(2)",
            {"a": {"x": [1]}, "b": {"x": [1, 2]}},
        ),
        ("_hidden = 1\n'text'", {"_hidden": 1}),
        ("assert 1 == 1\npass\na = 1", {"a": 1}),
    ],
)
def test_statements_leave_the_names_python_leaves(statements, names):
    assert evaluate(statements)._cfg_dict == names


def test_environment_variables_are_readable(monkeypatch):
    monkeypatch.setenv("RAYDET_TEST_ROOT", "/data")
    cfg = evaluate("import os\na = os.environ.get('RAYDET_TEST_ROOT')\nb = os.environ['RAYDET_TEST_ROOT']")
    assert (cfg.a, cfg.b) == ("/data", "/data")
    assert evaluate("import os\na = os.getenv('RAYDET_UNSET', 1)").a == 1


def test_shared_dict_is_independent_in_the_config():
    cfg = evaluate("norm = dict(type='BN')\na = dict(norm=norm)\nb = dict(norm=norm)")
    cfg.a.norm.type = "GN"
    assert cfg.b.norm.type == cfg.norm.type == "BN"


def test_keys_remember_their_line(write):
    path = write(
        c_py="""\
        model = dict(
            type='A',
            head=dict(
                depth=1,
                **dict(width=2)))
        steps = {'one': 1,
                 'two': 2}
        """
    )
    cfg = Config.fromfile(path)
    assert cfg.where("model") == f"{path}:1"
    assert cfg.model.where("type") == f"{path}:2"
    assert cfg.model.where("head") == f"{path}:3"
    assert cfg.model.head.where() == f"{path}:3"
    assert cfg.model.head.where("depth") == f"{path}:4"
    assert cfg.model.head.where("width") == f"{path}:5"
    assert cfg.steps.where("two") == f"{path}:7"


def test_keys_from_a_shared_dict_keep_the_line_of_the_dict(write):
    path = write(c_py="norm = dict(mean=1)\nstep = dict(type='N', **norm)\n")
    assert Config.fromfile(path).step.where("mean") == f"{path}:1"


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("a = 1\nb = undefined", 2, "'undefined' is not defined"),
        ("depth = 1\nb = dpth", 2, "did you mean 'depth'"),
        ("a = 1\n\nb = 1 / 0", 3, "ZeroDivisionError"),
        ("a = dict(x=1)\nb = a['y']", 2, "KeyError: 'y'"),
        ("a = dict(\n    x=1,\n    x=2)", 3, "'x' is given twice"),
        ("assert 1 > 2, 'too small'", 1, "too small"),
        ("def f():\n    return nothing\na = f()", 2, "nothing"),
        ("a, b = 1, 2, 3", 1, "2 names for 3 values"),
        ("def f(x): return x\na = f()", 2, "takes the arguments"),
        ("a = 1 @ 2", 1, "MatMult"),
    ],
)
def test_error_names_file_and_line(write, text, line, message):
    path = write(c_py=text)
    with pytest.raises(ConfigError) as caught:
        Config.fromfile(path)
    assert str(caught.value).startswith(f"{path}:{line}: ")
    assert message in str(caught.value)


def test_syntax_error_is_a_syntax_error(write):
    path = write(c_py="a = (1,\nb = = 2")
    with pytest.raises(SyntaxError):
        Config.fromfile(path)
    with pytest.raises(ConfigSyntaxError, match=r"c\.py:[12]: not valid Python"):
        Config.fromfile(path)


@pytest.mark.parametrize("content", [b"a = '\xff'", b"a = 1\x00"])
def test_file_that_is_no_text_is_a_syntax_error(tmp_path, content):
    path = tmp_path / "c.py"
    path.write_bytes(content)
    with pytest.raises(ConfigSyntaxError, match=r"c\.py:1"):
        Config.fromfile(path)


def test_trusted_file_runs_as_python(write):
    path = write(c_py="import json\nclass A:\n    x = 3\na = json.loads('[1]')\nb = dict(c=dict(d=A.x))\n")
    with pytest.raises(ConfigError, match="trust"):
        Config.fromfile(path)
    cfg = Config.fromfile(path, trust=True)
    assert cfg.a == [1]
    assert cfg.b.c.d == 3
    assert cfg.b.c.where("d") == f"{path}:5"
    assert "json" not in cfg


def test_trusted_file_can_refer_to_its_base(write):
    write(base_py="a = dict(b=[1, 2])")
    path = write(c_py="_base_ = 'base.py'\nimport json\nx = {{ _base_.a.b }}\ny = _base_.a.b[0]\n")
    cfg = Config.fromfile(path, trust=True)
    assert cfg.x == [1, 2]
    assert cfg.y == 1


def test_trust_extends_to_bases(write):
    write(base_py="import json\na = json.loads('1')")
    path = write(c_py="_base_ = 'base.py'")
    with pytest.raises(ConfigError, match=r"base\.py:1"):
        Config.fromfile(path)
    assert Config.fromfile(path, trust=True).a == 1
