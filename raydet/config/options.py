"""Values given on the command line: `--cfg-options model.backbone.depth=101 "workflow=[(train,1),(val,1)]"`."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from typing import Any

_BRACKETS = {"(": ")", "[": "]"}
_WORDS = {"true": True, "false": False}


class DictAction(argparse.Action):
    """Collects `key=value` arguments into a dict of dotted keys for `Config.merge_from_dict`."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: str | Sequence[Any] | None,
        option_string: str | None = None,
    ) -> None:
        options = dict(getattr(namespace, self.dest, None) or {})
        for argument in [values] if isinstance(values, str) else values or []:
            key, equals, text = str(argument).partition("=")
            if not equals or not key:
                raise argparse.ArgumentError(self, f"expected KEY=VALUE, got {argument!r}")
            try:
                options[key] = parse_value(text)
            except ValueError as error:
                raise argparse.ArgumentError(self, f"{argument!r}: {error}") from error
        setattr(namespace, self.dest, options)


def parse_value(text: str) -> Any:
    """The value of a command-line text.

    `1` and `1e-3` are numbers, `true` and `None` what they say, `[..]` and `..,..` lists, `(..)` tuples, all of them
    nested as wished; anything else is a text. Quotes around the whole are dropped.

    Raises:
        ValueError: brackets do not match.
    """
    text = text.strip().strip("'\"")
    closing = _BRACKETS.get(text[:1])
    if closing and _matching(text) == len(text) - 1:
        items = [parse_value(part) for part in _split(text[1:-1])]
        return tuple(items) if closing == ")" else items
    if "," in text:
        return [parse_value(part) for part in _split(text)]
    return _scalar(text)


def _scalar(text: str) -> Any:
    for number in (int, float):
        try:
            return number(text)
        except ValueError:
            continue
    if text == "None":
        return None
    return _WORDS.get(text.lower(), text)


def _split(text: str) -> Iterator[str]:
    """The parts between the commas that stand outside of brackets; a last empty part does not count."""
    start = 0
    for position, depth in _depths(text):
        if text[position] == "," and depth == 0:
            yield text[start:position]
            start = position + 1
    if text[start:].strip():
        yield text[start:]


def _matching(text: str) -> int:
    """Where the bracket that opens `text` is closed."""
    return next((position for position, depth in _depths(text) if depth == 0), -1)


def _depths(text: str) -> Iterator[tuple[int, int]]:
    """Each position with the number of brackets that are open behind it."""
    expected: list[str] = []
    for position, character in enumerate(text):
        if character in _BRACKETS:
            expected.append(_BRACKETS[character])
        elif character in _BRACKETS.values() and (not expected or expected.pop() != character):
            raise ValueError(f"the bracket {character!r} closes nothing")
        yield position, len(expected)
    if expected:
        raise ValueError(f"the bracket {expected[-1]!r} is missing")
