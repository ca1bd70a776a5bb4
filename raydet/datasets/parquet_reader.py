"""Annotations from the columns of Parquet and Arrow files."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from raydet.datasets.parquet_schema import ANNOTATION_COLUMNS, LIST_COLUMNS
from raydet.datasets.table import CocoTable, PackedRecords, column, narrowed
from raydet.transforms.embedded import read_columns
from raydet.transforms.patience import persistently

if TYPE_CHECKING:
    import pyarrow as pa

_NEEDED = ("file_name", "width", "height", "boxes", "labels")


def read_rows(file: str) -> pa.Table:
    """The annotation columns of a file; ValueError when needed ones are missing."""
    rows = persistently(lambda: read_columns(file, ANNOTATION_COLUMNS), file, remote="://" in file)
    missing = [name for name in _NEEDED if name not in rows.column_names]
    if missing:
        raise ValueError(f"{file} lacks the columns {', '.join(missing)}; it has {', '.join(rows.column_names)}")
    return rows


def to_table(parts: Sequence[pa.Table], categories: Sequence[Mapping[str, Any]], place: str) -> CocoTable:
    """Put the rows of all files into one table.

    Args:
        parts: rows of each file; columns that a data set can do without may be missing, in all of them alike.
        categories: as `raydet.datasets.parquet_schema.read_metadata` gives them.
        place: for messages.
    """
    import pyarrow as pa

    rows = pa.concat_tables([part.replace_schema_metadata(None) for part in parts])
    counts = _counts(rows, "boxes")
    total = int(counts.sum())
    for name in set(LIST_COLUMNS).intersection(rows.column_names):
        if (_counts(rows, name) != counts).any():
            raise ValueError(f"{place}: the lists of the column {name} are not as long as those of boxes")
    boxes = column(_flat(rows, "boxes").combine_chunks().flatten(), np.float64, (-1, 4))
    sizes = np.stack([rows["width"].to_numpy(), rows["height"].to_numpy()], axis=1)
    return CocoTable(
        images=PackedRecords(_image_records(rows)),
        image_ids=narrowed(_image_ids(rows)),
        sizes=column(sizes, np.float64, (-1, 2)),
        offsets=narrowed(np.concatenate([np.zeros(1, np.int64), np.cumsum(counts)])),
        ids=narrowed(_values(rows, "ids", np.arange(1, total + 1))),
        boxes=boxes,
        areas=column(_values(rows, "areas", boxes[:, 2] * boxes[:, 3]), np.float64),
        categories=narrowed(_category_ids(_values(rows, "labels", counts), categories, place)),
        crowd=column(_values(rows, "iscrowd", np.zeros(total)), bool),
        ignore=column(_values(rows, "ignore", np.zeros(total)), bool),
        segmentations=PackedRecords.of_json(_masks(rows, total)),
        category_records=tuple(categories),
    )


def _counts(rows: pa.Table, name: str) -> np.ndarray:
    """`(N,)` numbers of objects."""
    import pyarrow.compute as pc

    return pc.fill_null(pc.list_value_length(rows[name]), 0).to_numpy().astype(np.int64)  # type: ignore[no-any-return]


def _flat(rows: pa.Table, name: str) -> pa.ChunkedArray:
    """A column over all objects."""
    import pyarrow.compute as pc

    return pc.list_flatten(rows[name])


def _values(rows: pa.Table, name: str, default: np.ndarray) -> np.ndarray:
    return _flat(rows, name).to_numpy() if name in rows.column_names else default


def _image_ids(rows: pa.Table) -> np.ndarray:
    return rows["id"].to_numpy() if "id" in rows.column_names else np.arange(len(rows))


def _image_records(rows: pa.Table) -> Iterator[dict[str, Any]]:
    names, ids = rows["file_name"].to_pylist(), _image_ids(rows).tolist()
    sizes = zip(rows["width"].to_pylist(), rows["height"].to_pylist(), strict=True)
    more = rows["record"].to_pylist() if "record" in rows.column_names else [None] * len(rows)
    for name, number, (width, height), record in zip(names, ids, sizes, more, strict=True):
        known = json.loads(record) if record else {}
        yield {**known, "id": number, "file_name": name, "width": width, "height": height, "filename": name}


def _category_ids(labels: np.ndarray, categories: Sequence[Mapping[str, Any]], place: str) -> np.ndarray:
    ids = np.array([each["id"] for each in categories], np.int64)
    wrong = labels[(labels < 0) | (labels >= len(ids))]
    if len(wrong):
        raise ValueError(f"{place}: label {wrong[0]} is none of the {len(ids)} categories in the metadata of the file")
    return ids[labels.astype(np.int64)]


def _masks(rows: pa.Table, total: int) -> list[bytes]:
    """JSON of each object's segmentation, empty where there is none."""
    import pyarrow as pa

    if "masks" not in rows.column_names:
        return [b""] * total
    return [text or b"" for text in _flat(rows, "masks").cast(pa.binary()).to_pylist()]
