"""Ready-made choices, one YAML file for each: the losses, optimisers, schedules ... that a sweep picks by one word.

A file holds `about`, a sentence, and `choose`, as in a sweep file. `_for_` lists the types (patterns) of the dicts that
an option can be put into; options that do not fit the place are left out.
"""

from __future__ import annotations

from copy import deepcopy
from functools import cache
from pathlib import Path

from raydet.search.tree import Tree, read_tree

_FOLDER = Path(__file__).parent


@cache
def family_names() -> tuple[str, ...]:
    """All families, in alphabetical order."""
    return tuple(sorted(each.stem for each in _FOLDER.glob("*.yaml")))


def read_family(name: str) -> Tree:
    """The file of a family."""
    return deepcopy(_read(name))


def describe_families() -> dict[str, str]:
    """What each family is for, in a sentence."""
    return {name: str(_read(name).values["about"]) for name in family_names()}


@cache
def _read(name: str) -> Tree:
    return read_tree(_FOLDER / f"{name}.yaml")
