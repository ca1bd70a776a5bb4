"""Expressions of a sweep file over variables, drawn values and the config; nothing but arithmetic and the like."""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NoReturn

from raydet.config import ConfigError, ConfigKeyError
from raydet.config.allowed import BUILTINS, import_module
from raydet.config.expressions import Expressions
from raydet.registry import nearest
from raydet.search.keys import look_up
from raydet.search.tree import SweepError

HERE, BEFORE = "here", "before"
"""In an expression: the dict that holds the key for whose value it stands, and the same dict in the base config."""
MODULES = ("math",)
TAKEN = frozenset({*BUILTINS, *MODULES, HERE, BEFORE})
"""Names that mean something in every expression."""


@dataclass(frozen=True)
class Formula:
    """An expression and where it stands.

    Args:
        text: in Python's notation.
        place: `file:line:column`.

    Raises:
        SweepError: it is no expression.
    """

    text: str
    place: str

    def __post_init__(self) -> None:
        try:
            ast.parse(self.text.strip(), mode="eval")
        except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
            reason = getattr(error, "msg", None) or error
            raise SweepError(f"{self.text!r} is no expression: {reason}", self.place) from error

    @cached_property
    def _body(self) -> ast.expr:
        return ast.parse(self.text.strip(), mode="eval").body

    @cached_property
    def references(self) -> frozenset[str]:
        """The dotted names that it uses; what stands behind a computed index is left out."""
        return frozenset(_references(self._body))

    def unknown_names(self, known: Collection[str]) -> Iterator[str]:
        """A message for each name that is not among the known ones and means nothing by itself."""
        own = {*TAKEN, *_bound_names(self._body)}
        for name in sorted({each.partition(".")[0] for each in self.references} - own - {*known}):
            hint = nearest(name, known)
            yield f"the expression {self.text!r} uses {name!r}, which is no variable and no key of the config{hint}"

    def value(self, names: Mapping[str, Any]) -> Any:
        """Compute it.

        Raises:
            SweepError: it cannot be computed with these values.
        """
        evaluator = _Evaluator(self.place)
        evaluator.scope.update({**{name: import_module(name) for name in MODULES}, **names})
        try:
            return evaluator.eval(self._body)
        except ConfigError as error:
            raise SweepError(f"the expression {self.text!r} cannot be computed: {error.message}", self.place) from error

    def value_of(self, reference: str, names: Mapping[str, Any]) -> Any:
        """What one of its references stands for, None if nothing."""
        first, _, rest = reference.partition(".")
        return look_up(rest, names.get(first)) if rest else names.get(first)


class _Evaluator(Expressions):
    """Expressions of configs, in which dicts have their keys as attributes."""

    def __init__(self, place: str) -> None:
        super().__init__(place, dict)
        self._place = place

    def place(self, node: ast.AST) -> str:
        """Where the whole expression stands."""
        return self._place

    def refuse(self, node: ast.AST, what: str) -> NoReturn:
        """Raise the error for something that is neither arithmetic nor a harmless function."""
        raise ConfigError(f"{what} is not possible here", self._place)

    def member(self, owner: Any, name: str) -> Any:
        """A key of a dict or a member of a module."""
        if not isinstance(owner, dict):
            return super().member(owner, name)
        if name not in owner:
            raise ConfigKeyError(f"there is no key {name!r}{nearest(name, map(str, owner))}", self._place)
        return owner[name]


def _references(node: ast.AST) -> Iterator[str]:
    chain = _chain(node)
    if chain is not None:
        yield chain
        return
    for child in ast.iter_child_nodes(node):
        yield from _references(child)


def _chain(node: ast.AST) -> str | None:
    """`a.b.0.c` for `a.b[0].c`, None for what is no chain of names and constant indices."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        owner, part = _chain(node.value), node.attr
    elif isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Constant):
        owner, part = _chain(node.value), str(node.slice.value)
    else:
        return None
    return owner and f"{owner}.{part}"


def _bound_names(node: ast.AST) -> set[str]:
    """Names that comprehensions and lambdas within bind."""
    bound = {each.id for each in ast.walk(node) if isinstance(each, ast.Name) and isinstance(each.ctx, ast.Store)}
    return bound | {each.arg for each in ast.walk(node) if isinstance(each, ast.arg)}
