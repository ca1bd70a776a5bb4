"""Where evaluation writes what people read: lines and tables."""

from __future__ import annotations

import logging
from collections.abc import Sequence

Logger = logging.Logger | str | None
"""A logger, the name of one, None for standard output or `"silent"`."""


def say(message: str, logger: Logger = None) -> None:
    """Print `message`, or hand it to the logger; see `Logger`."""
    if logger is None:
        print(message)
    elif isinstance(logger, logging.Logger):
        logger.info(message)
    elif logger != "silent":
        logging.getLogger(logger).info(message)


def text_table(header: Sequence[str], rows: Sequence[Sequence[object]], footer: Sequence[object] = ()) -> str:
    """A table in plain characters; short rows are filled up with empty cells."""
    lines = [[str(cell) for cell in line] + [""] * (len(header) - len(line)) for line in (header, *rows, footer)]
    widths = [max(len(line[i]) for line in lines) for i in range(len(header))]
    rule = "+" + "+".join("-" * (width + 2) for width in widths) + "+"
    text = ["| " + " | ".join(map(str.ljust, line, widths)) + " |" for line in lines]
    return "\n".join([rule, text[0], rule, *text[1:-1], rule, *([text[-1], rule] if footer else [])])


def class_table(names: Sequence[str], values: Sequence[str], value_name: str, max_pairs: int = 3) -> str:
    """Name and value of every class, a few pairs to a line."""
    cells = [cell for pair in zip(names, values, strict=True) for cell in pair]
    num_columns = 2 * max(1, min(max_pairs, len(names)))
    rows = [cells[i : i + num_columns] for i in range(0, len(cells), num_columns)]
    return text_table(["category", value_name] * (num_columns // 2), rows)
