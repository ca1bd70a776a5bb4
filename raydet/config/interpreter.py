"""Reads a Python config by interpreting a harmless part of the language, or by executing it when it is trusted."""

from __future__ import annotations

import ast
import types
from collections.abc import Callable
from typing import Any

from raydet.config.allowed import AllowedModule, bounded, import_module
from raydet.config.config_dict import PlacedDict, set_place
from raydet.config.errors import ConfigError, ConfigSyntaxError
from raydet.config.expressions import BASE_KEY, Control, Expressions, Function, base_reference, braced_reference, pick

BaseLoader = Callable[[Any], dict[Any, Any]]


def evaluate_python(text: str, file: str, load_bases: BaseLoader, trust: bool = False) -> PlacedDict:
    """The top-level names of a Python config and their values.

    Args:
        text: source of the file.
        file: its name in messages and places.
        load_bases: turns the value of `_base_` into the merged bases, for references to them.
        trust: execute the file instead of interpreting it.

    Raises:
        ConfigSyntaxError: not valid Python.
        ConfigError: the file asks for something that needs `trust`, or its evaluation fails.
    """
    tree = _parse(text, file)
    names = _execute(tree, file, load_bases) if trust else Interpreter(file, tree, load_bases).run()
    found = PlacedDict()
    for name, value in names.items():
        if not name.startswith("__") and not _is_tool(value):
            found[name] = value
            set_place(found, name, names.where(name))
    return found


def _is_tool(value: Any) -> bool:
    """Whether a value helps to write a config, like a module or function, and is no part of it."""
    return isinstance(value, (AllowedModule, Function, types.ModuleType, types.FunctionType, types.BuiltinFunctionType))


def _parse(text: str, file: str) -> ast.Module:
    try:
        return ast.parse(text, file)
    except SyntaxError as error:
        raise ConfigSyntaxError(f"not valid Python: {error.msg}", f"{file}:{error.lineno or 1}") from error
    except (ValueError, RecursionError, MemoryError) as error:
        raise ConfigSyntaxError(f"cannot be read as Python: {error or 'nested too deeply'}", f"{file}:1") from error


class _Return(Control):
    def __init__(self, value: Any) -> None:
        self.value = value


class Interpreter(Expressions):
    """Runs the statements of a config: assignments, imports of harmless modules, `if`, `for`, small functions."""

    def __init__(self, file: str, tree: ast.Module, load_bases: BaseLoader) -> None:
        super().__init__(file, self._merged_bases)
        self._tree = tree
        self._load_bases = load_bases
        self._bases: dict[Any, Any] | None = None
        self._statements: dict[type[ast.AST], Callable[[Any], None]] = {
            ast.Assign: self._assign,
            ast.AnnAssign: self._annotated,
            ast.AugAssign: self._augmented,
            ast.Expr: lambda node: None if isinstance(node.value, ast.Constant) else self._discard(node.value),
            ast.Pass: lambda node: None,
            ast.Delete: self._delete,
            ast.If: lambda node: self._block(node.body if self.eval(node.test) else node.orelse),
            ast.For: self._for,
            ast.Assert: self._assert,
            ast.Import: self._import,
            ast.ImportFrom: self._import_from,
            ast.FunctionDef: self._define,
            ast.Return: self._return,
        }

    def run(self) -> PlacedDict:
        """Interpret the file and return its names."""
        try:
            with self.located(self._tree):
                self._block(self._tree.body)
                self.budget.weigh(dict(self.scope))
        except RecursionError as error:
            raise ConfigError("nested or recursive too deeply", f"{self.file}:1") from error
        except _Return as error:
            raise ConfigSyntaxError("'return' outside of a function", f"{self.file}:1") from error
        return self.scope

    def _merged_bases(self) -> dict[Any, Any]:
        if self._bases is None:
            if BASE_KEY not in self.scope:
                raise ConfigError(f"a reference to {BASE_KEY} stands before {BASE_KEY} = ... (or without it)")
            self._bases = self._load_bases(self.scope[BASE_KEY])
        return self._bases

    def _block(self, body: list[ast.stmt]) -> None:
        for statement in body:
            handler = self._statements.get(type(statement))
            if handler is None:
                self.refuse(statement, f"a statement of the kind {type(statement).__name__}")
            with self.located(statement):
                handler(statement)

    def _discard(self, node: ast.expr) -> None:
        self.eval(node)

    def _assign(self, node: ast.Assign) -> None:
        value = self.eval(node.value)
        for target in node.targets:
            self.assign(target, value)

    def _annotated(self, node: ast.AnnAssign) -> None:
        if node.value is not None:
            self.assign(node.target, self.eval(node.value))

    def _augmented(self, node: ast.AugAssign) -> None:
        current: ast.expr = ast.copy_location(_as_load(node.target), node.target)
        old, extra = self.eval(current), self.eval(node.value)
        if isinstance(old, list) and isinstance(node.op, ast.Add):
            self.budget.weigh(old, extra)
            bounded(len(old) + len(extra))
            old.extend(extra)
            self.assign(node.target, old)
        else:
            self.assign(node.target, self.binary(node.op, old, extra))

    def _delete(self, node: ast.Delete) -> None:
        for target in node.targets:
            if isinstance(target, ast.Name):
                del self.scope[target.id]
            elif isinstance(target, ast.Subscript):
                del self.eval(target.value)[self.eval(target.slice)]
            else:
                self.refuse(target, f"`del {ast.unparse(target)[:60]}`")

    def _for(self, node: ast.For) -> None:
        for value in self.iterate(node.iter):
            self.assign(node.target, value)
            self._block(node.body)
        self._block(node.orelse)

    def _assert(self, node: ast.Assert) -> None:
        if not self.eval(node.test):
            detail = self.eval(node.msg) if node.msg is not None else ast.unparse(node.test)
            raise ConfigError(f"assertion failed: {detail}")

    def _import(self, node: ast.Import) -> None:
        for alias in node.names:
            module = import_module(alias.name)
            package = import_module(alias.name.split(".")[0])
            if module is None or package is None:
                self.refuse(node, f"`import {alias.name}`")
            self.scope[alias.asname or package.name] = module if alias.asname else package

    def _import_from(self, node: ast.ImportFrom) -> None:
        module = import_module(node.module or "") if node.level == 0 else None
        for alias in node.names:
            if module is None or alias.name not in module.members:
                self.refuse(node, f"`{ast.unparse(node)[:60]}`")
            self.scope[alias.asname or alias.name] = module.members[alias.name]

    def _define(self, node: ast.FunctionDef) -> None:
        if node.decorator_list:
            self.refuse(node, "a decorator")
        self.scope[node.name] = self.function(node.name, node.args, lambda: self._body(node.body))

    def _body(self, body: list[ast.stmt]) -> Any:
        try:
            self._block(body)
        except _Return as result:
            return result.value
        return None

    def _return(self, node: ast.Return) -> None:
        raise _Return(None if node.value is None else self.eval(node.value))


def _as_load(target: ast.expr) -> ast.expr:
    if isinstance(target, ast.Name):
        return ast.Name(target.id, ast.Load())
    if isinstance(target, ast.Subscript):
        return ast.Subscript(target.value, target.slice, ast.Load())
    return target


class _BaseReferences(ast.NodeTransformer):
    """Turns `_base_.a.b` and `{{ _base_.a.b }}` into calls, for execution."""

    def generic_visit(self, node: ast.AST) -> ast.AST:
        keys = braced_reference(node) or base_reference(node)
        if not keys:
            return super().generic_visit(node)
        call = ast.parse(f"__base_value__({keys!r}, {getattr(node, 'lineno', 1)})", mode="eval").body
        return ast.fix_missing_locations(ast.copy_location(call, node))


def _execute(tree: ast.Module, file: str, load_bases: BaseLoader) -> PlacedDict:
    """Run a trusted file as Python; keys get the line of the top-level statement that wrote them."""
    names = PlacedDict(__file__=file, __name__="__config__")

    def base_value(keys: list[str], line: int) -> Any:
        return pick(load_bases(names.get(BASE_KEY, [])), keys, f"{file}:{line}")

    names["__base_value__"] = base_value
    exec(compile(_BaseReferences().visit(tree), file, "exec"), names)
    for statement in tree.body:
        for node in ast.walk(statement):
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store) and node.id in names:
                place = f"{file}:{statement.lineno}"
                names[node.id] = _placed(names[node.id], place)
                set_place(names, node.id, place)
    return names


def _placed(value: Any, place: str) -> Any:
    if isinstance(value, dict):
        made = PlacedDict({key: _placed(item, place) for key, item in value.items()})
        for key in (None, *made):
            set_place(made, key, place)
        return made
    return type(value)(_placed(item, place) for item in value) if type(value) in (list, tuple) else value
