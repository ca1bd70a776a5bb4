"""Checkpoints on their way from a worker to the run folder, and back."""

from __future__ import annotations

import os
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from raydet.checkpoint import remove_checkpoint
from raydet.checkpoint.checksum import sidecar_of
from raydet.checkpoint.shards import SUFFIX, is_digest, is_sharded, part_of
from raydet.distributed.storage import RunFolder

UPLOAD_PATIENCE = 3600.0
"""Seconds that a checkpoint waits for a storage that does not answer, while training goes on."""


def new_name() -> str:
    """The name of a checkpoint folder; names sort by time."""
    return f"checkpoint_{time.strftime('%Y%m%d_%H%M%S')}_{time.time_ns() // 1000 % 10**6:06d}"


class Outbox:
    """Brings checkpoints of one worker into the run folder, each into a folder of its own.

    On a disk that all nodes share they are hard links, which cost neither time nor space. To object storage they are
    copied by Ray Train's thread for uploads, in the order in which they were made: first the files, then the digests,
    which say that they are complete. What has not arrived stays in the outbox, a hidden folder of `work_dir`.

    Args:
        folder: of the run.
        work_dir: where the engine writes checkpoints.
        say: takes a line about what is noteworthy.
    """

    def __init__(self, folder: RunFolder, work_dir: Path, say: Callable[[str], None]) -> None:
        self._folder = folder
        self._place = folder.local or work_dir / ".outbox"
        self._say = say
        self._newest: Path | None = None
        self._waiting = 0
        self._sent = threading.Condition()

    def clear(self, registered: str | None) -> None:
        """Remove what dead workers left: files that were to be sent, folders newer than the newest that is registered.

        Args:
            registered: name of that folder; None when nothing is.
        """
        if self._folder.local is None:
            shutil.rmtree(self._place, ignore_errors=True)
        for name in self._folder.checkpoints():
            if registered is None or name > registered:
                self._folder.remove(name)

    def put(self, checkpoint: Path, name: str, rank: int = 0) -> Path:
        """Take a checkpoint with its digests, whatever becomes of it where it is; returns a folder with it.

        Args:
            checkpoint: a file; or a folder in shards, of which each rank takes its part where no disk is shared.
            name: of the checkpoint's folder in the run folder.
            rank: of this worker.
        """
        place = self._place / name
        for file, target in _parts(checkpoint, rank, everything=self._folder.local is not None):
            (place / target).parent.mkdir(parents=True, exist_ok=True)
            _link(file, place / target)
        with self._sent:
            self._waiting += 1
        return place

    def send(self, place: Path, name: str, original: Path) -> None:
        """Copy what `put` took to the run folder; then only the newest checkpoint stays on this node.

        Args:
            place: what `put` returned.
            name: of the checkpoint's folder, on which all workers have agreed.
            original: the checkpoint.

        Raises:
            ConnectionError: the storage did not answer for an hour.
        """
        try:
            if self._folder.local is None:
                self._copy(place, name, original)
        finally:
            with self._sent:
                self._waiting -= 1
                self._sent.notify_all()

    def wait(self) -> None:
        """Wait until everything that was put here has been sent."""
        with self._sent:
            self._sent.wait_for(lambda: self._waiting <= 0, timeout=UPLOAD_PATIENCE)

    def _copy(self, place: Path, name: str, original: Path) -> None:
        began = time.monotonic()
        files = [path for path in place.rglob("*") if path.is_file()]
        for file in sorted(files, key=lambda path: (is_digest(path), path)):
            self._folder.send(file, f"{name}/{file.relative_to(place).as_posix()}", UPLOAD_PATIENCE)
        seconds = time.monotonic() - began
        if self._newest is not None and self._newest != original:
            remove_checkpoint(self._newest)
        self._newest = original
        self._say(f"{original.name} is in {self._folder} after {seconds:.1f} s")

    def arrivals(self, registered: str | None) -> Iterator[Path]:
        """The checkpoint files in the run folder, the newest first, each brought to this node when it is asked for.

        Args:
            registered: name of the first folder; newer ones are not complete.
        """
        if registered is None:
            return
        for name in (each for each in self._folder.checkpoints() if each <= registered):
            try:
                yield only_file(self._bring(name))
            except FileNotFoundError as error:
                self._say(f"passing over the checkpoint {name}: {error}")

    def _bring(self, name: str) -> Path:
        if self._folder.local is not None:
            return self._folder.local / name
        return self._folder.fetch(name, Path(tempfile.mkdtemp(prefix="raydet_resume_")))


def _link(file: Path, target: Path) -> None:
    """Make `target` the same file, without copying it where the disk can do that."""
    try:
        os.link(file, target)
    except OSError:  # a file system without hard links
        shutil.copyfile(file, target)


def _parts(checkpoint: Path, rank: int, everything: bool) -> list[tuple[Path, str]]:
    """Files of a checkpoint with their names below its folder."""
    if not is_sharded(checkpoint):
        return [(file, file.name) for file in (checkpoint, sidecar_of(checkpoint)) if file.exists()]
    files = sorted(checkpoint.iterdir()) if everything else part_of(checkpoint, rank)
    return [(file, f"{checkpoint.name}/{file.name}") for file in files]


def only_file(folder: Path) -> Path:
    """The checkpoint in a folder; FileNotFoundError when there is none."""
    found = sorted([*folder.glob("*.pth"), *folder.glob(f"*{SUFFIX}")])
    if not found:
        raise FileNotFoundError(f"the folder {folder} holds no checkpoint; remove it to start without it")
    return found[-1]
