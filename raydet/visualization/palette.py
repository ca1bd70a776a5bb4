"""Colours of classes."""

from __future__ import annotations

import colorsys
from collections.abc import Sequence

Color = tuple[int, int, int]
"""Red, green, blue, 0 to 255."""

_GOLDEN_RATIO = 0.618033988749895


def class_color(label: int, palette: Sequence[Sequence[int]] | None = None) -> Color:
    """Colour of class `label`: from `palette` (RGB, as long as it lasts), else one far from its neighbours'."""
    if palette is not None and 0 <= label < len(palette):
        red, green, blue = palette[label]
        return int(red), int(green), int(blue)
    hue = (0.05 + label * _GOLDEN_RATIO) % 1.0
    value = 1.0 if label % 2 == 0 else 0.8
    red, green, blue = (round(255 * part) for part in colorsys.hsv_to_rgb(hue, 0.85, value))
    return red, green, blue


_NAMED: dict[str, Color] = {
    "red": (255, 0, 0),
    "green": (0, 255, 0),
    "blue": (0, 0, 255),
    "cyan": (0, 255, 255),
    "yellow": (255, 255, 0),
    "magenta": (255, 0, 255),
    "white": (255, 255, 255),
    "black": (0, 0, 0),
}


def color_of(value: str | Sequence[int] | None) -> Color | None:
    """A colour given in the way of 2.x, by name or as blue, green, red; None stays None.

    Raises:
        ValueError: neither.
    """
    if value is None:
        return None
    if isinstance(value, str) and value in _NAMED:
        return _NAMED[value]
    if not isinstance(value, str) and len(value) == 3 and all(0 <= part <= 255 for part in value):
        blue, green, red = (int(part) for part in value)
        return red, green, blue
    raise ValueError(f"a colour is (blue, green, red), 0 to 255 each, or one of {', '.join(_NAMED)}; got {value!r}")


def text_color(background: Color) -> Color:
    """Black or white, whichever reads better on `background`."""
    red, green, blue = background
    return (0, 0, 0) if 0.299 * red + 0.587 * green + 0.114 * blue > 140 else (255, 255, 255)
