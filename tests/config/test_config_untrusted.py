"""Config files are read, not executed: nothing harmful gets through, and nothing takes forever."""

import time

import pytest

from raydet.config import Config, ConfigError

ESCAPES = [
    "__import__('os')",
    "().__class__.__mro__[1].__subclasses__()",
    "''.join.__self__",
    "(lambda: 0).__globals__",
    "[].append.__self__.__class__",
    "dict.__subclasses__()",
    "getattr((), '__class__')",
    "type('X', (), {})",
    "eval('1')",
    "exec('1')",
    "open('/etc/passwd').read()",
    "compile('1', '', 'eval')",
    "globals()",
    "vars()",
    "__builtins__",
    "__file__",
    "'{0.__class__}'.format(1)",
    "'{0[a]}'.format(dict(a=1))",
    "f'{().__class__}'",
    "[x.__class__ for x in [1]]",
    "math.__loader__",
    "(x := 5)",
    "_base_.__class__",
    "str.join(',', ['a'])",
    "dict(a=1).__class__",
    "print(1)",
    "input()",
]


@pytest.mark.parametrize("expression", ESCAPES)
def test_escape_is_refused_with_file_and_line(write, expression):
    path = write(c_py=f"import math\nx = {expression}\n")
    with pytest.raises(ConfigError) as caught:
        Config.fromfile(path)
    assert str(caught.value).startswith(f"{path}:2: ")


@pytest.mark.parametrize(
    "statement",
    [
        "import subprocess",
        "import os.system",
        "from os import system",
        "import os\nos.system('true')",
        "import os\nx = os.remove",
        "from os import *",
        "from . import x",
        "class A:\n    pass",
        "with open('x') as f:\n    pass",
        "while True:\n    pass",
        "try:\n    a = 1\nexcept Exception:\n    pass",
        "global x",
        "raise ValueError",
        "async def f():\n    pass",
        "@staticmethod\ndef f():\n    pass",
        "def f(*args):\n    return args",
        "a = dict()\na.b = 1",
    ],
)
def test_statement_beyond_the_language_asks_for_trust(write, statement):
    path = write(c_py=statement)
    with pytest.raises(ConfigError, match=r"trust=True \(--trust-config\)") as caught:
        Config.fromfile(path)
    assert str(caught.value).startswith(f"{path}:")


@pytest.mark.parametrize(
    "text",
    [
        "x = 10 ** 10 ** 10",
        "x = 1 << 10 ** 9",
        "x = 'a' * 10 ** 9",
        "x = 10 ** 9 * [0]",
        "x = range(10 ** 12)",
        "x = [0 for i in range(10 ** 5) for j in range(10 ** 5)]",
        "x = 'a'.zfill(10 ** 9)",
        "x = '{:>1000000000}'.format(1)",
        "x = '%1000000000d' % 1",
        "x = f'{1:1000000000}'",
        "x = '{0}' * 30000\ny = x.format('a' * 90000)",
        "x = ('a' * 50000).replace('a', 'b' * 50000)",
        "x = ','.join(['a' * 90000] * 90000)",
        "x = str(['a' * 90000] * 90000)",
        "x = round(5, -10 ** 9)",
        "x = int('f' * 90000, 16)",
        "x = 1\nfor i in range(100):\n    x = x * x + 2",
        "x = [1]\nfor i in range(100):\n    x = x + x",
        "x = [1]\nfor i in range(100):\n    x += x",
        "x = [1]\nfor i in range(100):\n    x.extend(x)",
        "x = 'ab'\nfor i in range(100):\n    x = f'{x}{x}'",
        "x = []\nfor i in range(100):\n    x = [x, x]",
        "x = ()\nfor i in range(50):\n    x = (x, x)\ny = {x: 1}",
        "x = []\nfor i in range(50):\n    x = [x, x]\ny = str(x)",
        "x = []\nfor i in range(50):\n    x = [x, x]\ny = f'{x}'",
        "x = []\ny = []\nfor i in range(50):\n    x = [x, x]\n    y = [y, y]\nz = x == y",
        "x = []\nx.append(x)",
        "x = []\nfor i in range(1000):\n    x = [x]",
        "x = ['a' * 99999 + str(i) for i in range(10 ** 5)]",
        "def f():\n    return f()\nx = f()",
        "f = lambda: f()\nx = f()",
        "x = " + "(" * 150 + "1" + ")" * 150 + "\ny = " + "-" * 5000 + "1",
        "x = " + "[" * 5000 + "]" * 5000,
        "x = " + "+".join(["1"] * 20000),
    ],
)
def test_bomb_is_refused_quickly(text):
    start = time.monotonic()
    with pytest.raises(ConfigError):
        Config.fromstring(text, ".py")
    assert time.monotonic() - start < 20


def test_functions_are_not_part_of_the_config():
    assert set(Config.fromstring("import math\nfrom os.path import join\ndef f(): pass\na = 1", ".py")) == {"a"}


def test_changing_the_environment_changes_nothing(monkeypatch):
    import os

    monkeypatch.setenv("RAYDET_TEST", "a")
    Config.fromstring("import os\nos.environ['RAYDET_TEST'] = 'b'", ".py")
    assert os.environ["RAYDET_TEST"] == "a"


def test_config_that_inherits_from_itself_is_refused(write):
    path = write(b_py="_base_ = 'a.py'", a_py="_base_ = 'b.py'")
    with pytest.raises(ConfigError, match=r"inherits from itself: .*a\.py -> .*b\.py -> .*a\.py"):
        Config.fromfile(path)


def test_endless_inheritance_is_refused(write):
    write(**{f"f{i}_py": f"_base_ = 'f{i + 1}.py'" for i in range(60)})
    path = write(f60_py="a = 1", start_py="_base_ = 'f0.py'")
    with pytest.raises(ConfigError, match="in a row"):
        Config.fromfile(path)


def test_tree_of_bases_that_grows_exponentially_is_refused(write):
    write(**{f"f{i}_py": f"_base_ = ['f{i + 1}.py', 'f{i + 1}.py']" for i in range(20)})
    path = write(f20_py="", start_py="_base_ = 'f0.py'")
    with pytest.raises(ConfigError, match="config files are read"):
        Config.fromfile(path)
