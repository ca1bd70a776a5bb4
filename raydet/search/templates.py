"""Values of a sweep file in which something is still to be drawn or computed: how they are read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any

from msgspec import structs

from raydet.config import parse_value
from raydet.config.nested import map_leaves
from raydet.registry import nearest
from raydet.search.checks import convert
from raydet.search.families import family_names, read_family
from raydet.search.formulas import Formula
from raydet.search.grammar import KEPT, NODES, Choice, Choose, Expression, Family, Node, Parameter
from raydet.search.tree import KeyPath, SweepError, Tree

WITH, VALUE, FOR = "_with_", "_value_", "_for_"
FIXED_KEY = "num_classes"
"""What the data says is never searched."""
UNSET: Any = object()
"""Of what is still to be computed, left as it is, or not there."""


@dataclass(frozen=True)
class Option:
    """One of the options of a switch.

    Args:
        value: a template.
        along: templates of what is set when it is chosen, by key; `.key` is a neighbour.
        holders: patterns of the `type` of the dict that it can be put into.
    """

    value: Any
    along: Mapping[str, Any] = field(default_factory=dict)
    holders: tuple[str, ...] = ("*",)


@dataclass(frozen=True)
class Switch:
    """A choice between templates, by label."""

    options: Mapping[str, Option]


class TemplateReader:
    """Reads templates: plain values, lists and dicts of templates, parameters, switches and formulas.

    Args:
        tree: the file that they stand in; takes what is wrong with them.
        fewest: options of a `choose`.
    """

    def __init__(self, tree: Tree, fewest: int = 2) -> None:
        self.tree = tree
        self._fewest = fewest

    def read(self, value: Any, path: KeyPath, key: str, holder: str | None = None) -> Any:
        """The template of a value.

        Args:
            value: of the file.
            path: where it stands there.
            key: last part of its key in the config.
            holder: `type` of the dict that it will be in.
        """
        if isinstance(value, list):
            return [self.read(each, (*path, index), key, holder) for index, each in enumerate(value)]
        if not isinstance(value, dict):
            return with_tuples(value)
        operators = [each for each in value if each in NODES]
        if len(operators) > 1:
            self.tree.add(path, f"give one of {' and '.join(operators)}, not both")
        elif operators:
            return self._node(value, operators[0], path, key, holder)
        kind = value.get("type")
        return {
            name: self.read(each, (*path, name), name, kind if isinstance(kind, str) else None)
            for name, each in value.items()
        }

    def _node(self, value: dict[str, Any], operator: str, path: KeyPath, key: str, holder: str | None) -> Any:
        node = convert(value, NODES[operator], path, self.tree)
        if key == FIXED_KEY and operator != Expression.operator:
            self.tree.add(path, f"{FIXED_KEY} follows from the data and is never searched; set it in the base config")
        if isinstance(node, Parameter):
            return self._parameter(node, operator, path)
        if isinstance(node, Expression):
            return self.formula(node.expression, (*path, operator))
        if isinstance(node, Choose):
            return Switch(self._options(node.choose, (*path, operator), key, holder))
        return self._family(node, path, key, holder) if isinstance(node, Family) else None

    def _parameter(self, node: Parameter, operator: str, path: KeyPath) -> Parameter | None:
        mistake = node.mistake()
        if mistake is not None:
            self.tree.add((*path, operator), mistake)
            return None
        return structs.replace(node, choice=with_tuples(node.choice)) if isinstance(node, Choice) else node

    def formula(self, text: str, path: KeyPath) -> Formula | None:
        """An expression; what is wrong with it is noted."""
        try:
            return Formula(text, self.tree.place(path))
        except SweepError as error:
            self.tree.add(path, error.message)
            return None

    def _options(self, given: Any, path: KeyPath, key: str, holder: str | None) -> dict[str, Option]:
        options: dict[str, Option] = {}
        for step, label, value in _labelled(given):
            if label in options:
                self.tree.add(
                    (*path, step), f"two options are called {label!r}; give them labels: `choose: {{a: ...}}`"
                )
            options[label] = self._option(value, (*path, step), key, holder)
        if len(options) < self._fewest:
            self.tree.add(path, "give at least two options to choose from")
        return options

    def _option(self, value: Any, path: KeyPath, key: str, holder: str | None) -> Option:
        if not isinstance(value, dict) or not {WITH, VALUE, FOR} & set(value):
            return Option(self.read(value, path, key, holder))
        rest = {name: each for name, each in value.items() if name not in (WITH, VALUE, FOR)}
        if VALUE in value and rest:
            self.tree.add(
                path, f"{VALUE} stands for the whole value; there is no place for {', '.join(rest)} beside it"
            )
        along = value.get(WITH, {})
        if not isinstance(along, dict):
            self.tree.add((*path, WITH), f"expected a mapping of keys to values, got {along!r}")
            along = {}
        inner = (*path, VALUE) if VALUE in value else path
        return Option(
            self.read(value.get(VALUE, rest), inner, key, holder),
            {name: self.read(each, (*path, WITH, name), name.rpartition(".")[2]) for name, each in along.items()},
            tuple(value.get(FOR, ["*"])),
        )

    def _family(self, node: Family, path: KeyPath, key: str, holder: str | None) -> Switch | None:
        if node.family not in family_names():
            names = ", ".join(family_names())
            hint = nearest(node.family, family_names()) or f"; there are {names}"
            self.tree.add((*path, "family"), f"there is no family {node.family!r}{hint}")
            return None
        tree = read_family(node.family)
        options = TemplateReader(tree, fewest=1)._options(tree.values["choose"], ("choose",), key, holder)
        tree.raise_problems()
        fitting = {name: each for name, each in options.items() if _fits(each, holder)}
        for argument, labels in (("only", node.only), ("without", node.without)):
            for label in labels:
                if label not in fitting:
                    hint = nearest(label, fitting) or f"; here it has {', '.join(fitting)}"
                    self.tree.add((*path, argument), f"the family {node.family} has no option {label!r}{hint}")
        chosen = {k: v for k, v in fitting.items() if (not node.only or k in node.only) and k not in node.without}
        if not fitting:
            self.tree.add(path, f"no option of the family {node.family} fits a {holder}")
        if node.keep and isinstance(path[-1], int):
            self.tree.add((*path, "keep"), "the base config has nothing to keep for an element of a list that is new")
        return Switch({KEPT: Option(UNSET), **chosen} if node.keep else chosen)


def with_tuples(value: Any) -> Any:
    """A value whose texts in round brackets, such as "(1333, 800)", are tuples, as in `--cfg-options`."""
    return map_leaves(_with_tuple, value)


def _with_tuple(value: Any) -> Any:
    return parse_value(value) if isinstance(value, str) and value[:1] == "(" and value[-1:] == ")" else value


def parameters(template: Any, name: str) -> Iterator[tuple[str, Parameter | Switch]]:
    """Everything within a template that the sampler draws, by the name under which Optuna knows it."""
    if isinstance(template, (Parameter, Switch)):
        yield name, template
    for step, inner in children(template):
        yield from parameters(inner, f"{name}.{step}")


def formulas(template: Any, name: str) -> Iterator[tuple[str, Formula]]:
    """Everything within a template that is computed, by name."""
    if isinstance(template, Formula):
        yield name, template
    for step, inner in children(template):
        yield from formulas(inner, f"{name}.{step}")


def children(template: Any) -> Iterator[tuple[str, Any]]:
    """The templates directly within one, and the step that leads to each."""
    if isinstance(template, dict):
        yield from template.items()
    elif isinstance(template, list):
        yield from ((str(index), each) for index, each in enumerate(template))
    elif isinstance(template, Switch):
        for label, option in template.options.items():
            yield label, option.value
            yield from ((f"{label}.{key.lstrip('.')}", each) for key, each in option.along.items())


def node_of(value: Any) -> Node | None:
    """The settings that stand beside an operator at the top of an entry, if they are valid."""
    operator = next((each for each in value if each in NODES), None) if isinstance(value, dict) else None
    return None if operator is None else convert(value, NODES[operator], (), Tree("", {}))


def _labelled(given: Any) -> Iterator[tuple[str | int, str, Any]]:
    """Step, label and value of each option."""
    if isinstance(given, dict):
        yield from ((label, label, value) for label, value in given.items())
        return
    for index, value in enumerate(given):
        yield index, str(value.get("type", value) if isinstance(value, dict) else value), value


def _fits(option: Option, holder: str | None) -> bool:
    return any(fnmatchcase(holder or "", pattern) for pattern in option.holders)
