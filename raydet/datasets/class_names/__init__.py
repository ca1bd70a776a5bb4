"""Class names and colours of well-known data sets.

One JSON file each, `{"classes": ["name", ...], "palette": [[red, green, blue], ...]}`, the palette where there is one.

LVIS, Objects365 and Open Images have no file here: their classes come with their annotations.
"""

from __future__ import annotations

import functools
import json
from importlib import resources
from typing import Any

Color = tuple[int, int, int]


@functools.cache
def _content(name: str) -> dict[str, Any]:
    text = resources.files(__name__).joinpath(f"{name}.json").read_text(encoding="utf-8")
    return json.loads(text)  # type: ignore[no-any-return]


def names_of(name: str) -> tuple[str, ...]:
    """Class names of the data set that the file `name` describes."""
    return tuple(_content(name)["classes"])


def palette_of(name: str) -> list[Color]:
    """A colour of each class, red, green and blue in [0, 255]."""
    return [(r, g, b) for r, g, b in _content(name)["palette"]]
