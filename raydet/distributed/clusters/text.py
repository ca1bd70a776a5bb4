"""YAML that people read: written with comments, read without silently losing keys."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Hashable
from pathlib import Path
from typing import Any

import yaml

WIDTH = 112
_NOTE = re.compile(r"^( *)(- )?NOTE-(\d+): null\n(?(2) *)", flags=re.M)
"""A note where YAML has it, as a key; the first key of an item in a list hands its dash on to the next one."""


class Note(str):
    """As a key of a mapping (the value is ignored): a comment above what follows."""

    __slots__ = ()


class _Writer(yaml.SafeDumper):
    """Writes equal lists twice instead of as an anchor and its alias, and indents lists."""

    def ignore_aliases(self, data: Any) -> bool:
        return True

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        super().increase_indent(flow, False)


class _Block(str):
    """Text of several lines, written as such."""

    __slots__ = ()


def _write_block(writer: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return writer.represent_scalar("tag:yaml.org,2002:str", str(text), style="|")


_Writer.add_representer(_Block, _write_block)


def write_yaml(document: dict[Any, Any]) -> str:
    """A document as YAML text, its notes as comments."""
    notes: list[str] = []
    plain = _number_notes(document, notes)
    text = yaml.dump(plain, Dumper=_Writer, sort_keys=False, width=1000, allow_unicode=True)
    return _NOTE.sub(
        lambda match: _comment(notes[int(match[3])], match[1]) + (match[1] + match[2] if match[2] else ""), text
    )


def _number_notes(value: Any, notes: list[str]) -> Any:
    if isinstance(value, dict):
        numbered: dict[Any, Any] = {}
        for key, part in value.items():
            if isinstance(key, Note):
                numbered[f"NOTE-{len(notes)}"] = None
                notes.append(key)
            else:
                numbered[key] = _number_notes(part, notes)
        return numbered
    if isinstance(value, list):
        return [_number_notes(part, notes) for part in value]
    return _Block(value) if isinstance(value, str) and "\n" in value else value


def _comment(note: str, indent: str) -> str:
    lines = [
        line
        for paragraph in note.splitlines()
        for line in textwrap.wrap(
            paragraph, WIDTH - len(indent), subsequent_indent=" " * _hanging(paragraph), break_on_hyphens=False
        )
        or [""]
    ]
    return "".join(f"{indent}# {line}".rstrip() + "\n" for line in lines)


def _hanging(paragraph: str) -> int:
    return len(paragraph) - len(paragraph.lstrip()) + 2 * paragraph.lstrip().startswith("- ")


class _Reader(yaml.SafeLoader):
    """Refuses a mapping that has a key twice, of which PyYAML would keep the last."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen = set()
        for key, _ in node.value:
            if key.value in seen and key.value != "<<":
                raise yaml.MarkedYAMLError(problem=f"the key {key.value!r} is there twice", problem_mark=key.start_mark)
            seen.add(key.value)
        return super().construct_mapping(node, deep)


def read_yaml(path: Path) -> Any:
    """The one document of a YAML file.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is not YAML, holds several documents, or has a key twice.
    """
    try:
        return yaml.load(path.read_text(), Loader=_Reader)
    except yaml.YAMLError as error:
        raise ValueError(f"{path}: not a YAML document: {error}") from error
