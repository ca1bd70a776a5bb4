"""Data sets in the layout of YOLO: a text file of labels for each image."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from raydet.datasets.coco import CocoDataset
from raydet.datasets.coco_reader import make_table
from raydet.datasets.table import CocoTable
from raydet.datasets.yolo_reader import find_split, read_split
from raydet.transforms.files import DISK


class YOLODataset(CocoDataset):
    """Images with boxes or polygons from text files, evaluated as COCO does.

    `images/train/a.jpg` belongs to `labels/train/a.txt`, which has one object a line: its class and then, in fractions
    of the image size, either centre, width and height of its box, or the corners of its polygon. An image without a
    label file, or with an empty one, shows no object.

    Args:
        ann_file: a `data.yaml`, which names the folders of the splits and the classes; or a folder of label files.
        pipeline: transforms, or their dicts.
        split: which split of the `data.yaml`.
        classes: those of the named classes to use; or, where no `data.yaml` and no `classes.txt` beside the labels or
            above names them, the names in the order of the labels.
        data_root: folder that the other paths are relative to.
        img_prefix: folder of the images; that of the labels with `images` in the place of `labels` when left out.
        file_client_args: where the labels lie; images, whose sizes are read, must lie there too.
        options: the other arguments of `CustomDataset`.
    """

    CLASSES: Sequence[str] | None = None
    PALETTE: ClassVar[Any] = None

    def __init__(
        self,
        ann_file: str,
        pipeline: Sequence[Any],
        split: str = "train",
        classes: str | Sequence[str] | None = None,
        data_root: str | None = None,
        img_prefix: str = "",
        file_client_args: Mapping[str, Any] = DISK,
        **options: Any,
    ) -> None:
        self.split = split
        super().__init__(
            ann_file, pipeline, classes, data_root, img_prefix, file_client_args=file_client_args, **options
        )

    def _read(self, ann_file: str) -> CocoTable:
        given = "" if self.img_prefix == self._below_root("") else self.img_prefix
        found = find_split(ann_file, self.split, given, self.file_client_args)
        names = found.classes or self.CLASSES
        if names is None:
            raise ValueError(
                f"{ann_file}: no data.yaml and no classes.txt names the classes; pass classes=[...] to the data set"
            )
        self.img_prefix = found.images
        return make_table(read_split(found, names, self.file_client_args), ann_file)

    def _content(self, ann_file: str) -> Any:
        return self._table.to_coco()
