"""A folder of checkpoints in object storage, filled while training goes on."""

from __future__ import annotations

import logging
import posixpath
import re
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from raydet.checkpoint.checksum import remove_checkpoint, sidecar_of
from raydet.transforms.object_store import open_storage, shown
from raydet.transforms.patience import persistently

_CHUNK = 16 * 1024**2


class CheckpointStore:
    """Copies checkpoints of a local folder to object storage: one after the other, in a thread of its own.

    Only the newest one stays in the local folder, for a run that goes on from there. One that cannot be sent stays as
    well, and training goes on.

    Args:
        uri: of the folder, such as `s3://bucket/runs/a`; made when it does not exist.
        logger: is told what could not be sent.

    Raises:
        OSError: nothing can be written there.
    """

    def __init__(self, uri: str, logger: logging.Logger) -> None:
        self.label = shown(uri)
        self._logger = logger
        self._filesystem, self._path = open_storage(uri)
        self._newest: Path | None = None
        try:
            self._try(lambda: self._filesystem.create_dir(self._path))
        except OSError as error:
            raise type(error)(f"the folder of checkpoints {self.label} cannot be written ({error})") from error
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="raydet-checkpoints")

    def send(self, path: Path, before: Path | None = None) -> None:
        """Copy a complete checkpoint with its sidecar, soon; then remove `before` here, or else the one sent before."""
        self._thread.submit(self._send, path, before)

    def remove(self, names: Iterable[str]) -> None:
        """Remove checkpoints one after the other behind what is being sent, up to the first that is not there."""
        self._thread.submit(self._remove, names)

    def close(self) -> None:
        """Wait until everything is there."""
        self._thread.shutdown()

    def _send(self, path: Path, before: Path | None) -> None:
        try:
            for each in (path, sidecar_of(path)):
                self._try(lambda each=each: self._copy(each))  # type: ignore[misc]
        except (OSError, ValueError) as error:  # pyarrow has errors of both kinds
            self._logger.error(f"could not copy {path} to {self.label}, it stays where it is: {error}")
            return
        before = before or self._newest
        if before is not None and before != path:
            remove_checkpoint(before)
        self._newest = path

    def _remove(self, names: Iterable[str]) -> None:
        try:
            for name in names:
                for each in (name, f"{name}.sha256"):
                    self._try(lambda each=each: self._filesystem.delete_file(self._target(each)))  # type: ignore[misc]
        except FileNotFoundError:
            return
        except (OSError, ValueError) as error:  # pyarrow has errors of both kinds
            self._logger.error(f"could not remove old checkpoints from {self.label}: {error}")

    def _copy(self, path: Path) -> None:
        import pyarrow.fs as pafs

        options = {"destination_filesystem": self._filesystem, "chunk_size": _CHUNK, "use_threads": False}
        pafs.copy_files(str(path), self._target(path.name), **options)

    def _try(self, action: Callable[[], None]) -> None:
        persistently(action, self.label, remote=True)

    def _target(self, name: str) -> str:
        return posixpath.join(self._path, name)


def _number(name: str) -> int:
    """The epoch or iteration in the name of a checkpoint, since some stores count time in seconds only."""
    digits = re.findall(r"\d+", name)
    return int(digits[-1]) if digits else 0


def checkpoints_in_store(uri: str) -> list[str]:
    """URIs of the checkpoints in a folder of object storage, the newest first, without the best ones."""
    import pyarrow.fs as pafs

    filesystem, path = open_storage(uri)
    selector = pafs.FileSelector(path, allow_not_found=True)
    found = persistently(lambda: filesystem.get_file_info(selector), uri, remote=True)
    found = [info for info in found if info.base_name.endswith(".pth") and not info.base_name.startswith("best_")]
    place, mark, options = uri.partition("?")
    newest_first = sorted(found, key=lambda info: (info.mtime_ns, _number(info.base_name)), reverse=True)
    return [f"{place.rstrip('/')}/{info.base_name}{mark}{options}" for info in newest_first]
