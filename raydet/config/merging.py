"""How one config is laid over another."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from typing import Any

from raydet.config.config_dict import PlacedDict, set_place
from raydet.config.errors import ConfigKeyError, ConfigTypeError

DELETE_KEY = "_delete_"


def merge(new: Mapping[Any, Any], old: Any, list_keys: bool = False, path: str = "") -> Any:
    """Lay `new` over `old` and return the result; neither is changed, unmodified parts are shared.

    A dict is merged into the dict of the same key, unless it says `_delete_=True`, which replaces it. Anything else
    replaces what was there. The place of a key is that of its last writer.

    Args:
        new: the upper layer.
        old: the lower layer: a dict, or a list when `list_keys`.
        list_keys: digits address the elements of lists.
        path: dotted key of `old`, for messages.

    Raises:
        ConfigTypeError: a dict is laid over something that is not one.
        ConfigKeyError: a list has no such element.
    """
    merged = old.copy()
    for key, value in new.items():
        where = f"{path}.{key}" if path else str(key)
        if isinstance(old, list):
            index = _index(key, old, where)
            merged[index] = _merge_value(value, old[index], list_keys, where, new, key)
            continue
        merged[key] = _merge_value(value, old[key], list_keys, where, new, key) if key in old else value
        set_place(merged, key, _place(new, key))
    return merged


def _merge_value(value: Any, old: Any, list_keys: bool, path: str, new: Mapping[Any, Any], key: Any) -> Any:
    if not isinstance(value, dict):
        return value
    if value.get(DELETE_KEY, False):
        return _without_delete(value)
    if not isinstance(old, (dict, list) if list_keys else dict):
        raise ConfigTypeError(
            f"{path} is a dict here, but replaces {old!r} of type {type(old).__name__}, and dicts are merged only "
            f"into dicts; add {DELETE_KEY}=True to replace it",
            _place(new, key),
        )
    return merge(_without_delete(value), old, list_keys, path)


def _without_delete(value: dict[Any, Any]) -> dict[Any, Any]:
    if DELETE_KEY not in value:
        return value
    value = value.copy()
    del value[DELETE_KEY]
    return value


def _index(key: Any, old: list[Any], path: str) -> int:
    text = str(key)
    if not text.isdecimal():
        raise ConfigTypeError(f"{path}: the value is a list, so an index was expected, not {key!r}")
    if int(text) >= len(old):
        raise ConfigKeyError(f"{path}: index {text} is beyond the end of a list of {len(old)} elements")
    return int(text)


def _place(source: Mapping[Any, Any], key: Any) -> str | None:
    return source.where(key) if isinstance(source, PlacedDict) else None


def nest(options: Mapping[str, Any]) -> PlacedDict:
    """Turn `{"a.b.c": 1}` into `{"a": {"b": {"c": 1}}}`."""
    tree = PlacedDict()
    for dotted, value in options.items():
        *parents, last = dotted.split(".")
        node: dict[Any, Any] = tree
        for parent in parents:
            child = node.setdefault(parent, PlacedDict())
            if not isinstance(child, dict):
                raise ConfigTypeError(f"{dotted}: {parent!r} is given as {child!r} by another option, not as a dict")
            node = child
        node[last] = deepcopy(value)
    return tree
