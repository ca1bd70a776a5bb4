"""Reads the YAML of a sweep: safely, with the line and column of every key and value, and collects what is wrong."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from raydet.config import ConfigError
from raydet.config.documents import compose
from raydet.config.limits import MAX_FILE

KeyPath = tuple[str | int, ...]
"""Keys and indices from the top of the file to a value."""

_NULLS = ("", "~", "null", "Null", "NULL")
_BOOLS = {word: value for value in (True, False) for word in (str(value), str(value).lower(), str(value).upper())}
_INT = re.compile(r"[-+]?\d+")
_FLOAT = re.compile(r"[-+]?(\.\d+|\d+(\.\d*)?)([eE][-+]?\d+)?")
_SPECIAL = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")
_MERGE = "tag:yaml.org,2002:merge"


class SweepError(ConfigError):
    """A sweep file, or something asked of it, is wrong."""


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong: `file:line:column`, the key, what it is, and line and column as numbers."""

    place: str
    key: str
    message: str
    mark: tuple[int, int] = (0, 0)

    def __str__(self) -> str:
        return f"{self.place}: {self.key}: {self.message}" if self.key else f"{self.place}: {self.message}"


@dataclass
class Tree:
    """Values of a file, and everything that was found wrong with them so far.

    Args:
        file: its name in messages.
        values: the mapping that it holds.
        marks: line and column, from 1, of each key or list element.
        problems: in the order of finding.
    """

    file: str
    values: dict[str, Any]
    marks: dict[KeyPath, tuple[int, int]] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    def mark(self, path: KeyPath) -> tuple[int, int]:
        """Line and column of a value, or of the nearest one around it that has a place; zeros for one of `--set`."""
        while path and path not in self.marks:
            path = path[:-1]
        return self.marks.get(path, (1, 1))

    def place(self, path: KeyPath) -> str:
        """`file:line:column` of a value."""
        line, column = self.mark(path)
        return f"{self.file}:{line}:{column}" if line else f"--set {'.'.join(map(str, path))}"

    def add(self, path: KeyPath, message: str) -> None:
        """Note something wrong with the value at `path`."""
        key = ".".join(map(str, path))
        self.problems.append(Problem(self.place(path), key, message, self.mark(path)))

    def change(self, path: KeyPath, value: Any) -> None:
        """Lay a value over that of the file, as `--set` does."""
        node = self.values
        for key in path[:-1]:
            child = node.get(str(key))
            if not isinstance(child, dict):
                child = node[str(key)] = {}
            node = child
        node[str(path[-1])] = value
        for known in [known for known in self.marks if known[: len(path)] == path]:
            del self.marks[known]
        self.marks[path] = (0, 0)

    def raise_problems(self) -> None:
        """Raise one error that lists all problems, if there are any.

        Raises:
            SweepError: there are.
        """
        found = list(dict.fromkeys(map(str, sorted(self.problems, key=lambda problem: problem.mark))))
        if len(found) == 1:
            raise SweepError(found[0])
        if found:
            raise SweepError(f"the sweep file has {len(found)} problems:\n" + "\n".join(f"  {each}" for each in found))


def read_tree(file: Path) -> Tree:
    """Read a sweep file.

    Raises:
        FileNotFoundError: there is none.
        SweepError: not YAML, not a mapping, or with tags, keys given twice, or too large when written out.
    """
    if file.stat().st_size > MAX_FILE:
        raise SweepError(f"{file} has more than {MAX_FILE} bytes; that is no sweep file")
    try:
        text = file.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise SweepError(f"not a text in UTF-8: {error}", f"{file}:1:1") from error
    tree = parse_tree(text, str(file))
    tree.raise_problems()
    return tree


def parse_tree(text: str, file: str) -> Tree:
    """The tree of a text; keys given twice are among its problems.

    Raises:
        SweepError: not YAML, not a mapping, or with tags, or too large when written out.
    """
    tree = Tree(file, {})
    try:
        node = compose(text, _Loader)
        if not isinstance(node, yaml.MappingNode):
            raise SweepError("a sweep file is a mapping with the keys `base`, `objective`, `space` and others")
        tree.values = _value(node, (), tree)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = f"{file}:{mark.line + 1}:{mark.column + 1}" if mark else f"{file}:1:1"
        raise SweepError(f"not valid YAML: {error.problem or error.context}", place) from error
    except (yaml.YAMLError, RecursionError, ConfigError) as error:
        raise SweepError(f"cannot be read: {getattr(error, 'message', error)}", f"{file}:1:1") from error
    return tree


def parse_scalar(text: str) -> Any:
    """What a plain word means in YAML 1.2: null, a truth value, a number, or else a text."""
    if text in _NULLS:
        return None
    if text in _BOOLS:
        return _BOOLS[text]
    if _INT.fullmatch(text):
        return int(text)
    if _FLOAT.fullmatch(text):
        return float(text)
    return float(text.replace(".", "")) if _SPECIAL.fullmatch(text) else text


class _Loader(yaml.SafeLoader):
    """Safe YAML without tags."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        event = self.peek_event()  # type: ignore[no-untyped-call]
        tag = getattr(event, "tag", None)
        if tag not in (None, "!"):
            raise yaml.MarkedYAMLError(
                problem=f"the tag {tag!r} is not possible in a sweep file", problem_mark=event.start_mark
            )
        return super().compose_node(parent, index)


def _value(node: yaml.Node, path: KeyPath, tree: Tree) -> Any:
    """What a node holds; notes its place and those of all within it."""
    tree.marks.setdefault(path, (node.start_mark.line + 1, node.start_mark.column + 1))
    if isinstance(node, yaml.MappingNode):
        return _mapping(node, path, tree)
    if isinstance(node, yaml.SequenceNode):
        return [_value(child, (*path, index), tree) for index, child in enumerate(node.value)]
    assert isinstance(node, yaml.ScalarNode)
    return parse_scalar(node.value) if node.style is None else node.value


def _mapping(node: yaml.MappingNode, path: KeyPath, tree: Tree) -> dict[str, Any]:
    own = [key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode) and key.tag != _MERGE]
    yaml.SafeLoader("").flatten_mapping(node)
    made: dict[str, Any] = {}
    for key, child in node.value:
        if not isinstance(key, yaml.ScalarNode):
            raise yaml.MarkedYAMLError(problem="a key is a text", problem_mark=key.start_mark)
        place = (*path, key.value)
        tree.marks[place] = (key.start_mark.line + 1, key.start_mark.column + 1)
        made[key.value] = _value(child, place, tree)
    for key in sorted({key for key in own if own.count(key) > 1}):
        tree.add((*path, key), f"the key {key!r} is given twice")
    return made
