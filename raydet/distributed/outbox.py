"""Checkpoints on their way from a worker to the run folder, and back."""

from __future__ import annotations

import os
import shutil
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
    """The name of a checkpoint folder, which tells the time."""
    seconds, rest = divmod(time.time_ns(), 10**9)
    return f"checkpoint_{time.strftime('%Y%m%d_%H%M%S', time.localtime(seconds))}_{rest // 1000:06d}"


class Outbox:
    """Brings checkpoints of one worker into the run folder, each into a folder of its own.

    On a disk that all nodes share they are hard links, which cost neither time nor space. To object storage they are
    copied by Ray Train's thread for uploads, in the order in which they were made: first the files, then the digests,
    which say that they are complete. What has not arrived stays in a hidden folder of `work_dir`, and so does for a
    while what is brought from there.

    Args:
        folder: of the run.
        work_dir: where the engine writes checkpoints.
        say: takes a line about what is noteworthy.
        rank: of the worker.
    """

    def __init__(self, folder: RunFolder, work_dir: Path, say: Callable[[str], None], rank: int = 0) -> None:
        self._folder = folder
        self._own = work_dir / f".rank_{rank}"
        self._place = folder.local or self._own / "outbox"
        self._inbox = self._own / "inbox"
        self._say = say
        self._rank = rank
        self._newest: Path | None = None
        self._waiting = 0
        self._sent = threading.Condition()

    def clear(self) -> None:
        """Remove what dead workers left: files that were to be sent; of rank 0 also folders that never got complete."""
        shutil.rmtree(self._own, ignore_errors=True)
        if self._rank == 0:
            for name in set(self._folder.checkpoints()) - set(self._folder.registered()):
                self._folder.remove(name)

    def close(self) -> None:
        """Remove what this worker has brought here."""
        shutil.rmtree(self._inbox, ignore_errors=True)

    def put(self, checkpoint: Path, name: str) -> Path:
        """Take a checkpoint with its digests, whatever becomes of it where it is; returns a folder with it.

        Args:
            checkpoint: a file; or a folder in shards, of which each rank takes its part where no disk is shared.
            name: of the checkpoint's folder in the run folder.
        """
        place = self._place / name
        for file, target in _parts(checkpoint, self._rank, everything=self._folder.local is not None):
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

    def arrivals(self, newest: str | None) -> Iterator[Path]:
        """The complete checkpoints in the run folder, the newest first, each brought here when it is asked for.

        Args:
            newest: name of the first folder; None when there is none.
        """
        if newest is None:
            return
        for name in (newest, *(name for name in self._folder.registered() if name != newest)):
            try:
                yield only_file(self._bring(name))
            except FileNotFoundError as error:
                self._say(f"passing over the checkpoint {name}: {error}")

    def _bring(self, name: str) -> Path:
        if self._folder.local is not None:
            return self._folder.local / name
        return self._folder.fetch(name, self._inbox)


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
