"""Bounds on what a config file may ask for, so that opening one can neither hang nor fill the memory."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from raydet.config.errors import ConfigError

MAX_STEPS = 300_000
"""Evaluations of expressions and visits to elements, per file."""
MAX_VALUES = 500_000
"""Values in a config, counting what is shared as often as it occurs, and long texts several times."""
MAX_DEPTH = 60
"""Containers within containers."""
MAX_LENGTH = 100_000
"""Characters of a text or elements of a sequence made by an operation."""
MAX_BITS = 1024
"""Bits of an integer made by an operation."""
MAX_FILE = 10_000_000
"""Bytes of a config file."""
MAX_BASES = 50
"""Config files that inherit from each other in a row."""
MAX_FILES = 500
"""Config files opened for one config."""


class Budget:
    """Counts the work done for one file."""

    def __init__(self, steps: int = MAX_STEPS) -> None:
        self._left = steps

    def spend(self, steps: int = 1) -> None:
        """Raise ConfigError once all steps are used up."""
        self._left -= steps
        if self._left < 0:
            raise ConfigError(f"evaluating the file takes more than {MAX_STEPS} steps; write the values out instead")

    def weigh(self, *values: Any) -> None:
        """Spend a step for each distinct container within `values` and refuse those that are too large or too deep.

        Structures that share parts can be exponentially larger than their memory, so this comes before every
        operation that would walk through them.
        """
        for value in values:
            if isinstance(value, (dict, list, tuple, set, frozenset)):
                self.spend(measure(value, _children))

    def charge(self, value: Any) -> None:
        """Spend steps for a text or sequence that was made, in proportion to its length."""
        if isinstance(value, (str, bytes, list, tuple)):
            self.spend(len(value) // 10)


def _children(value: Any) -> Iterable[Any]:
    if isinstance(value, dict):
        return [*value.keys(), *value.values()]
    return value if isinstance(value, (list, tuple, set, frozenset)) else ()


def _weight(value: Any) -> int:
    if isinstance(value, (str, bytes)):
        return 1 + len(value) // 16
    return 1 + value.bit_length() // 64 if isinstance(value, int) else 1


def measure(root: Any, children: Callable[[Any], Iterable[Any]]) -> int:
    """Walk through a structure once and return the number of distinct nodes in it.

    Raises:
        ConfigError: it contains itself, nests too deeply, or would be too large when written out.
    """
    sizes: dict[int, int] = {}
    open_nodes: set[int] = set()

    def visit(node: Any, depth: int) -> int:
        if depth > MAX_DEPTH:
            raise ConfigError(f"the value nests deeper than {MAX_DEPTH} levels")
        if id(node) in open_nodes:
            raise ConfigError("the value contains itself")
        if id(node) not in sizes:
            open_nodes.add(id(node))
            sizes[id(node)] = _weight(node) + sum(visit(child, depth + 1) for child in children(node))
            open_nodes.discard(id(node))
        if sizes[id(node)] > MAX_VALUES:
            raise ConfigError(f"the value consists of more than {MAX_VALUES} values when written out")
        return sizes[id(node)]

    visit(root, 0)
    return len(sizes)
