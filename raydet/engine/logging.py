"""The logger of a run: one format, on the console and in a file, without secrets."""

from __future__ import annotations

import logging
import re
import sys
from pathlib import Path

FORMAT = "%(asctime)s - %(name)s - %(levelname)s - %(message)s"
_SECRET = re.compile(
    r"""((?:[\w-]*(?:password|passwd|secret|token|api_?key|access_?key)[\w-]*)["']?\s*[=:]\s*)(["']?)([^"'\s,)}]{4,})""",
    re.IGNORECASE,
)


def redact(text: str) -> str:
    """`text` with the values of things named like passwords, tokens and keys replaced by stars."""
    return _SECRET.sub(r"\1\2***", text)


class _Formatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        return redact(super().format(record))


class _Console(logging.StreamHandler):  # type: ignore[type-arg]
    """Writes to whatever `sys.stderr` is at the time, as test runners and notebooks replace it."""

    def __init__(self) -> None:
        logging.Handler.__init__(self)

    @property
    def stream(self):  # type: ignore[no-untyped-def]
        return sys.stderr

    @stream.setter
    def stream(self, value: object) -> None:
        pass


def get_logger(
    name: str = "raydet",
    log_file: str | Path | None = None,
    log_level: int | str | None = None,
    rank: int | None = None,
) -> logging.Logger:
    """The logger called `name`, set up once.

    Args:
        name: loggers below it (`raydet.x`) write through it.
        log_file: it also writes there; a file given later replaces an earlier one.
        log_level: INFO at first, unchanged later on when None.
        rank: of this process; others than 0 show errors only, whatever goes into their file. Unchanged when None.

    Raises:
        ValueError: `log_level` is no level.
    """
    logger = logging.getLogger(name)
    if not any(isinstance(handler, _Console) for handler in logger.handlers):
        _attach(logger, _Console())
        logger.propagate = False
        logger.setLevel(logging.INFO)
    if log_level is not None:
        logger.setLevel(_level(log_level))
    if rank is not None:
        for handler in logger.handlers:
            if isinstance(handler, _Console):
                handler.setLevel(logging.ERROR if rank else logging.NOTSET)
    if log_file is not None:
        _write_to(logger, Path(log_file))
    return logger


def _level(log_level: int | str) -> int:
    level = logging.getLevelName(log_level.upper()) if isinstance(log_level, str) else log_level
    if not isinstance(level, int):
        raise ValueError(f"log_level is {log_level!r}, expected a name such as 'INFO' or 'WARNING'")
    return level


def _attach(logger: logging.Logger, handler: logging.Handler) -> None:
    handler.setFormatter(_Formatter(FORMAT))
    logger.addHandler(handler)


def _write_to(logger: logging.Logger, path: Path) -> None:
    for handler in [h for h in logger.handlers if isinstance(h, logging.FileHandler)]:
        logger.removeHandler(handler)
        handler.close()
    path.parent.mkdir(parents=True, exist_ok=True)
    _attach(logger, logging.FileHandler(path, "a", encoding="utf-8"))
