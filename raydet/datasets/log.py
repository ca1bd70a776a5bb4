"""What data sets say, each thing once."""

from __future__ import annotations

import logging

LOGGER = logging.getLogger("raydet")
_said: set[str] = set()


def say_once(message: str, level: int = logging.WARNING) -> None:
    """Log `message` unless this process has logged it before."""
    if message not in _said:
        _said.add(message)
        LOGGER.log(level, message)
