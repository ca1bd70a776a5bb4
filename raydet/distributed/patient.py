"""A file system that waits for storage which does not answer, and on which files appear whole."""

from __future__ import annotations

import tempfile
from typing import Any

import pyarrow as pa
import pyarrow.fs as pafs

from raydet.transforms.patience import persistently

CHUNK = 16 * 1024**2
"""Bytes per read of a transfer; pyarrow sends larger files in several parts."""


def patient(filesystem: pafs.FileSystem, label: str) -> pafs.FileSystem:
    """`filesystem` with patience; that of a local disk is returned as it is, since its errors do not pass."""
    if isinstance(filesystem, pafs.LocalFileSystem):
        return filesystem
    return pafs.PyFileSystem(PatientHandler(filesystem, label))


def direct(filesystem: pafs.FileSystem) -> pafs.FileSystem:
    """The file system behind a patient one, for those who try again themselves."""
    handler = filesystem.handler if isinstance(filesystem, pafs.PyFileSystem) else None
    return handler.filesystem if isinstance(handler, PatientHandler) else filesystem


def send_file(source: str, filesystem: pafs.FileSystem, target: str) -> None:
    """Copy a local file to storage, in parts when it is large; it is visible when it is complete.

    Raises:
        OSError: the storage does not answer, or has another size for it than the source.
    """
    options: dict[str, Any] = {"destination_filesystem": filesystem, "chunk_size": CHUNK, "use_threads": False}
    pafs.copy_files(source, target, **options)
    there, here = filesystem.get_file_info(target).size, pafs.LocalFileSystem().get_file_info(source).size
    if there != here:
        raise OSError(f"{target} has {there} bytes in the storage instead of {here}")


class PatientHandler(pafs.FileSystemHandler):
    """Tries every operation again while its error is one that passes, see `raydet.transforms.patience`.

    Ray Train's controller keeps its own files with it: an error there would end a run that could have waited.

    Args:
        filesystem: does the work.
        label: of the storage, for messages.
    """

    def __init__(self, filesystem: pafs.FileSystem, label: str) -> None:
        self.filesystem = filesystem
        self._label = label

    def __reduce__(self) -> Any:
        return PatientHandler, (self.filesystem, self._label)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, PatientHandler) and bool(self.filesystem == other.filesystem)

    def __hash__(self) -> int:
        return hash(self._label)

    def _do(self, operation: str, *arguments: Any, **options: Any) -> Any:
        act = getattr(self.filesystem, operation)
        return persistently(lambda: act(*arguments, **options), self._label, remote=True)

    def get_type_name(self) -> str:
        return f"patient+{self.filesystem.type_name}"

    def normalize_path(self, path: str) -> Any:
        return self.filesystem.normalize_path(path)

    def get_file_info(self, paths: list[str]) -> Any:
        return self._do("get_file_info", paths)

    def get_file_info_selector(self, selector: Any) -> Any:
        return self._do("get_file_info", selector)

    def create_dir(self, path: str, recursive: bool) -> None:
        self._do("create_dir", path, recursive=recursive)

    def delete_dir(self, path: str) -> None:
        self._do("delete_dir", path)

    def delete_dir_contents(self, path: str, missing_dir_ok: bool) -> None:
        self._do("delete_dir_contents", path, missing_dir_ok=missing_dir_ok)

    def delete_root_dir_contents(self) -> None:
        raise NotImplementedError("raydet never empties a whole storage")

    def delete_file(self, path: str) -> None:
        self._do("delete_file", path)

    def move(self, src: str, dest: str) -> None:
        self._do("move", src, dest)

    def copy_file(self, src: str, dest: str) -> None:
        self._do("copy_file", src, dest)

    def open_input_stream(self, path: str) -> Any:
        return self._do("open_input_stream", path)

    def open_input_file(self, path: str) -> Any:
        return self._do("open_input_file", path)

    def open_output_stream(self, path: str, metadata: Any) -> Any:
        return pa.PythonFile(_Whole(self, path), mode="w")

    def open_append_stream(self, path: str, metadata: Any) -> Any:
        raise NotImplementedError("objects are written whole, not appended to")

    def store(self, source: str, path: str) -> None:
        """Copy a local file to the storage."""
        persistently(lambda: send_file(source, self.filesystem, path), self._label, remote=True)


class _Whole:
    """A file to write to that is sent when it is closed.

    Args:
        handler: sends it.
        path: its place in the storage.
    """

    def __init__(self, handler: PatientHandler, path: str) -> None:
        self._handler = handler
        self._path = path
        self._file: Any = tempfile.NamedTemporaryFile(prefix="raydet-")  # noqa: SIM115  (closed below)

    @property
    def closed(self) -> bool:
        return bool(self._file.closed)

    def write(self, data: Any) -> int:
        return int(self._file.write(data))

    def flush(self) -> None:
        self._file.flush()

    def tell(self) -> int:
        return int(self._file.tell())

    def close(self) -> None:
        if self.closed:
            return
        self._file.flush()
        try:
            self._handler.store(self._file.name, self._path)
        finally:
            self._file.close()
