"""Dotted keys of a config: `model.bbox_head.loss_cls`, `data.train.pipeline.RandomFlip.flip_ratio`, `stages.*.loss`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from raydet.config import ConfigKeyError
from raydet.registry import nearest

EVERY = "*"


def expand(key: str, values: Any, new: bool = False) -> list[str]:
    """The keys that a key of a sweep file stands for, with list elements by number.

    Args:
        key: an element of a list is named by its number, by its `type` if only one has it, or all by `*`.
        values: the config.
        new: what does not exist is kept as written.

    Raises:
        ConfigKeyError: there is no such key; the message has the nearest one.
    """
    found: list[tuple[list[str], Any]] = [([], values)]
    parts = key.split(".")
    for position, part in enumerate(parts):
        if new and not all(_children(node, part) for _, node in found):
            return [".".join([*walked, *parts[position:]]) for walked, _ in found]
        found = [
            ([*walked, name], child)
            for walked, node in found
            for name, child in _children(node, part) or _missing(key, part, walked, node, values)
        ]
    return [".".join(walked) for walked, _ in found]


def look_up(key: str, values: Any, default: Any = None) -> Any:
    """The value of an expanded key, or a default."""
    for part in key.split("."):
        children = _children(values, part)
        if not children:
            return default
        values = children[0][1]
    return values


def relative(key: str, place: str) -> str:
    """The key that `.x` (a neighbour of `place`) or `..x` (of what holds it) stands for; others are returned as is."""
    name = key.lstrip(".")
    ups = len(key) - len(name)
    if not ups:
        return key
    holders = place.split(".")[:-ups]
    if ups > place.count(".") + 1:
        raise ConfigKeyError(f"{key!r} leads out of the config from {place!r}")
    return ".".join([*holders, name])


def all_keys(values: Any, prefix: str = "") -> Iterator[str]:
    """Every dotted key of a config; elements of lists by number."""
    items = values.items() if isinstance(values, dict) else enumerate(values) if isinstance(values, list) else ()
    for key, value in items:
        yield f"{prefix}{key}"
        yield from all_keys(value, f"{prefix}{key}.")


def _children(node: Any, part: str) -> list[tuple[str, Any]]:
    """What a part of a key stands for within a dict or list, by the name or number of each."""
    if isinstance(node, dict):
        named = [(str(key), value) for key, value in node.items()]
        return named if part == EVERY else [(key, value) for key, value in named if key == part]
    if not isinstance(node, (list, tuple)):
        return []
    numbered = [(str(index), value) for index, value in enumerate(node)]
    if part == EVERY:
        return numbered
    of_type = [(i, value) for i, value in numbered if isinstance(value, dict) and value.get("type") == part]
    return of_type if len(of_type) == 1 else [(i, value) for i, value in numbered if i == part]


def _missing(key: str, part: str, walked: list[str], node: Any, values: Any) -> list[tuple[str, Any]]:
    """Raise the error for a part that stands for nothing."""
    hint = nearest(key, _names(values))
    if isinstance(node, (list, tuple)):
        hint += f" ({'.'.join(walked)} is a list of {len(node)} elements)"
    elif not isinstance(node, dict):
        hint += f" ({'.'.join(walked)} is {node!r})"
    raise ConfigKeyError(f"the base config has no key {key!r}{hint}")


def _names(values: Any, prefix: str = "") -> Iterator[str]:
    """Every dotted key as one would write it: elements of lists by their type if only one has it."""
    if isinstance(values, dict):
        pairs = [(str(key), value) for key, value in values.items()]
    elif isinstance(values, list):
        types = [each.get("type") if isinstance(each, dict) else None for each in values]
        named = [str(each) if each and types.count(each) == 1 else str(index) for index, each in enumerate(types)]
        pairs = list(zip(named, values, strict=True))
    else:
        return
    for name, value in pairs:
        yield f"{prefix}{name}"
        yield from _names(value, f"{prefix}{name}.")
