"""How errors and times are put into a line for people."""

from __future__ import annotations


def first_line(error: BaseException, length: int = 200) -> str:
    """The first line of what an error says, shortened; empty when it says nothing."""
    return (str(error).strip().splitlines() or [""])[0][:length]


def duration(seconds: float) -> str:
    """Seconds in the two units that matter, such as `2 h 05 min`."""
    whole = int(seconds)
    if whole < 60:
        return f"{seconds:.1f} s" if seconds < 10 else f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    if whole < 86400:
        return f"{whole // 3600} h {whole % 3600 // 60:02d} min"
    return f"{whole // 86400} d {whole % 86400 // 3600:02d} h"
