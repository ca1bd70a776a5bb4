"""Waiting for storage that does not answer for a while."""

from __future__ import annotations

import errno
import logging
import random
import time
import urllib.error
from collections.abc import Callable
from typing import TypeVar

from raydet.transforms.object_store import shown

LOGGER = logging.getLogger("raydet")
PATIENCE = 180.0
"""Seconds that a file is tried for."""
FIRST_DELAY, LONGEST_DELAY = 0.5, 10.0

_FINAL = (FileNotFoundError, PermissionError, IsADirectoryError, NotADirectoryError)
_FINAL_CODES = (
    "ACCESS_DENIED", "RESOURCE_NOT_FOUND", "NO_SUCH_KEY", "NO_SUCH_BUCKET", "INVALID_ACCESS_KEY_ID", "EXPIRED_TOKEN",
    "SIGNATURE_DOES_NOT_MATCH", "INVALID_SIGNATURE", "INVALID_CLIENT_TOKEN_ID", "MISSING_AUTHENTICATION_TOKEN",
    "UNRECOGNIZED_CLIENT", "VALIDATION", "HTTP status 301", "allow_bucket_creation",
)  # fmt: skip
_PASSING_STATUS = (408, 425, 429, 500, 502, 503, 504)
_PASSING_ERRNO = (errno.EIO, errno.ESTALE, errno.EAGAIN, errno.ETIMEDOUT)
_jitter = random.Random()  # its own, as the draws of a sample come from the shared one
_waiting: set[str] = set()

Answer = TypeVar("Answer")


def persistently(read: Callable[[], Answer], name: str, *, remote: bool, patience: float = PATIENCE) -> Answer:
    """Call `read`, again and again with growing delays while its errors are such that pass.

    What is missing or forbidden is final, and so is nearly everything on a disk.

    Args:
        read: what to do.
        name: the file, for messages.
        remote: it lies behind a network.
        patience: seconds to try for.

    Raises:
        ConnectionError: the storage did not answer in all that time.
    """
    start, delay = time.monotonic(), FIRST_DELAY
    while True:
        try:
            answer = read()
        except OSError as error:
            if not passes(error, remote):
                raise
            waited = time.monotonic() - start
            if waited + delay > patience:
                raise ConnectionError(f"{shown(name)} could not be read within {waited:.0f} s: {error}") from error
            _say_waiting(name, error, patience)
        else:
            _say_back(name)
            return answer
        time.sleep(delay * _jitter.uniform(0.75, 1.25))
        delay = min(2 * delay, LONGEST_DELAY)


def passes(error: OSError, remote: bool) -> bool:
    """Whether an error is one that may be gone at the next try."""
    if not remote:
        return error.errno in _PASSING_ERRNO
    if isinstance(error, urllib.error.HTTPError):
        return error.code in _PASSING_STATUS
    return not isinstance(error, _FINAL) and not any(code in str(error) for code in _FINAL_CODES)


def _storage(name: str) -> str:
    """What serves a file: the first part of its URI."""
    return shown("/".join(name.split("/", 3)[:3]))


def _say_waiting(name: str, error: OSError, patience: float) -> None:
    storage = _storage(name)
    if storage not in _waiting:
        _waiting.add(storage)
        LOGGER.warning("%s does not answer; trying again for up to %.0f s: %s", storage, patience, error)


def _say_back(name: str) -> None:
    if _waiting and _storage(name) in _waiting:
        _waiting.discard(_storage(name))
        LOGGER.warning("%s answers again", _storage(name))
