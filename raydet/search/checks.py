"""Turns the sections of a sweep file into their classes, noting everything that does not fit."""

from __future__ import annotations

import re
from typing import Any, Literal, TypeVar, get_args, get_origin

import msgspec

from raydet.registry import nearest
from raydet.search.tree import KeyPath, Tree

S = TypeVar("S", bound=msgspec.Struct)


def convert(value: Any, kind: type[S], path: KeyPath, tree: Tree) -> S | None:
    """A section as its class, or None after noting in `tree` what is wrong with it: all of it.

    Args:
        value: of the file.
        kind: the class; sections within a section are classes too.
        path: where it stands.
        tree: the file.
    """
    fields = {field.encode_name: field for field in msgspec.structs.fields(kind)}
    if not isinstance(value, dict):
        tree.add(path, f"expected a mapping with some of the keys {', '.join(fields)}, got {value!r}")
        return None
    before = len(tree.problems)
    for key in value:
        if key not in fields:
            hint = nearest(key, fields) or f"; known are {', '.join(fields)}"
            tree.add((*path, key), f"unknown key{hint}")
    given = {}
    for name, field in fields.items():
        if name in value:
            given[field.name] = _field(value[name], field.type, (*path, name), tree)
        elif field.required:
            tree.add(path, f"the key {name!r} is missing")
    return kind(**given) if len(tree.problems) == before else None


def _field(value: Any, kind: Any, path: KeyPath, tree: Tree) -> Any:
    if get_origin(kind) is tuple and _is_section(get_args(kind)[0]) and isinstance(value, list):
        return tuple(convert(each, get_args(kind)[0], (*path, index), tree) for index, each in enumerate(value))
    section = next((each for each in (kind, *get_args(kind)) if _is_section(each)), None)
    if section is not None and value is not None:
        return convert(value, section, path, tree)
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        tree.add(*_explain(str(error), value, kind, path))
        return None


def _is_section(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, msgspec.Struct)


def _explain(message: str, value: Any, kind: Any, path: KeyPath) -> tuple[KeyPath, str]:
    """Place and wording of what msgspec says."""
    words = _words(kind)
    if words and isinstance(value, str):
        return path, f"{value!r} is none of {', '.join(words)}{nearest(value, words)}"
    text, _, inner = message.partition(" - at ")
    for step in re.findall(r"\[(\d+)\]", inner):
        path, value = (*path, int(step)), value[int(step)]
    return path, f"{text[:1].lower()}{text[1:]}".replace("`", "").replace("|", "or") + f": {value!r}"


def _words(kind: Any) -> list[str]:
    """The texts that a type allows, when it allows only some."""
    return [word for each in (kind, *get_args(kind)) if get_origin(each) is Literal for word in get_args(each)]
