"""How a data set lies in Parquet: one row per image, its objects in lists, its categories in the metadata."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pyarrow as pa

METADATA_KEY = b"raydet"
VERSION = 1
MANIFEST = "raydet.json"
"""File that says what a folder of Parquet files holds, and whether all of it is there."""
LIST_COLUMNS = ("ids", "boxes", "areas", "labels", "iscrowd", "ignore", "masks")
ANNOTATION_COLUMNS = ("id", "file_name", "width", "height", "record", *LIST_COLUMNS)
"""All but the images."""


def schema(
    categories: Sequence[Mapping[str, Any]], *, img_prefix: str = "", embedded: bool = False, numbered: bool = True
) -> pa.Schema:
    """The schema of the files that raydet writes.

    Columns: `id`, `file_name`, `width`, `height` of the image, `record` (what else is known of it, JSON); `image` (the
    file as it is, null where it is only referenced); and per image lists over its objects: `ids`, `boxes` (x, y, width,
    height in pixels), `areas`, `labels` (positions in `categories`), `iscrowd`, `ignore`, `masks` (COCO segmentations
    as JSON: polygons or RLE, or null).

    Args:
        categories: dicts with `id` and `name`, in the order of labels.
        img_prefix: folder that `file_name` is relative to.
        embedded: the images are in the files.
        numbered: images and objects have ids; readers number them where they have not.
    """
    import pyarrow as pa

    fields = [
        *([("id", pa.int64()), ("ids", pa.list_(pa.int64()))] if numbered else []),
        ("file_name", pa.string()),
        ("width", pa.int32()),
        ("height", pa.int32()),
        ("record", pa.string()),
        ("boxes", pa.list_(pa.list_(pa.float64(), 4))),
        ("areas", pa.list_(pa.float64())),
        ("labels", pa.list_(pa.int32())),
        ("iscrowd", pa.list_(pa.bool_())),
        ("ignore", pa.list_(pa.bool_())),
        ("masks", pa.list_(pa.string())),
        *([("image", pa.binary())] if embedded else []),
    ]
    about = {"version": VERSION, "categories": list(categories), "img_prefix": img_prefix, "embedded": embedded}
    return pa.schema(fields, {METADATA_KEY: json.dumps(about).encode()})


def read_metadata(schema: pa.Schema, file: str) -> dict[str, Any]:
    """Version, categories, img_prefix and embedded, as `schema` wrote them.

    Raises:
        ValueError: the file has no such metadata.
    """
    about = (schema.metadata or {}).get(METADATA_KEY)
    if about is None:
        raise ValueError(
            f"{file} has no metadata of raydet that name its categories; write the file with `raydet convert`, or add "
            f'{METADATA_KEY.decode()!r} = {{"version": 1, "categories": [{{"id": 0, "name": "..."}}]}} to its schema'
        )
    found = json.loads(about)
    if found.get("version", VERSION) > VERSION:
        raise ValueError(f"{file} has version {found['version']}, but {VERSION} is the latest known; update raydet")
    return {"img_prefix": "", "embedded": "image" in schema.names, **found}
