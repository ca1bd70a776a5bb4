"""What a check found wrong, each with the key at which it stands."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

PLACEHOLDER = re.compile(r"<[A-Z][A-Z0-9_]*>")


class Problem(NamedTuple):
    """A mistake in a file: its key, dotted, and what is wrong there."""

    key: str
    text: str

    def __str__(self) -> str:
        return f"{self.key or 'the file'}: {self.text}"


def dotted(path: Iterable[Any]) -> str:
    """`a.b[0]` of the keys and positions `a`, `b`, 0."""
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)
    return text.removeprefix(".")


def schema_problems(document: Any, schema: Mapping[str, Any]) -> Iterator[Problem]:
    """Where a document is not as a JSON schema (draft 7) wants it; an unknown key stands under its own name."""
    from jsonschema import Draft7Validator

    for error in Draft7Validator(schema).iter_errors(document):
        path = list(error.absolute_path)
        if error.validator == "additionalProperties":
            known = error.schema.get("properties", {})
            for key in sorted(set(error.instance) - set(known)):
                yield unknown(dotted([*path, key]), key, known)
        else:
            yield Problem(dotted(path), _shortened(error.message))


def unknown(where: str, key: str, known: Iterable[str]) -> Problem:
    """A key that nobody reads, with the one that was perhaps meant."""
    near = difflib.get_close_matches(key, list(known), n=1)
    return Problem(where, f"unknown key{f', did you mean {near[0]!r}?' if near else ''}")


def unknown_keys(section: Mapping[str, Any], known: Iterable[str], where: str) -> Iterator[Problem]:
    """The keys of a section that nobody reads."""
    known = list(known)
    for key in section:
        if key not in known:
            yield unknown(f"{where}.{key}", key, known)


def placeholders(document: Any) -> dict[str, list[str]]:
    """The `<NAMES>` that are left to fill in, with the keys at which they stand."""
    found: dict[str, list[str]] = {}
    for path, text in _texts(document, []):
        for name in PLACEHOLDER.findall(text):
            keys = found.setdefault(name, [])
            if dotted(path) not in keys:
                keys.append(dotted(path))
    return found


def _texts(value: Any, path: list[Any]) -> Iterator[tuple[list[Any], str]]:
    if isinstance(value, dict):
        for key, part in value.items():
            yield [*path, key], str(key)
            yield from _texts(part, [*path, key])
    elif isinstance(value, list):
        for number, part in enumerate(value):
            yield from _texts(part, [*path, number])
    elif isinstance(value, str):
        yield path, value


def _shortened(message: str) -> str:
    return message if len(message) <= 200 else f"{message[:120]} ... {message[-60:]}"
