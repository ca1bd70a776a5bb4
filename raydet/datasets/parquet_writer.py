"""Any data set into Parquet, shard by shard, so that what is written is whole."""

from __future__ import annotations

import bisect
import contextlib
import itertools
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from raydet.datasets.parquet_rows import Row, common_categories, common_prefix, has_ids, leaves, row_of
from raydet.datasets.parquet_schema import MANIFEST, schema
from raydet.transforms.object_store import open_storage, shown

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.fs as pafs

EMBEDDED_SHARD, REFERENCED_SHARD = 1000, 100_000
_EMBEDDED_GROUP, _REFERENCED_GROUP = 8, 4096
"""Rows in a group; all images of a group are read to have one of them."""


def write_parquet(
    dataset: Any,
    place: str,
    *,
    embed_images: bool = False,
    shard_size: int | None = None,
    advance: Callable[[int], None] = lambda count: None,
) -> list[str]:
    """Write a data set, or go on where writing it was cut off.

    Args:
        dataset: any data set of raydet, built with `test_mode=True` so that no image is left out.
        place: new folder, local or `s3://bucket/folder`.
        embed_images: put the image files in, as they are.
        shard_size: images per file; 1000 with images, 100,000 without when left out.
        advance: told how many images are done, again and again.

    Returns:
        The names of the files.

    Raises:
        ValueError: the folder holds something else, or a data set that is complete; or the parts of a data set have
            different classes.
    """
    parts = leaves(dataset)
    ends = list(itertools.accumulate(map(len, parts)))
    size = shard_size or (EMBEDDED_SHARD if embed_images else REFERENCED_SHARD)
    shards = [range(start, min(start + size, ends[-1])) for start in range(0, max(ends[-1], 1), size)]
    about: dict[str, Any] = {
        "sources": [f"{type(part).__name__} of {len(part)} images in {shown(part.ann_file)}" for part in parts],
        "embedded": embed_images,
        "files": [f"part-{number:05d}.parquet" for number in range(len(shards))],
    }
    prefix = "" if embed_images else common_prefix(parts)
    layout = schema(common_categories(parts), img_prefix=prefix, embedded=embed_images, numbered=has_ids(parts))
    filesystem, folder = open_storage(place)
    done = _begin(filesystem, folder, about, place)
    for name, shard in zip(about["files"], shards, strict=True):
        if name in done:
            advance(len(shard))
            continue
        rows = (row_of(*_locate(parts, ends, i), layout, prefix) for i in shard)
        _write(filesystem, f"{folder}/{name}", layout, rows, advance)
    _write_manifest(filesystem, folder, {**about, "complete": True})
    return list(about["files"])


def _locate(parts: Sequence[Any], ends: Sequence[int], position: int) -> tuple[Any, int]:
    """The part with an image, and its position there."""
    part = bisect.bisect_right(ends, position)
    return parts[part], position - (ends[part - 1] if part else 0)


def _begin(filesystem: pafs.FileSystem, folder: str, about: Mapping[str, Any], place: str) -> set[str]:
    """Claim the folder; the files that an earlier call finished."""
    import pyarrow.fs as pafs

    found = filesystem.get_file_info(pafs.FileSelector(folder, allow_not_found=True))
    names = {info.base_name for info in found}
    if MANIFEST in names:
        with filesystem.open_input_stream(f"{folder}/{MANIFEST}") as stream:
            before = json.loads(stream.read())
        if before.pop("complete") or before != about:
            raise ValueError(f"{shown(place)} holds a data set already; remove it or choose another folder")
    elif names:
        raise ValueError(f"{shown(place)} holds {len(names)} other files; choose a new folder")
    else:
        filesystem.create_dir(folder)
        _write_manifest(filesystem, folder, {**about, "complete": False})
    return names


def _write_manifest(filesystem: pafs.FileSystem, folder: str, content: Mapping[str, Any]) -> None:
    with _whole(filesystem, f"{folder}/{MANIFEST}") as path, filesystem.open_output_stream(path) as stream:
        stream.write(json.dumps(content, indent=1).encode())


@contextlib.contextmanager
def _whole(filesystem: pafs.FileSystem, path: str) -> Iterator[str]:
    """A name to write to; the file has its own name only when all of it is there."""
    yield f"{path}.unfinished"
    filesystem.move(f"{path}.unfinished", path)


def _write(
    filesystem: pafs.FileSystem, path: str, layout: pa.Schema, rows: Iterator[Row], advance: Callable[[int], None]
) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    group = _EMBEDDED_GROUP if "image" in layout.names else _REFERENCED_GROUP
    options = {"compression": "zstd", "use_dictionary": False, "write_statistics": False}
    with (
        _whole(filesystem, path) as unfinished,
        pq.ParquetWriter(unfinished, layout, filesystem=filesystem, **options) as writer,
    ):
        while batch := list(itertools.islice(rows, group)):
            writer.write_table(pa.Table.from_pylist(batch, layout))
            advance(len(batch))
