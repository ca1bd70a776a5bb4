"""Open Images (arXiv:1811.00982), also in the form of its challenge."""

from __future__ import annotations

import io
import logging
import os.path as osp
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from raydet.datasets.coco_reader import read_json
from raydet.datasets.custom import MIN_SIZE, CustomDataset
from raydet.datasets.files import load_pickle
from raydet.datasets.image_size import read_image_size
from raydet.datasets.open_images_reader import (
    class_tree,
    read_boxes,
    read_challenge_boxes,
    read_image_labels,
    read_rows,
)
from raydet.datasets.table import PackedRecords
from raydet.transforms.base import Results
from raydet.transforms.files import DISK, read_bytes


class OpenImagesDataset(CustomDataset):
    """Open Images. Boxes are fractions of the image size: load them with `LoadAnnotations(denorm_bbox=True)`.

    Args:
        ann_file: csv file of the boxes.
        label_file: csv file of class ids and names.
        image_level_ann_file: csv file of the labels that people verified for whole images, for the evaluation.
        get_supercategory: in the evaluation, an object is also one of all classes above its own.
        hierarchy_file: JSON file of the hierarchy of classes; needed for `get_supercategory`.
        get_metas: the evaluation needs the sizes of the images.
        load_from_file: take them from `meta_file`; else from the images.
        meta_file: pickle with a dict of filename and ori_shape for each image.
        filter_labels: the evaluation leaves out detections of classes that nobody verified for their image.
        load_image_level_labels: read `image_level_ann_file`.
        file_client_args: where files lie.
        kwargs: arguments of `CustomDataset`; `classes` has no effect, they come from `label_file`.

    Attributes:
        index_dict: label of each class id.
        class_label_tree: `(K, K)`, 1 in row k for class k and the classes above it; `get_supercategory` only.

    Raises:
        ValueError: a file is missing from the arguments, or does not have the right ending.
    """

    METRIC = "open_images"
    class_label_tree: np.ndarray
    _hierarchy_ending = ".json"
    _known_sizes: Mapping[str, tuple[int, int]] | None = None
    _image_labels: Mapping[str, np.ndarray] | None = None

    def __init__(
        self,
        ann_file: str,
        label_file: str = "",
        image_level_ann_file: str = "",
        get_supercategory: bool = True,
        hierarchy_file: str | None = None,
        get_metas: bool = True,
        load_from_file: bool = True,
        meta_file: str = "",
        filter_labels: bool = True,
        load_image_level_labels: bool = True,
        file_client_args: Mapping[str, Any] = DISK,
        **kwargs: Any,
    ) -> None:
        self.data_root = kwargs.get("data_root")
        self.file_client_args = dict(file_client_args)
        self.get_supercategory = get_supercategory
        self.get_metas = get_metas
        self.load_from_file = load_from_file
        self.filter_labels = filter_labels
        self.load_image_level_labels = load_image_level_labels
        self.meta_file = self._below_root(meta_file) if meta_file else ""
        self.image_level_ann_file = self._below_root(image_level_ann_file) if image_level_ann_file else ""
        self.cat2label: dict[str, str] = {}
        self.index_dict: dict[str, int] = {}
        names = self.get_classes_from_csv(self._file("label_file", label_file, ".csv"))
        arguments = {**kwargs, "classes": names, "ann_file": ann_file, "file_client_args": file_client_args}
        super().__init__(**arguments)
        if get_supercategory:
            path = self._file("hierarchy_file", hierarchy_file, self._hierarchy_ending)
            self.class_label_tree = self.get_relation_matrix(path)

    def _file(self, argument: str, path: str | None, ending: str) -> str:
        if not path or not path.endswith(ending):
            raise ValueError(f"{type(self).__name__} needs {argument}, a file that ends in {ending}, got {path!r}")
        return self._below_root(path)

    def get_classes_from_csv(self, label_file: str) -> list[str]:
        """Read class ids and names, in the order of their labels."""
        rows = read_rows(label_file, self.file_client_args)
        self.cat2label = {class_id: name for class_id, name, *_ in rows}
        self.index_dict = {class_id: label for label, (class_id, *_) in enumerate(rows)}
        return [name for _, name, *_ in rows]

    def get_relation_matrix(self, hierarchy_file: str) -> np.ndarray:
        """Read which classes are a kind of which, see `class_label_tree`."""
        return class_tree(read_json(hierarchy_file, self.file_client_args), self.index_dict)

    def load_annotations(self, ann_file: str) -> PackedRecords:
        """Read the boxes once, into columns."""
        names, self._table = read_boxes(ann_file, self.index_dict, self.file_client_args)
        return PackedRecords({"img_id": name, "filename": f"{name}.jpg"} for name in names)

    def _filter_imgs(self, min_size: int = MIN_SIZE) -> list[int]:
        return list(range(len(self)))  # the files say nothing of sizes, and name only images with boxes

    def _set_group_flag(self) -> None:
        self.flag = np.zeros(len(self), np.uint8)

    def get_ann_info(self, idx: int) -> dict[str, np.ndarray]:
        """Annotation of one image.

        Returns:
            `bboxes` `(G, 4)` float32 fractions of the image size, `labels` `(G,)` int64, empty `bboxes_ignore` and
            `labels_ignore`, and what is marked, `(G,)` bool: `gt_is_group_ofs`, `is_occludeds` and so on.
        """
        rows = self._rows(idx)
        return {
            "bboxes": self._table.boxes[rows].copy(),
            "labels": self._table.labels[rows].astype(np.int64),
            "bboxes_ignore": np.zeros((0, 4), np.float32),
            "labels_ignore": np.zeros(0, np.int64),
            **{name: marked[rows].copy() for name, marked in self._table.marks.items()},
        }

    def get_cat_ids(self, idx: int) -> list[int]:
        """Labels of all objects of one image."""
        return self._table.labels[self._rows(idx)].tolist()  # type: ignore[no-any-return]

    def _rows(self, idx: int) -> slice:
        return slice(*self._table.offsets[idx : idx + 2].tolist())

    def image_size(self, idx: int) -> tuple[int, int]:
        """Height and width of one image, from `meta_file` or from the image."""
        if not (self.get_metas and self.load_from_file and self.meta_file):
            width, height = read_image_size(self.filename(idx), self.file_client_args)
            return height, width
        if self._known_sizes is None:
            metas = load_pickle(self.meta_file, self.file_client_args)
            self._known_sizes = {osp.basename(each["filename"]): tuple(each["ori_shape"][:2]) for each in metas}
        name = osp.basename(self.data_infos[idx]["filename"])
        if name not in self._known_sizes:
            raise ValueError(f"{self.meta_file} lacks {name}; take the file of this data set, or load_from_file=False")
        return self._known_sizes[name]

    def image_level_labels(self, idx: int) -> np.ndarray | None:
        """`(n,)` labels that people verified for one image; None when `load_image_level_labels` is off."""
        if not self.load_image_level_labels:
            return None
        if self._image_labels is None:
            if not self.image_level_ann_file:
                raise ValueError("the evaluation needs image_level_ann_file; or set load_image_level_labels=False")
            self._image_labels = read_image_labels(self.image_level_ann_file, self.index_dict, self.file_client_args)
        image_id = osp.splitext(osp.basename(self.data_infos[idx]["filename"]))[0]
        return self._image_labels.get(image_id, np.zeros(0, np.int64))

    def placeholder(self, idx: int) -> Results | None:
        """None: the size of an image is not known before it is read."""
        return None

    def evaluate(  # type: ignore[override]
        self,
        results: Sequence[Any],
        metric: str | Sequence[str] = "mAP",
        logger: logging.Logger | str | None = None,
        iou_thr: float | Sequence[float] = 0.5,
        ioa_thr: float | Sequence[float] | None = 0.5,
        scale_ranges: Sequence[tuple[float, float]] | None = None,
        denorm_gt_bbox: bool = True,
        use_group_of: bool = True,
    ) -> dict[str, Any]:
        """Evaluate results as Open Images does.

        Args:
            results: one 2.x result per image.
            metric: "mAP".
            logger: where tables go.
            iou_thr: one overlap or several.
            ioa_thr: part of a detection that must lie inside a group, one for each overlap.
            scale_ranges: ranges of object sizes; only without groups.
            denorm_gt_bbox: the boxes of the annotations are fractions of the image size.
            use_group_of: boxes may stand for groups of objects.

        Returns:
            `mAP` and `AP50` and so on.
        """
        return self._score(
            results,
            metric=metric,
            logger=logger,
            iou_thr=iou_thr,
            ioa_thr=ioa_thr,
            scale_ranges=scale_ranges,
            denorm_gt_bbox=denorm_gt_bbox,
            use_group_of=use_group_of,
        )


class OpenImagesChallengeDataset(OpenImagesDataset):
    """Open Images in the form of its challenge.

    Args:
        ann_file: text file of the boxes.
        kwargs: arguments of `OpenImagesDataset`; `label_file` also has the number of each class, from 1, and
            `hierarchy_file` is the matrix of the hierarchy in numpy's format, with a row and column for no class at 0.
    """

    _hierarchy_ending = ".np"

    def __init__(self, ann_file: str, **kwargs: Any) -> None:
        if not ann_file.endswith(".txt"):
            raise ValueError(f"OpenImagesChallengeDataset needs ann_file, a file that ends in .txt, got {ann_file!r}")
        super().__init__(ann_file=ann_file, **kwargs)

    def get_classes_from_csv(self, label_file: str) -> list[str]:
        """Read class ids, names and numbers, in the order of the numbers."""
        rows = sorted(read_rows(label_file, self.file_client_args), key=lambda row: int(row[2]))
        self.cat2label = {class_id: name for class_id, name, *_ in rows}
        self.index_dict = {class_id: int(number) - 1 for class_id, _, number, *_ in rows}
        return [name for _, name, *_ in rows]

    def get_relation_matrix(self, hierarchy_file: str) -> np.ndarray:
        """Read which classes are a kind of which, see `class_label_tree`."""
        matrix: np.ndarray = np.load(io.BytesIO(read_bytes(hierarchy_file, self.file_client_args)))
        return matrix[1:, 1:]

    def load_annotations(self, ann_file: str) -> PackedRecords:
        """Read the boxes once, into columns."""
        names, self._table = read_challenge_boxes(ann_file, self.file_client_args)
        return PackedRecords({"filename": name} for name in names)
