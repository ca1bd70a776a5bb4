"""Writes a config as Python, YAML or JSON that reads back as the same config."""

from __future__ import annotations

import json
import keyword
import unicodedata
from typing import Any

import yaml

from raydet.config.errors import ConfigKeyError
from raydet.config.nested import plain_copy

WIDTH = 100
_INDENT = 4


def to_python(values: dict[Any, Any]) -> str:
    """Assignments, one per top-level key; `dict(...)` where keys are names.

    Raises:
        ConfigKeyError: a top-level key is no Python name.
    """
    for key in values:
        if not _is_name(key):
            raise ConfigKeyError(f"the key {key!r} is no Python name; write this config as YAML or JSON")
    return "".join(f"{key} = {_render(value, 0, len(key) + 3)}\n" for key, value in values.items())


def _render(value: Any, indent: int, used: int) -> str:
    """One line if it fits behind `used` characters, else one line per element."""
    line = _on_one_line(value)
    if indent + used + len(line) <= WIDTH or not isinstance(value, (dict, list, tuple)) or not value:
        return line
    opening, parts, closing = _split(value)
    inner = indent + _INDENT
    lines = [f"{' ' * inner}{label}{_render(item, inner, len(label) + 1)}" for label, item in parts]
    comma = "," if type(value) is tuple and len(value) == 1 else ""
    return f"{opening}\n" + ",\n".join(lines) + comma + closing


def _on_one_line(value: Any) -> str:
    if not isinstance(value, (dict, list, tuple)):
        return repr(value)
    opening, parts, closing = _split(value)
    comma = "," if type(value) is tuple and len(value) == 1 else ""
    return opening + ", ".join(f"{label}{_on_one_line(item)}" for label, item in parts) + comma + closing


def _split(value: Any) -> tuple[str, list[tuple[str, Any]], str]:
    """Opening, labelled elements and closing of a container."""
    if isinstance(value, dict):
        if all(_is_name(key) for key in value):
            return "dict(", [(f"{key}=", item) for key, item in value.items()], ")"
        return "{", [(f"{key!r}: ", item) for key, item in value.items()], "}"
    opening, closing = ("(", ")") if isinstance(value, tuple) else ("[", "]")
    return opening, [("", item) for item in value], closing


def _is_name(key: Any) -> bool:
    if not isinstance(key, str) or not key.isidentifier() or keyword.iskeyword(key):
        return False
    return unicodedata.normalize("NFKC", key) == key  # as Python itself does to names


def to_json(values: dict[Any, Any]) -> str:
    """JSON; tuples become arrays."""
    return json.dumps(values, indent=2) + "\n"


def to_yaml(values: dict[Any, Any]) -> str:
    """YAML; tuples become sequences."""
    lists = plain_copy(values, tuples=False)
    return str(yaml.dump(lists, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=WIDTH))


class _Dumper(yaml.SafeDumper):
    """Writes shared values out, so that every key can be edited alone."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _represent_text(dumper: _Dumper, text: str) -> yaml.ScalarNode:
    # PyYAML loses these line separators in every other style
    quoted = any(character in text for character in "\x85\u2028\u2029\ufeff")
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style='"' if quoted else None)


_Dumper.add_representer(str, _represent_text)


WRITERS = {".py": to_python, ".json": to_json, ".yaml": to_yaml, ".yml": to_yaml}
