"""Values in dicts, lists and tuples within each other."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any


def map_leaves(change: Callable[[Any], Any], value: Any, tuples: bool = True) -> Any:
    """The same containers with changed leaves; mappings of any kind become dicts.

    Args:
        change: gets whatever is no mapping, list or tuple; subclasses of these two, which may be made in other ways,
            count as leaves.
        value: a leaf or a container.
        tuples: False makes plain lists of tuples, and of subclasses.
    """
    if isinstance(value, Mapping):
        return {key: map_leaves(change, each, tuples) for key, each in value.items()}
    if not tuples and isinstance(value, (list, tuple)):
        return [map_leaves(change, each, tuples) for each in value]
    if type(value) in (list, tuple):
        return type(value)(map_leaves(change, each) for each in value)
    return change(value)


def plain_copy(value: Any, tuples: bool = True) -> Any:
    """The same leaves in new, plain containers; see `map_leaves`."""
    return map_leaves(lambda leaf: leaf, value, tuples)
