"""Showing how far something is: a bar on a terminal, now and then a line elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Iterator
from typing import Any, TypeVar

T = TypeVar("T")


class Display:
    """Progress towards `total` steps.

    Args:
        total: steps.
        description: what is done.
        logger: takes the lines when there is no terminal.
        shown: False on ranks that stay quiet.
        seconds: between two lines.
    """

    def __init__(self, total: int, description: str, logger: Any, shown: bool = True, seconds: float = 15.0) -> None:
        self.total = total
        self.description = description
        self.done = 0
        self._logger = logger
        self._seconds = seconds
        self._begin = self._spoken = time.perf_counter()
        self._bar: Any = None
        self._shown = shown
        if shown and sys.stderr.isatty():
            self._bar = _rich_bar()
            self._task = self._bar.add_task(description, total=total)
            self._bar.start()

    def advance(self, steps: int = 1) -> None:
        """`steps` more are done."""
        self.done += steps
        if self._bar is not None:
            self._bar.update(self._task, completed=self.done)
        elif self._shown and time.perf_counter() - self._spoken > self._seconds:
            self._spoken = time.perf_counter()
            rate = self.done / (self._spoken - self._begin)
            self._logger.info(f"{self.description}: {self.done}/{self.total}, {rate:.1f} per second")

    def describe(self, details: str) -> None:
        """Show `details` behind the description, on a terminal."""
        if self._bar is not None:
            self._bar.update(self._task, description=f"{self.description}  {details}")

    def close(self) -> None:
        """Take the bar away."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = None


def track(items: Iterable[T], display: Display) -> Iterator[T]:
    """`items`, one step each."""
    try:
        for item in items:
            yield item
            display.advance()
    finally:
        display.close()


def _rich_bar() -> Any:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    return Progress(*columns, console=Console(stderr=True), transient=True)
