"""Evaluates the expressions of a Python config from its syntax tree; nothing of the file is ever executed."""

from __future__ import annotations

import ast
import builtins
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import deepcopy
from typing import Any, NoReturn

from raydet.config.allowed import BINARY, BUILTINS, COMPARE, UNARY, AllowedModule, bounded, find_method, format_value
from raydet.config.config_dict import PlacedDict, set_place
from raydet.config.errors import ConfigError, ConfigKeyError, ConfigSyntaxError
from raydet.config.limits import Budget
from raydet.registry import nearest

BASE_KEY = "_base_"


class Scope(PlacedDict):
    """Names of a file, function or comprehension; `parent` is what surrounds it."""

    __slots__ = ("parent",)

    def __init__(self, parent: Scope | None = None) -> None:
        super().__init__()
        self.parent = parent

    def look_up(self, name: str) -> Any:
        """The value of a name; KeyError if there is none."""
        if name in self:
            return self[name]
        return self.parent.look_up(name) if self.parent is not None else BUILTINS[name]


class Function:
    """A function or lambda of a config file; calling it evaluates its body with `run`."""

    def __init__(self, name: str, run: Callable[..., Any]) -> None:
        self.name = name
        self._run = run

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self._run(*args, **kwargs)


class Control(Exception):  # noqa: N818
    """Leaves a block early; not an error."""


class Expressions:
    """Evaluates expression nodes.

    Args:
        file: name of the file in messages and places.
        base: gives the merged bases, to which `_base_.x.y` and `{{ _base_.x.y }}` refer.
    """

    def __init__(self, file: str, base: Callable[[], dict[Any, Any]]) -> None:
        self.file = file
        self.scope = Scope()
        self.budget = Budget()
        self._base = base
        self._handlers: dict[type[ast.AST], Callable[[Any], Any]] = {
            ast.Constant: lambda node: node.value,
            ast.Name: self._name,
            ast.List: lambda node: self._elements(node.elts),
            ast.Tuple: lambda node: tuple(self._elements(node.elts)),
            ast.Set: self._set,
            ast.Dict: self._dict_display,
            ast.BinOp: lambda node: self.binary(node.op, self.eval(node.left), self.eval(node.right)),
            ast.UnaryOp: lambda node: UNARY[_operator(node)](self.eval(node.operand)),
            ast.BoolOp: self._bool_op,
            ast.Compare: self._compare,
            ast.IfExp: lambda node: self.eval(node.body if self.eval(node.test) else node.orelse),
            ast.Subscript: self._subscript,
            ast.Slice: self._slice,
            ast.Attribute: self._attribute,
            ast.Call: self._call,
            ast.JoinedStr: self._joined,
            ast.FormattedValue: self._formatted,
            ast.ListComp: lambda node: self._comprehension(node, node.elt),
            ast.GeneratorExp: lambda node: self._comprehension(node, node.elt),
            ast.SetComp: lambda node: set(self._comprehension(node, node.elt)),
            ast.DictComp: self._dict_comprehension,
            ast.Lambda: lambda node: self.function("lambda", node.args, lambda: self.eval(node.body)),
        }

    def place(self, node: ast.AST) -> str:
        """`file:line` of a node."""
        return f"{self.file}:{getattr(node, 'lineno', 1)}"

    def refuse(self, node: ast.AST, what: str) -> NoReturn:
        """Raise the error for something that only a trusted file may do."""
        raise ConfigError(
            f"{what} is not possible in a config file, which is read and not executed; if you trust this file and "
            "what it imports, pass trust=True (--trust-config)",
            self.place(node),
        )

    @contextmanager
    def located(self, node: ast.AST) -> Iterator[None]:
        """Count one step, and give errors that have no place the one of `node`."""
        try:
            self.budget.spend()
            yield
        except ConfigError as error:
            error.place = error.place or self.place(node)
            raise
        except (RecursionError, Control):
            raise
        except Exception as error:
            raise ConfigError(f"{type(error).__name__}: {error}", self.place(node)) from error

    @contextmanager
    def inside(self, scope: Scope) -> Iterator[None]:
        """Evaluate in another scope for a while."""
        outer, self.scope = self.scope, scope
        try:
            yield
        finally:
            self.scope = outer

    def eval(self, node: ast.AST) -> Any:
        """The value of an expression."""
        handler = self._handlers.get(type(node))
        if handler is None:
            self.refuse(node, f"the expression `{ast.unparse(node)[:60]}` ({type(node).__name__})")
        with self.located(node):
            value = handler(node)
            self.budget.charge(value)
            return value

    # names and references

    def _name(self, node: ast.Name) -> Any:
        if node.id.startswith("__"):
            self.refuse(node, f"the use of {node.id!r}")
        try:
            return self.scope.look_up(node.id)
        except KeyError:
            if hasattr(builtins, node.id):
                self.refuse(node, f"the use of {node.id!r}")
            hint = nearest(node.id, [*self.scope, *BUILTINS])
            raise ConfigError(f"the name {node.id!r} is not defined{hint}", self.place(node)) from None

    def _attribute(self, node: ast.Attribute) -> Any:
        keys = base_reference(node)
        if keys is not None:
            return self._from_base(node, keys)
        owner = self.eval(node.value)
        try:
            return self.member(owner, node.attr)
        except AttributeError:
            self.refuse(node, f"the use of `{ast.unparse(node)[:60]}`")

    def member(self, owner: Any, name: str) -> Any:
        """What `owner.name` stands for; AttributeError if nothing."""
        if not isinstance(owner, AllowedModule) or name not in owner.members:
            raise AttributeError(name)
        return owner.members[name]

    def _from_base(self, node: ast.AST, keys: list[str]) -> Any:
        return pick(self._base(), keys, self.place(node))

    def _set(self, node: ast.Set) -> Any:
        keys = braced_reference(node)
        return set(self._elements(node.elts)) if keys is None else self._from_base(node, keys)

    # containers

    def _elements(self, nodes: list[ast.expr]) -> list[Any]:
        values: list[Any] = []
        for node in nodes:
            if isinstance(node, ast.Starred):
                extra = self.iterate(node.value)
                bounded(len(values) + len(extra))
                values += extra
            else:
                values.append(self.eval(node))
        return values

    def iterate(self, node: ast.expr) -> list[Any]:
        """The elements of an iterable expression; each is a step."""
        values = self.eval(node)
        if not isinstance(values, (list, tuple, set, frozenset, dict, str, range)):
            raise ConfigError(f"cannot iterate over {type(values).__name__}", self.place(node))
        self.budget.spend(len(values))
        return list(values)

    def _dict_display(self, node: ast.Dict) -> PlacedDict:
        made = self._new_dict(node)
        for key, value in zip(node.keys, node.values, strict=True):
            if key is None:
                self._unpack(made, value)
            else:
                self.put(made, self.eval(key), self.eval(value), key)
        return made

    def _new_dict(self, node: ast.AST, *args: Any) -> PlacedDict:
        made = PlacedDict(*args)
        set_place(made, None, self.place(node))
        for key in made:
            set_place(made, key, made.where(key) or self.place(node))
        return made

    def put(self, target: Any, key: Any, value: Any, node: ast.AST) -> None:
        """`target[key] = value`, remembering the place."""
        if not isinstance(target, (dict, list)):
            raise ConfigError(f"cannot change an element of a {type(target).__name__}", self.place(node))
        self.budget.weigh(key)
        target[key] = value
        set_place(target, key, self.place(node))

    def _unpack(self, made: PlacedDict, node: ast.expr) -> None:
        source = self.eval(node)
        if not isinstance(source, dict):
            raise ConfigError(f"`**` needs a dict, got {type(source).__name__}", self.place(node))
        for key, value in source.items():
            self.put(made, key, value, node)
            set_place(made, key, (source.where(key) if isinstance(source, PlacedDict) else None) or self.place(node))

    # operators

    def binary(self, operation: ast.operator, left: Any, right: Any) -> Any:
        """The result of `left operation right`."""
        name = type(operation).__name__
        if name not in BINARY:
            raise ConfigError(f"the operator {name} is not supported in a config file")
        self.budget.weigh(left, right)
        return BINARY[name](left, right)

    def _bool_op(self, node: ast.BoolOp) -> Any:
        is_and = isinstance(node.op, ast.And)
        value: Any = None
        for operand in node.values:
            value = self.eval(operand)
            if bool(value) is not is_and:
                break
        return value

    def _compare(self, node: ast.Compare) -> Any:
        left = self.eval(node.left)
        result: Any = True
        for operation, operand in zip(node.ops, node.comparators, strict=True):
            right = self.eval(operand)
            self.budget.weigh(left, right)
            result = COMPARE[type(operation).__name__](left, right)
            if not result:
                break
            left = right
        return result

    def _subscript(self, node: ast.Subscript) -> Any:
        owner, key = self.eval(node.value), self.eval(node.slice)
        self.budget.weigh(key)
        if not isinstance(key, slice) and not isinstance(owner, (dict, list, tuple, str, range)):
            raise ConfigError(f"a {type(owner).__name__} has no elements", self.place(node))
        return owner[key]

    def _slice(self, node: ast.Slice) -> slice:
        return slice(*(None if part is None else self.eval(part) for part in (node.lower, node.upper, node.step)))

    def _joined(self, node: ast.JoinedStr) -> str:
        parts = [self.eval(part) for part in node.values]
        bounded(sum(map(len, parts)))
        return "".join(parts)

    def _formatted(self, node: ast.FormattedValue) -> str:
        spec = self.eval(node.format_spec) if node.format_spec is not None else ""
        return format_value(self.eval(node.value), node.conversion, spec, self.budget)

    # calls

    def _call(self, node: ast.Call) -> Any:
        if isinstance(node.func, ast.Name) and node.func.id == "dict":
            return self._dict_call(node)
        function = self._callee(node.func)
        args = self._elements(node.args)
        kwargs = self._keywords(node)
        self.budget.weigh(*args, *kwargs.values())
        return function(*args, **kwargs)

    def _keywords(self, node: ast.Call) -> PlacedDict:
        made = self._new_dict(node)
        for keyword in node.keywords:
            if keyword.arg is None:
                self._unpack(made, keyword.value)
            elif keyword.arg in made:
                raise ConfigSyntaxError(f"the argument {keyword.arg!r} is given twice", self.place(keyword.value))
            else:
                self.put(made, keyword.arg, self.eval(keyword.value), keyword)
        return made

    def _dict_call(self, node: ast.Call) -> PlacedDict:
        made = self._new_dict(node, *self._elements(node.args))
        self._overlay(made, self._keywords(node))
        return made

    def _overlay(self, target: PlacedDict, source: PlacedDict) -> None:
        for key, value in source.items():
            target[key] = value
            set_place(target, key, source.where(key))

    def _callee(self, node: ast.expr) -> Callable[..., Any]:
        if isinstance(node, ast.Attribute) and base_reference(node.value) != [] and node.attr[:2] != "__":
            owner = self.eval(node.value)
            if not isinstance(owner, AllowedModule):
                return self._method(node, owner)
            if callable(owner.members.get(node.attr)):
                return owner.members[node.attr]  # type: ignore[no-any-return]
        elif isinstance(node, (ast.Name, ast.Lambda, ast.Call, ast.Subscript)):
            function = self.eval(node)
            if callable(function):
                return function  # type: ignore[no-any-return]
        self.refuse(node, f"a call of `{ast.unparse(node)[:60]}`")

    def _method(self, node: ast.Attribute, owner: Any) -> Callable[..., Any]:
        self.budget.weigh(owner)
        if isinstance(owner, PlacedDict) and node.attr == "update":
            return lambda *args, **kwargs: self._overlay(owner, self._new_dict(node, dict(*args, **kwargs)))
        method = find_method(owner, node.attr)
        if method is None:
            self.refuse(node, f"the method {node.attr!r} of a {type(owner).__name__}")
        return method

    def function(self, name: str, arguments: ast.arguments, body: Callable[[], Any]) -> Function:
        """A callable that binds `arguments` in a new scope and evaluates `body` there."""
        surroundings = self.scope
        defaults = [self.eval(node) for node in arguments.defaults]
        names = [argument.arg for argument in (*arguments.posonlyargs, *arguments.args)]
        if arguments.vararg or arguments.kwarg or arguments.kwonlyargs:
            self.refuse(arguments.vararg or arguments.kwarg or arguments.kwonlyargs[0], f"an open signature of {name}")
        optional = dict(zip(names[len(names) - len(defaults) :], defaults, strict=True))

        def run(*args: Any, **kwargs: Any) -> Any:
            scope = Scope(surroundings)
            scope.update({**optional, **dict(zip(names, args, strict=False)), **kwargs})
            if len(args) > len(names) or set(scope) != set(names) or set(names[: len(args)]) & set(kwargs):
                raise ConfigError(f"{name} takes the arguments {names}, got {len(args)} and {sorted(kwargs)}")
            with self.inside(scope):
                return body()

        return Function(name, run)

    # comprehensions

    def _comprehension(self, node: Any, element: ast.expr) -> list[Any]:
        values: list[Any] = []
        self._generate(list(node.generators), lambda: values.append(self.eval(element)))
        return values

    def _dict_comprehension(self, node: ast.DictComp) -> PlacedDict:
        made = self._new_dict(node)
        self._generate(
            list(node.generators), lambda: self.put(made, self.eval(node.key), self.eval(node.value), node.key)
        )
        return made

    def _generate(self, generators: list[ast.comprehension], emit: Callable[[], None]) -> None:
        if not generators:
            emit()
            return
        first, *rest = generators
        if first.is_async:
            self.refuse(first.target, "an asynchronous comprehension")
        values = self.iterate(first.iter)
        with self.inside(Scope(self.scope)):
            for value in values:
                self.assign(first.target, value)
                if all(self.eval(condition) for condition in first.ifs):
                    self._generate(rest, emit)

    # targets

    def assign(self, target: ast.expr, value: Any) -> None:
        """Bind a name, an element or a tuple of targets."""
        if isinstance(target, ast.Name):
            if target.id.startswith("__"):
                self.refuse(target, f"the use of {target.id!r}")
            self.scope[target.id] = value
            set_place(self.scope, target.id, self.place(target))
        elif isinstance(target, ast.Subscript):
            self.put(self.eval(target.value), self.eval(target.slice), value, target)
        elif isinstance(target, (ast.Tuple, ast.List)):
            self._assign_each(target, value)
        else:
            self.refuse(target, f"an assignment to `{ast.unparse(target)[:60]}`")

    def _assign_each(self, target: ast.Tuple | ast.List, value: Any) -> None:
        values = list(value)
        if any(isinstance(element, ast.Starred) for element in target.elts):
            self.refuse(target, "an assignment to a starred name")
        if len(values) != len(target.elts):
            raise ConfigError(f"{len(target.elts)} names for {len(values)} values", self.place(target))
        for element, each in zip(target.elts, values, strict=True):
            self.assign(element, each)


def _operator(node: ast.UnaryOp) -> str:
    return type(node.op).__name__


def base_reference(node: ast.AST) -> list[str] | None:
    """The keys of `_base_.a.b` (an empty list for `_base_` itself), or None for another expression."""
    keys: list[str] = []
    while isinstance(node, ast.Attribute):
        keys.append(node.attr)
        node = node.value
    return keys[::-1] if isinstance(node, ast.Name) and node.id == BASE_KEY else None


def braced_reference(node: ast.AST) -> list[str] | None:
    """The keys of `{{ _base_.a.b }}`, which Python reads as a set within a set, or None."""
    for _ in range(2):
        if not isinstance(node, ast.Set) or len(node.elts) != 1:
            return None
        node = node.elts[0]
    return base_reference(node) or None


def pick(base: Any, keys: list[str], place: str | None) -> Any:
    """A copy of the value of a dotted key of the merged bases."""
    value = base
    for key in keys:
        if not isinstance(value, dict) or key not in value:
            hint = nearest(key, [k for k in value if isinstance(k, str)]) if isinstance(value, dict) else ""
            raise ConfigKeyError(f"the bases have no {'.'.join(keys)!r} (at {key!r}){hint}", place)
        value = value[key]
    return deepcopy(value)
