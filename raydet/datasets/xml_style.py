"""Data sets of one XML file per image, as PASCAL VOC has them."""

from __future__ import annotations

import os.path as osp
from typing import Any
from xml.etree.ElementTree import Element

import numpy as np

from raydet.datasets.custom import MIN_SIZE, CustomDataset
from raydet.datasets.files import load_lines
from raydet.datasets.image_size import read_image_size
from raydet.datasets.table import PackedRecords
from raydet.datasets.xml_reader import objects_in, read_xml, size_in


class XMLDataset(CustomDataset):
    """Images with boxes from XML files; `ann_file` is a text file with one image id a line.

    Args:
        min_size: when training, objects narrower or lower than this are ignored, in pixels.
        img_subdir: folder of the images below `img_prefix`.
        ann_subdir: folder of the XML files below `img_prefix`.
        kwargs: arguments of `CustomDataset`.

    Attributes:
        cat2label: label of each class name.

    Raises:
        ValueError: the data set has no classes, or `min_size` is given for testing.
    """

    _objects: PackedRecords | None = None

    def __init__(
        self,
        min_size: int | None = None,
        img_subdir: str = "JPEGImages",
        ann_subdir: str = "Annotations",
        **kwargs: Any,
    ) -> None:
        classes = self.get_classes(kwargs.get("classes"))
        if not classes:
            raise ValueError(f"{type(self).__name__} needs classes: a list of names, or a text file with one a line")
        if min_size and kwargs.get("test_mode"):
            raise ValueError(f"min_size={min_size} is for training, an evaluation counts all objects; leave it out")
        self.min_size = min_size
        self.img_subdir = img_subdir
        self.ann_subdir = ann_subdir
        self.cat2label = {name: label for label, name in enumerate(classes)}
        super().__init__(**kwargs)

    def load_annotations(self, ann_file: str) -> PackedRecords:
        """Read the list of images, and the XML file of each."""
        infos, objects = [], []
        for image_id in filter(None, map(str.strip, load_lines(ann_file, self.file_client_args))):
            root = self._root(image_id)
            filename = self._image_name(image_id, root)
            width, height = size_in(root) or read_image_size(osp.join(self.img_prefix, filename), self.file_client_args)
            infos.append({"id": image_id, "filename": filename, "width": width, "height": height})
            objects.append(objects_in(root, self._xml_path(image_id)))
        self._objects = PackedRecords(objects)
        return PackedRecords(infos)

    def _xml_path(self, image_id: str) -> str:
        return osp.join(self.img_prefix, self.ann_subdir, f"{image_id}.xml")

    def _root(self, image_id: str) -> Element:
        return read_xml(self._xml_path(image_id), self.file_client_args)

    def _image_name(self, image_id: str, root: Element) -> str:
        """Path of an image below `img_prefix`."""
        return osp.join(self.img_subdir, f"{image_id}.jpg")

    def _objects_of(self, idx: int) -> list[list[Any]]:
        """Objects of the data set's classes in one image: name, difficult, xmin, ymin, xmax, ymax."""
        if self._objects is None:  # a subclass lists its images in its own way
            ids = [info["id"] for info in self.data_infos]
            self._objects = PackedRecords(objects_in(self._root(each), self._xml_path(each)) for each in ids)
        return [each for each in self._objects[idx] if each[0] in self.cat2label]

    def _keep(self, indices: Any) -> None:
        super()._keep(indices)
        if self._objects is not None:
            self._objects = self._objects.take(indices)

    def _filter_imgs(self, min_size: int = MIN_SIZE) -> list[int]:
        return [
            i
            for i, info in enumerate(self.data_infos)
            if min(info["width"], info["height"]) >= min_size and (not self.filter_empty_gt or self._objects_of(i))
        ]

    def get_cat_ids(self, idx: int) -> list[int]:
        """Labels of all objects of one image, also of the difficult ones."""
        return [self.cat2label[name] for name, *_ in self._objects_of(idx)]

    def get_ann_info(self, idx: int) -> dict[str, np.ndarray]:
        """Annotation of one image; pixels are counted from 0.

        Returns:
            `bboxes` `(G, 4)` float32, `labels` `(G,)` int64, and `bboxes_ignore` `(I, 4)` and `labels_ignore` `(I,)` of
            objects that are difficult or smaller than `min_size`.
        """
        objects = self._objects_of(idx)
        boxes = np.array([corners for _, _, *corners in objects], np.float32).reshape(-1, 4)
        labels = np.array([self.cat2label[name] for name, *_ in objects], np.int64)
        ignored = np.array([difficult for _, difficult, *_ in objects], bool)
        if self.min_size:
            ignored |= (boxes[:, 2:] - boxes[:, :2] < self.min_size).any(axis=1)
        return {
            "bboxes": boxes[~ignored] - 1,
            "labels": labels[~ignored],
            "bboxes_ignore": boxes[ignored] - 1,
            "labels_ignore": labels[ignored],
        }
