"""LVIS (arXiv:1908.03195), versions 0.5 and 1, with annotations in COCO layout."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar

from raydet.datasets.coco import CocoDataset
from raydet.datasets.coco_reader import Dialect
from raydet.datasets.table import CocoTable, PackedRecords

_HOST = "http://images.cocodataset.org/"
_NAME_LENGTH = len("000000000000.jpg")

Image = Mapping[str, Any]


def _with_file_name(image: Image) -> Image:
    """The record of an image with the `file_name` that files of version 1 may lack."""
    if "coco_url" not in image:
        raise ValueError(f"image {image.get('id')} lacks coco_url; LVISV1Dataset reads LVIS v1 files")
    return {"file_name": _name_in_url(image), **image}


class LVISV05Dataset(CocoDataset):
    """LVIS version 0.5; the file says the 1230 classes. Its images are those of COCO 2017."""

    CLASSES: Sequence[str] | None = None
    PALETTE: ClassVar[Any] = None
    METRIC = "lvis"

    def load_annotations(self, ann_file: str) -> PackedRecords:
        """Read the file once, into columns."""
        super().load_annotations(ann_file)
        self._table = _renamed(self._table, _name_of_2017)
        return self._table.images


LVISDataset = LVISV05Dataset


class LVISV1Dataset(CocoDataset):
    """LVIS version 1; the file says the 1203 classes, and in which folders below `img_prefix` its images lie."""

    CLASSES: Sequence[str] | None = None
    PALETTE: ClassVar[Any] = None
    METRIC = "lvis"
    DIALECT = Dialect(image=_with_file_name)

    def load_annotations(self, ann_file: str) -> PackedRecords:
        """Read the file once, into columns."""
        super().load_annotations(ann_file)
        self._table = _renamed(self._table, _name_in_url)
        return self._table.images


def _name_of_2017(image: Image) -> str:
    """The name without the start that COCO's images had in 2014, as `COCO_val2014_`."""
    name = str(image["file_name"])
    return name[-_NAME_LENGTH:] if name.startswith("COCO") else name


def _name_in_url(image: Image) -> str:
    """Folder and name, as `val2017/000000397133.jpg`."""
    return str(image["coco_url"]).removeprefix(_HOST)


def _renamed(table: CocoTable, name_of: Callable[[Image], str]) -> CocoTable:
    """The same table with other names of its images."""
    return replace(table, images=PackedRecords({**image, "filename": name_of(image)} for image in table.images))
