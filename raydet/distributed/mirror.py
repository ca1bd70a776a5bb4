"""Keeping a copy of a run's small files in object storage while it trains."""

from __future__ import annotations

import logging
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from raydet.distributed.storage import RunFolder

_logger = logging.getLogger("raydet.distributed")


class RunMirror:
    """Copies changed files of a local folder to the run folder, one thread, one round at a time.

    Checkpoints of single epochs are left out, since Ray Train uploads them as `checkpoint_*/`; the best one is copied.

    Args:
        source: local folder that the engine writes.
        folder: the run's place in object storage.
    """

    def __init__(self, source: Path, folder: RunFolder) -> None:
        self._source = source
        self._folder = folder
        self._sent: dict[str, tuple[int, int]] = {}
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="raydet-mirror")
        self._round: Future[None] | None = None

    def update(self) -> None:
        """Start a round unless one is running."""
        if self._round is None or self._round.done():
            self._round = self._thread.submit(self._copy_changed)

    def close(self) -> None:
        """Copy what is left and wait for it."""
        self._thread.submit(self._copy_changed).result()
        self._thread.shutdown()

    def _copy_changed(self) -> None:
        found = sorted(path for path in self._source.rglob("*") if path.is_file() and not path.is_symlink())
        present = {path.relative_to(self._source).as_posix(): path for path in found}
        present = {name: path for name, path in present.items() if _wanted(name)}
        for name, path in present.items():
            self._try(name, lambda name=name, path=path: self._send(name, path))  # type: ignore[misc]
        for name in set(self._sent) - set(present):
            self._try(name, lambda name=name: self._remove(name))  # type: ignore[misc]

    def _try(self, name: str, act: Callable[[], None]) -> None:
        try:
            act()
        except OSError as error:  # tried again in the next round; a checkpoint's own upload fails loudly
            _logger.warning("could not copy %s to %s: %s", name, self._folder, error)

    def _send(self, name: str, path: Path) -> None:
        stamp = (path.stat().st_mtime_ns, path.stat().st_size)
        if self._sent.get(name) != stamp:
            self._folder.send(path, name)
            self._sent[name] = stamp

    def _remove(self, name: str) -> None:
        self._folder.remove(name)
        del self._sent[name]


def _wanted(name: str) -> bool:
    parts = name.split("/")
    if any(part.startswith(".") for part in parts[:-1]) or (parts[-1].startswith(".") and parts[-1] != ".metadata"):
        return False
    checkpoint = next((part for part in parts if part.endswith((".pth", ".pth.sha256", ".shards"))), None)
    return checkpoint is None or checkpoint.startswith("best_")
