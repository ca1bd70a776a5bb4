"""Reads YAML and JSON configs, with the line of every key."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import yaml

from raydet.config.config_dict import PlacedDict, set_place
from raydet.config.errors import ConfigError, ConfigSyntaxError
from raydet.config.limits import measure


class _Loader(yaml.SafeLoader):
    """Safe YAML that also knows tuples, which 2.x writes."""


def _construct_tuple(loader: _Loader, node: yaml.Node) -> tuple[Any, ...]:
    assert isinstance(node, yaml.SequenceNode)
    return tuple(loader.construct_sequence(node, deep=True))


_Loader.add_constructor("tag:yaml.org,2002:python/tuple", _construct_tuple)


def read_document(text: str, file: str, is_json: bool = False) -> PlacedDict:
    """The mapping in a YAML or JSON text.

    Raises:
        ConfigSyntaxError: not valid, or a tag that would make Python objects.
        ConfigError: not a mapping, or too large when its aliases are written out.
    """
    try:
        value, node = _read_json(text) if is_json else _read_yaml(text)
    except json.JSONDecodeError as error:
        raise ConfigSyntaxError(f"not valid JSON: {error.msg}", f"{file}:{error.lineno}") from error
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise ConfigSyntaxError(f"not valid YAML: {error.problem}", f"{file}:{line}") from error
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        if isinstance(error, ConfigError):
            error.place = f"{file}:1"
            raise
        raise ConfigSyntaxError(f"cannot be read: {error}", f"{file}:1") from error
    if not isinstance(value, dict):
        raise ConfigError(f"a config is a mapping of keys to values, got {type(value).__name__}", f"{file}:1")
    return _place(value, node, file)  # type: ignore[no-any-return]


def compose(text: str, loader_type: type[yaml.SafeLoader]) -> yaml.Node | None:
    """The nodes of a YAML text, whose size is bounded also when its aliases are written out; None for an empty one.

    Raises:
        yaml.MarkedYAMLError: not valid.
        ConfigError: it would be too large, nests too deeply, or contains itself.
    """
    loader = loader_type(text)
    try:
        node = loader.get_single_node()
        if node is not None:
            measure(node, _parts)  # aliases and merge keys share nodes, so this bounds both
        return node
    finally:
        loader.dispose()


def _read_yaml(text: str) -> tuple[Any, yaml.Node | None]:
    node = compose(text, _Loader)
    return ({}, None) if node is None else (_Loader("").construct_document(node), node)


def _read_json(text: str) -> tuple[Any, yaml.Node | None]:
    value = json.loads(text)
    try:
        return value, yaml.compose(text, _Loader)
    except yaml.YAMLError:  # such as tabs between tokens: valid JSON, but without line numbers
        return value, None


def _parts(node: Any) -> Iterable[Any]:
    if isinstance(node, yaml.MappingNode):
        return [part for pair in node.value for part in pair]
    return node.value if isinstance(node, yaml.SequenceNode) else ()


def _place(value: Any, node: yaml.Node | None, file: str) -> Any:
    """`value` with its mappings turned into dicts that know the lines of `node`, nothing shared."""
    if isinstance(value, dict):
        pairs = node.value if isinstance(node, yaml.MappingNode) else []
        nodes = {key.value: (key, child) for key, child in pairs if isinstance(key, yaml.ScalarNode)}
        made = PlacedDict()
        for key, item in value.items():
            key_node, child = nodes.get(str(key), (None, None))
            made[key] = _place(item, child, file)
            set_place(made, key, f"{file}:{key_node.start_mark.line + 1}" if key_node else None)
        set_place(made, None, f"{file}:{node.start_mark.line + 1}" if node else None)
        return made
    if isinstance(value, (list, tuple)):
        nodes_of = node.value if isinstance(node, yaml.SequenceNode) else [None] * len(value)
        return type(value)(_place(item, child, file) for item, child in zip(value, nodes_of, strict=True))
    return value
