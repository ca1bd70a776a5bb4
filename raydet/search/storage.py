"""Where the study of a sweep is kept for others to read: a journal file, a data base, or nowhere."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from raydet.distributed.words import first_line
from raydet.search.ledger import drop_torn_line

JOURNAL = "study.journal"
_DRIVERS = {"postgresql": "psycopg2-binary", "mysql": "PyMySQL"}
_NETWORK = {
    *("nfs", "nfs4", "cifs", "smb3", "smbfs", "ncpfs", "9p", "afs", "ceph", "lustre", "gpfs", "beegfs", "glusterfs"),
    *("orangefs", "pvfs2", "ocfs2", "gfs2", "fuse.sshfs", "fuse.glusterfs", "fuse.s3fs", "fuse.gcsfuse", "fuse.rclone"),
    *("fuse.goofys", "fuse.mount-s3", "fuse.juicefs", "fuse.ceph", "fuse.moosefs", "fuse.blobfuse2"),
}


def open_storage(storage: str, folder: Path) -> Any:
    """Optuna's storage for `search.storage`; None for "memory".

    A journal that a killed process left in the middle of a line is repaired: only the driver of a sweep writes it.

    Args:
        storage: "journal", "memory" or a URL.
        folder: of the sweep.

    Raises:
        ValueError: the URL is none, or means SQLite on a network file system.
        ImportError: the driver of the data base is missing.
        ConnectionError: the data base does not answer.
    """
    if storage == "memory":
        return None
    if storage == "journal":
        return _open_journal(folder / JOURNAL)
    scheme = urlsplit(storage).scheme.partition("+")[0]
    if scheme not in ("sqlite", *_DRIVERS):
        raise ValueError(
            f"search.storage is {shown(storage)!r}, expected 'journal', 'memory' or a URL that begins with sqlite:///, "
            "postgresql:// or mysql://"
        )
    if scheme == "sqlite":
        check_local(Path(storage.partition(":///")[2].partition("?")[0]))
    return _open_data_base(storage, scheme)


def shown(storage: str) -> str:
    """The storage without a password."""
    parts = urlsplit(storage)
    return storage.replace(f":{parts.password}@", ":***@") if parts.password else storage


def _open_journal(path: Path) -> Any:
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend

    path.parent.mkdir(parents=True, exist_ok=True)
    if path.exists():
        drop_torn_line(path)
    path.with_name(path.name + ".lock").unlink(missing_ok=True)  # of a killed process; else Optuna waits half a minute
    return JournalStorage(JournalFileBackend(str(path)))


def _open_data_base(url: str, scheme: str) -> Any:
    from optuna.storages import RDBStorage
    from sqlalchemy.exc import SQLAlchemyError

    try:
        return RDBStorage(_with_driver(url))
    except ImportError as error:
        package = _DRIVERS.get(scheme, scheme)
        raise ImportError(
            f"search.storage is {shown(url)!r}, which needs a driver; pip install {package} (raydet[tune] brings "
            "psycopg2-binary)"
        ) from error
    except SQLAlchemyError as error:
        raise ConnectionError(
            f"search.storage is {shown(url)!r}, which does not answer: {first_line(error)}; is the data base there, "
            "and may this user use it?"
        ) from error


def _with_driver(url: str) -> str:
    """A URL that names its driver: which one SQLAlchemy takes for PostgreSQL depends on its version."""
    if url.startswith("postgresql://") and find_spec("psycopg2") is not None:
        return url.replace("postgresql://", "postgresql+psycopg2://", 1)
    return url


def check_local(path: Path, mounts: Path = Path("/proc/mounts")) -> None:
    """Refuse a data base file on a network file system, whose locks SQLite cannot rely on.

    Args:
        path: of the file.
        mounts: the kernel's list of mounted file systems; where there is none, nothing is known.

    Raises:
        ValueError: the file system is one.
    """
    kind = file_system_of(path.absolute(), mounts)
    if kind in _NETWORK:
        raise ValueError(
            f"search.storage is SQLite in {path.parent}, which is a network file system ({kind}): its locks fail and "
            "the file breaks; use 'journal', a PostgreSQL or MySQL server, or a local disk"
        )


def file_system_of(path: Path, mounts: Path) -> str | None:
    """The type of the file system that a path is on."""
    if not mounts.is_file():
        return None
    entries = [line.split() for line in mounts.read_text().splitlines()]
    points = {entry[1].replace("\\040", " "): entry[2] for entry in entries if len(entry) > 2}
    resolved = path.resolve()
    return next((points[str(each)] for each in (resolved, *resolved.parents) if str(each) in points), None)
