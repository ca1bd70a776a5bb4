"""Reads the space of a sweep file against its base config."""

from __future__ import annotations

import difflib
import importlib
import keyword
from collections.abc import Callable, Iterator
from typing import Any

from raydet.config import Config, ConfigError
from raydet.config.merging import DELETE_KEY
from raydet.registry import ALL_REGISTRIES, accepted_arguments
from raydet.search.anchors import AnchorFamily, read_anchors
from raydet.search.checks import convert
from raydet.search.draft import check_order
from raydet.search.formulas import TAKEN, Formula
from raydet.search.grammar import NODES
from raydet.search.keys import expand, look_up
from raydet.search.settings import AnchorSettings
from raydet.search.space import Entry, Space
from raydet.search.templates import TemplateReader, formulas, node_of
from raydet.search.tree import KeyPath, Problem, SweepError, Tree


def read_space(tree: Tree, config: Config | None) -> Space:
    """The space of a sweep file; what is wrong with it is noted in `tree`.

    Args:
        tree: the file.
        config: its base; None when that could not be read, so that keys cannot be looked up.
    """
    reader = _SpaceReader(tree, {} if config is None else dict(config.items()), config is not None)
    function = _function(tree)
    if function is not None:
        return Space(function=function)
    variables = reader.variables()
    entries = reader.entries()
    constraints = reader.constraints()
    anchors = _anchors(tree, config)
    if not (entries or variables or anchors) and not tree.problems:
        tree.add((), "there is nothing to search: give `space`, `anchors` or `search.space_function`")
    reader.check_names(variables, entries, constraints)
    reader.check_twice(entries)
    return Space(entries, variables, constraints, anchors)


def _anchors(tree: Tree, config: Config | None) -> AnchorFamily | None:
    given = tree.values.get("anchors")
    settings = convert(given, AnchorSettings, (), Tree("", {})) if isinstance(given, dict) else None
    return None if config is None or settings is None else read_anchors(tree, settings, config)


def read_points(tree: Tree, space: Space) -> tuple[dict[str, Any], ...]:
    """The warm starts of a sweep file, as Optuna's parameters; what is wrong with them is noted in `tree`."""
    found = []
    points = tree.values.get("points", [])
    for index, point in enumerate(points if isinstance(points, list) else []):
        for name in point if isinstance(point, dict) else ():
            try:
                space.enqueue({name: point[name]})
            except SweepError as error:
                tree.add(("points", index, name), error.message)
        if not tree.problems:
            found.append(space.enqueue(point))
    return tuple(found)


class _SpaceReader:
    def __init__(self, tree: Tree, values: dict[str, Any], known: bool) -> None:
        self.tree = tree
        self.values = values
        self.known = known
        self.templates = TemplateReader(tree)

    def variables(self) -> dict[str, Any]:
        """Templates by name."""
        found = {}
        for name, value in self._section("variables").items():
            if not name.isidentifier() or keyword.iskeyword(name):
                self.tree.add(("variables", name), "the name of a variable consists of letters, digits and underscores")
            elif name in TAKEN or name in self.values:
                owner = "is taken" if name in TAKEN else "is a key of the base config"
                self.tree.add(("variables", name), f"the name {name!r} {owner}; give the variable another one")
            found[name] = self.templates.read(value, ("variables", name), name)
        return found

    def entries(self) -> tuple[Entry, ...]:
        """The keys, nested mappings written out."""
        return tuple(
            self._entry(name, value, path)
            for key, each in self._section("space").items()
            for name, value, path in _written_out(key, each, ("space", key))
        )

    def constraints(self) -> tuple[Formula, ...]:
        """The expressions that hold for all points."""
        given = self.tree.values.get("constraints", [])
        texts = [each for each in given if isinstance(each, str)] if isinstance(given, list) else []
        found = (self.templates.formula(text, ("constraints", i)) for i, text in enumerate(texts))
        return tuple(each for each in found if each is not None)

    def _section(self, name: str) -> dict[str, Any]:
        value = self.tree.values.get(name, {})
        return value if isinstance(value, dict) else {}

    def _entry(self, name: str, value: Any, path: KeyPath) -> Entry:
        node = node_of(value)
        new = node is not None and node.new
        also = () if node is None else node.also
        keys = [
            expanded
            for number, key in enumerate([name, *also])
            for expanded in self._expand(key, new, (*path, "also", number - 1) if number else path)
        ]
        holder = look_up(keys[0].rpartition(".")[0], self.values, {}) if keys else {}
        kind = holder.get("type") if isinstance(holder, dict) else None
        template = self.templates.read(value, path, name.rpartition(".")[2], kind)
        return Entry(name, tuple(dict.fromkeys(keys)), template)

    def _expand(self, key: str, new: bool, path: KeyPath) -> list[str]:
        if not self.known:
            return [key]
        try:
            return expand(key, self.values, new)
        except ConfigError as error:
            self.tree.add(path, error.message + self._advice(key))
            return []

    def _advice(self, key: str) -> str:
        """What a key that does not exist may have been meant for."""
        parent, _, last = key.rpartition(".")
        operators = difflib.get_close_matches(last, NODES, 1, 0.7)
        if operators and not isinstance(look_up(parent, self.values), dict):
            return f"; did you mean `{parent}: {{{operators[0]}: ...}}`?"
        kind = look_up(f"{parent}.type", self.values)
        member = next(
            (each.get(kind) for each in ALL_REGISTRIES.values() if isinstance(kind, str) and kind in each), None
        )
        if member is not None and last in accepted_arguments(member)[0]:
            return f"; {kind} has this argument: add `new: true` to set it"
        return "; add `new: true` if it is to be a new one"

    def check_names(
        self, variables: dict[str, Any], entries: tuple[Entry, ...], constraints: tuple[Formula, ...]
    ) -> None:
        """Note names in expressions that mean nothing, and expressions that use each other."""
        names = {*variables, *self.values, *(entry.name.partition(".")[0] for entry in entries)}
        found = dict(pair for name, template in variables.items() for pair in formulas(template, name))
        found |= dict(pair for each in entries if each.keys for pair in formulas(each.template, each.keys[0]))
        for formula in [*found.values(), *constraints] if self.known else []:
            for message in formula.unknown_names(names):
                self.tree.problems.append(Problem(formula.place, "", message))
        circle = check_order(found)
        if circle:
            self.tree.add(("space",), circle)

    def check_twice(self, entries: tuple[Entry, ...]) -> None:
        """Note keys that two entries set."""
        owners: dict[str, str] = {}
        for entry in entries:
            for key in entry.keys:
                if key in owners:
                    self.tree.add(("space", entry.name), f"{key} is set by {owners[key]!r} as well")
                owners[key] = entry.name


def _written_out(key: str, value: Any, path: KeyPath) -> Iterator[tuple[str, Any, KeyPath]]:
    """`a: {b: 1}` as `a.b: 1`, down to whatever is drawn, replaced or no mapping."""
    if not isinstance(value, dict) or not value or DELETE_KEY in value or any(each in NODES for each in value):
        yield key, value, path
        return
    for name, inner in value.items():
        yield from _written_out(f"{key}.{name}", inner, (*path, name))


def _function(tree: Tree) -> Callable[[Any], Any] | None:
    """What `search.space_function` names."""
    search = tree.values.get("search")
    text = search.get("space_function") if isinstance(search, dict) else None
    if not isinstance(text, str):
        return None
    path: KeyPath = ("search", "space_function")
    for other in ("space", "variables", "constraints", "anchors"):
        if tree.values.get(other):
            tree.add(path, f"a function draws in place of `{other}`; leave one of them out")
    module, _, name = text.partition(":")
    try:
        function = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        tree.add(path, f"{text!r} is not a function as in `my_package.my_module:function`: {error}")
        return None
    return function  # type: ignore[no-any-return]
