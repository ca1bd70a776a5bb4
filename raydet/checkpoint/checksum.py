"""A digest beside each checkpoint, so that a damaged file is noticed before a run goes on from it."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path
from typing import BinaryIO

from raydet.checkpoint.safe import CheckpointError

_BLOCK = 1 << 20


class DigestingFile:
    """A file to write to from beginning to end that computes the sha256 of what is written.

    Args:
        file: takes the bytes.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._digest = hashlib.sha256()

    def write(self, data: bytes) -> int:
        """Write, and digest."""
        self._digest.update(data)
        return self._file.write(data)

    def flush(self) -> None:
        """Hand what is buffered to the system."""
        self._file.flush()

    def hexdigest(self) -> str:
        """The sha256 so far."""
        return self._digest.hexdigest()


def digest_of(path: Path) -> str:
    """The sha256 of a file."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()


def sidecar_of(path: Path) -> Path:
    """The file with the digest of `path`; `sha256sum -c` reads it."""
    return path.with_name(f"{path.name}.sha256")


def write_sidecar(path: Path, digest: str) -> None:
    """Note the sha256 of a file beside it."""
    sidecar_of(path).write_text(f"{digest}  {path.name}\n", encoding="ascii")


def check_sidecar(path: Path) -> None:
    """Compare a file with the digest beside it, if there is one.

    Raises:
        CheckpointError: the file is not what was written.
    """
    sidecar = sidecar_of(path.resolve())
    if not sidecar.is_file():
        return
    words = sidecar.read_text(encoding="ascii", errors="replace").split()
    digest = digest_of(path)
    if words and words[0] != digest:
        raise CheckpointError(f"{path} is damaged: its sha256 is {digest}, {sidecar.name} says {words[0]}")


def remove_checkpoint(path: Path) -> None:
    """Remove a checkpoint with its sidecar, or one in shards; what is not there is no error."""
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
        return
    path.unlink(missing_ok=True)
    sidecar_of(path).unlink(missing_ok=True)
