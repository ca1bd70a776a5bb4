"""Data sets in Parquet and Arrow files, on disk or in an object store."""

from __future__ import annotations

import bisect
import json
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from raydet.datasets.coco import CocoDataset
from raydet.datasets.parquet_reader import read_rows, to_table
from raydet.datasets.parquet_schema import MANIFEST, read_metadata
from raydet.datasets.table import CocoTable
from raydet.transforms.base import Results
from raydet.transforms.embedded import ARROW, PARQUET, embedded_uri, read_schema
from raydet.transforms.storage import list_files, read_text


class ParquetDataset(CocoDataset):
    """Images with boxes and masks from Parquet or Arrow files, see `raydet.datasets.parquet_schema` for their columns.

    Takes the arguments of `CocoDataset`: `ann_file` is a file, or a folder of files, local or `s3://bucket/folder`; all
    categories are classes when `classes` is left out; and `img_prefix` need be given only when images that are not in
    the files have moved.
    """

    CLASSES: Sequence[str] | None = None
    PALETTE: ClassVar[Any] = None

    def _read(self, ann_file: str) -> CocoTable:
        self._files = _files_of(ann_file)
        tables = [read_rows(file) for file in self._files]
        abouts = [read_metadata(read_schema(file), file) for file in self._files]
        for file, about in zip(self._files, abouts, strict=True):
            if about["categories"] != abouts[0]["categories"]:
                raise ValueError(f"{file} has other categories than {self._files[0]}; open them as two data sets")
        self._starts = np.cumsum([0, *(len(table) for table in tables)]).tolist()
        self._embedded: bool = abouts[0]["embedded"]
        if self.img_prefix == self._below_root(""):  # not given
            self.img_prefix = abouts[0]["img_prefix"] or self.img_prefix
        return to_table(tables, abouts[0]["categories"], ann_file)

    def _content(self, ann_file: str) -> Any:
        return self._table.to_coco()

    def get_ann_info(self, idx: int) -> dict[str, Any]:
        """Annotation of one image, see `CocoDataset.get_ann_info`; also `labels_ignore` `(I,)` of the crowds."""
        rows = self._rows(idx)
        labels = self._labels[rows]
        ignored = labels[self._table.crowd[rows] & (labels >= 0)]
        return {**super().get_ann_info(idx), "labels_ignore": ignored.astype(np.int64)}

    def _place(self, idx: int) -> str:
        """Where the image lies that is in the files."""
        position = int(self._positions[idx])
        file = bisect.bisect_right(self._starts, position) - 1
        return embedded_uri(self._files[file], position - self._starts[file])

    def _record(self, idx: int, ann_info: Any) -> Results:
        results = super()._record(idx, ann_info)
        if self._embedded:
            results["img_prefix"] = self._place(idx)
        return results

    def filename(self, idx: int) -> str:
        """Path of one image, as `raydet.transforms.read_bytes` takes it."""
        return f"{self._place(idx)}/{self.data_infos[idx]['filename']}" if self._embedded else super().filename(idx)


def _files_of(place: str) -> list[str]:
    """The files of a data set.

    Raises:
        FileNotFoundError: there are none.
        ValueError: their conversion was not finished.
    """
    if place.endswith((PARQUET, *ARROW)):
        return [place]
    names = list_files(place)
    found = [f"{place.rstrip('/')}/{name}" for name in names if name.endswith((PARQUET, *ARROW))]
    if not found:
        raise FileNotFoundError(f"{place} holds no .parquet, .arrow or .feather file; check data_root and ann_file")
    if MANIFEST in names and not json.loads(read_text(f"{place.rstrip('/')}/{MANIFEST}"))["complete"]:
        raise ValueError(f"{place} was not written to its end; run the same `raydet convert` again")
    return found
