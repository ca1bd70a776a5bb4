"""Measure the shape of the code and refuse what grows out of it.

    python tools/shape.py [PATH ...] [--worst N]

For each path: files, lines, median and 90th percentile of file and function length, share of typed functions,
duplicated lines and the deepest inheritance inside the path. Exits 1 when a bound below is passed. Function lengths
leave docstrings out; a line counts as duplicated when it belongs to a run of six or more code lines found twice.
"""

from __future__ import annotations

import argparse
import ast
import statistics
import sys
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

MAX_FILE, MAX_FUNCTION, MAX_DEPTH, MAX_DUPLICATED, MIN_TYPED = 500, 80, 2, 6.0, 95.0
RUN = 6  # consecutive equal code lines that make a copy
MIN_CHARACTERS = 60  # of a run; shorter ones are closing brackets and the like

Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass
class Source:
    """What one file contributes."""

    path: Path
    num_lines: int
    code: list[str]
    functions: dict[str, int] = field(default_factory=dict)  # "path:line name" -> lines without docstring
    num_typed: int = 0
    bases: dict[str, list[str]] = field(default_factory=dict)


def read(path: Path) -> Source:
    """Parse one file."""
    text = path.read_text(encoding="utf-8")
    tree = ast.parse(text)
    lines = text.splitlines()
    silent = _silent_lines(tree)
    numbered = ((number, line.strip()) for number, line in enumerate(lines, 1))
    code = [line for number, line in numbered if line and not line.startswith("#") and number not in silent]
    source = Source(path, len(lines), code)
    for node in ast.walk(tree):
        if isinstance(node, Function):
            source.functions[f"{path}:{node.lineno} {node.name}"] = _length(node)
            source.num_typed += _is_typed(node)
        elif isinstance(node, ast.ClassDef):
            names = [base.attr if isinstance(base, ast.Attribute) else getattr(base, "id", "") for base in node.bases]
            source.bases[node.name] = [name for name in names if name]
    return source


def _silent_lines(tree: ast.AST) -> set[int]:
    """Lines of imports and of bare strings, which never count as copies."""
    silent: set[int] = set()
    for node in ast.walk(tree):
        is_text = (
            isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
        )
        if isinstance(node, ast.stmt) and (is_text or isinstance(node, (ast.Import, ast.ImportFrom))):
            silent.update(range(node.lineno, (node.end_lineno or node.lineno) + 1))
    return silent


def _length(node: Function) -> int:
    docstring = node.body[0] if ast.get_docstring(node) is not None else None
    hidden = (docstring.end_lineno or 0) - docstring.lineno + 1 if docstring else 0
    return (node.end_lineno or node.lineno) - node.lineno + 1 - hidden


def _is_typed(node: Function) -> bool:
    arguments = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
    named = [argument for argument in arguments if argument.arg not in ("self", "cls")]
    has_return = node.returns is not None or node.name == "__init__"
    return has_return and all(argument.annotation is not None for argument in named)


def num_duplicated(sources: list[Source]) -> int:
    """Number of code lines that stand somewhere else as well."""
    places: dict[tuple[str, ...], list[tuple[int, int]]] = defaultdict(list)
    for index, source in enumerate(sources):
        for start in range(len(source.code) - RUN + 1):
            run = tuple(source.code[start : start + RUN])
            if sum(map(len, run)) >= MIN_CHARACTERS:
                places[run].append((index, start))
    copies = {
        (index, start + k) for found in places.values() if len(found) > 1 for index, start in found for k in range(RUN)
    }
    return len(copies)


def depths(sources: list[Source]) -> dict[str, int]:
    """Number of ancestors of every class that are defined in the same path."""
    bases = {name: parents for source in sources for name, parents in source.bases.items()}

    def depth(name: str, seen: frozenset[str]) -> int:
        parents = [parent for parent in bases[name] if parent in bases and parent not in seen]
        return max((1 + depth(parent, seen | {parent}) for parent in parents), default=0)

    return {name: depth(name, frozenset({name})) for name in bases}


def violations(sources: list[Source]) -> Iterator[str]:
    """Every bound that is passed, in words."""
    for source in sources:
        if source.num_lines > MAX_FILE:
            yield f"{source.path}: {source.num_lines} lines, at most {MAX_FILE}"
        for place, length in source.functions.items():
            if length > MAX_FUNCTION:
                yield f"{place}: {length} lines, at most {MAX_FUNCTION}"
    for name, depth in depths(sources).items():
        if depth > MAX_DEPTH:
            yield f"class {name}: {depth} ancestors inside the package, at most {MAX_DEPTH}"
    numbers = measure(sources)
    if numbers["duplicated %"] > MAX_DUPLICATED:
        yield f"{numbers['duplicated %']:.1f} % of the lines are duplicated, at most {MAX_DUPLICATED} %"
    if numbers["typed %"] < MIN_TYPED:
        yield f"{numbers['typed %']:.1f} % of the functions are typed, at least {MIN_TYPED} %"


def measure(sources: list[Source]) -> dict[str, float]:
    """The row of the table."""
    files = sorted(source.num_lines for source in sources)
    functions = sorted(length for source in sources for length in source.functions.values()) or [0]
    num_code = max(sum(len(source.code) for source in sources), 1)
    return {
        "files": len(files),
        "lines": sum(files),
        "file p50": statistics.median(files),
        "file p90": files[int(0.9 * (len(files) - 1))],
        "function p50": statistics.median(functions),
        "function p90": functions[int(0.9 * (len(functions) - 1))],
        "functions > 60 %": 100 * sum(length > 60 for length in functions) / len(functions),
        "typed %": 100 * sum(source.num_typed for source in sources) / len(functions),
        "duplicated %": 100 * num_duplicated(sources) / num_code,
        "deepest class": max(depths(sources).values(), default=0),
    }


def main(argv: list[str] | None = None) -> int:
    """Print the table, the worst places and every violation."""
    parser = argparse.ArgumentParser(description="Measure the shape of the code and refuse what grows out of it.")
    parser.add_argument("paths", nargs="*", type=Path, default=[Path("raydet"), Path("ops"), Path("tools")])
    parser.add_argument("--worst", type=int, default=0, help="also list the N longest files and functions")
    args = parser.parse_args(argv)
    failures: list[str] = []
    for root in args.paths:
        sources = [source for source in map(read, sorted(root.rglob("*.py"))) if source.code]
        print(f"{root}: " + ", ".join(f"{name} {value:.4g}" for name, value in measure(sources).items()))
        for source in sorted(sources, key=lambda s: -s.num_lines)[: args.worst]:
            print(f"  {source.num_lines:5d} {source.path}")
        lengths = {place: length for source in sources for place, length in source.functions.items()}
        for place in sorted(lengths, key=lambda p: -lengths[p])[: args.worst]:
            print(f"  {lengths[place]:5d} {place}")
        failures += violations(sources)
    for failure in failures:
        print(failure, file=sys.stderr)
    return 1 if failures else 0


if __name__ == "__main__":
    raise SystemExit(main())
