"""Images that lie in the `image` column of Parquet and Arrow files."""

from __future__ import annotations

import bisect
import functools
import itertools
import os
from collections.abc import Sequence
from typing import Any

from raydet.transforms.object_store import open_storage

ARROW = (".arrow", ".feather")
PARQUET = ".parquet"
_GROUPS_KEPT = 4


def embedded_uri(file: str, row: int) -> str:
    """Where an embedded image lies; a slash and a name of the reader's choice may follow."""
    return f"parquet://{file}!{row}"


def read_embedded(uri: str) -> bytes:
    """The image at `parquet://FILE!ROW/name`, where FILE is a path or a URI of its own.

    Raises:
        FileNotFoundError: no such file, or the row has no image.
    """
    file, mark, rest = uri.removeprefix("parquet://").rpartition("!")
    row = rest.partition("/")[0]
    if not mark or not row.isdigit():
        raise ValueError(f"an image in a Parquet file is written parquet://FILE!ROW/name, got {uri!r}")
    content = _cell(file, int(row))
    if content is None:
        raise FileNotFoundError(uri)
    return bytes(content)


def read_schema(file: str) -> Any:
    """The Arrow schema of a Parquet or Arrow file."""
    if file.endswith(ARROW):
        return _arrow_table(file, os.getpid()).schema
    return _parquet_file(file, os.getpid()).schema_arrow


def read_columns(file: str, columns: Sequence[str]) -> Any:
    """Those of `columns` that a Parquet or Arrow file has, as an Arrow table."""
    if file.endswith(ARROW):
        table = _arrow_table(file, os.getpid())
        return table.select([name for name in columns if name in table.column_names])
    parquet = _parquet_file(file, os.getpid())
    return parquet.read([name for name in columns if name in parquet.schema_arrow.names])


def _cell(file: str, row: int) -> bytes | None:
    if file.endswith(ARROW):
        return _arrow_table(file, os.getpid())["image"][row].as_py()  # type: ignore[no-any-return]
    starts = _group_starts(file, os.getpid())
    if row >= starts[-1]:
        raise FileNotFoundError(f"{file} has {starts[-1]} rows")
    group = bisect.bisect_right(starts, row) - 1
    return _images_of(file, group, os.getpid())[row - starts[group]].as_py()  # type: ignore[no-any-return]


@functools.cache
def _group_starts(file: str, process: int) -> list[int]:
    """First row of each row group, and the number of rows."""
    metadata = _parquet_file(file, process).metadata
    sizes = (metadata.row_group(i).num_rows for i in range(metadata.num_row_groups))
    return list(itertools.accumulate(sizes, initial=0))


@functools.lru_cache(_GROUPS_KEPT)
def _images_of(file: str, group: int, process: int) -> Any:
    return _parquet_file(file, process).read_row_group(group, columns=["image"])["image"]


@functools.cache
def _parquet_file(file: str, process: int) -> Any:
    """An open file, one per process since connections and positions do not survive a fork."""
    import pyarrow.parquet as pq

    filesystem, path = open_storage(file)
    return pq.ParquetFile(path, filesystem=filesystem, memory_map="://" not in file)


@functools.cache
def _arrow_table(file: str, process: int) -> Any:
    """A table; of a local file nothing is read but what is looked at."""
    import pyarrow as pa

    filesystem, path = open_storage(file)
    source = pa.memory_map(path) if "://" not in file else filesystem.open_input_file(path)
    return pa.ipc.open_file(source).read_all()
