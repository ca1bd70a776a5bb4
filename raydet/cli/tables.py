"""Columns and times for the terminal."""

from __future__ import annotations

import time
from collections.abc import Sequence


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Left-aligned columns under their names, two spaces apart."""
    lines = [list(header), *[list(row) for row in rows]]
    widths = [max(len(line[column]) for line in lines) for column in range(len(header))]
    return "\n".join("  ".join(map(str.ljust, line, widths)).rstrip() for line in lines)


def local_time(at: float) -> str:
    """Seconds since 1970 as date and time here."""
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(at))
