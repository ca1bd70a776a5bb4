"""Data sets in COCO layout (arXiv:1405.0312)."""

from __future__ import annotations

import contextlib
import io
import logging
import tempfile
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
from pycocotools.coco import COCO

from raydet.datasets import coco_results
from raydet.datasets.class_names import names_of, palette_of
from raydet.datasets.coco_reader import Dialect, make_table, read_coco, read_content
from raydet.datasets.custom import MIN_SIZE, CustomDataset
from raydet.datasets.log import say_once
from raydet.datasets.table import CocoTable, PackedRecords, give_back_memory, narrowed

COCO_CLASSES = names_of("coco")


class CocoIndex(COCO):
    """pycocotools' index of an annotation file, also with the method names of 2.x."""

    def __init__(self, content: Any) -> None:
        super().__init__()
        self.dataset = content
        with contextlib.redirect_stdout(io.StringIO()):
            self.createIndex()
        self.img_ann_map, self.cat_img_map = self.imgToAnns, self.catToImgs

    def get_ann_ids(self, img_ids: Any = [], cat_ids: Any = [], area_rng: Any = [], iscrowd: Any = None) -> Any:  # noqa: B006
        """Ids of the annotations that fit."""
        return self.getAnnIds(img_ids, cat_ids, area_rng, iscrowd)

    def get_cat_ids(self, cat_names: Any = [], sup_names: Any = [], cat_ids: Any = []) -> Any:  # noqa: B006
        """Ids of the categories that fit."""
        return self.getCatIds(cat_names, sup_names, cat_ids)

    def get_img_ids(self, img_ids: Any = [], cat_ids: Any = []) -> Any:  # noqa: B006
        """Ids of the images that fit."""
        return self.getImgIds(img_ids, cat_ids)

    def load_anns(self, ids: Any) -> Any:
        """Annotations with these ids."""
        return self.loadAnns(ids)

    def load_cats(self, ids: Any) -> Any:
        """Categories with these ids."""
        return self.loadCats(ids)

    def load_imgs(self, ids: Any) -> Any:
        """Images with these ids."""
        return self.loadImgs(ids)


class CocoDataset(CustomDataset):
    """Images with boxes and masks from a COCO annotation file.

    A subclass whose `CLASSES` is None takes them from its file.

    Attributes:
        img_ids: id of each image.
        cat_ids: ids of the categories named in `classes`, in the order of the file.
        cat2label: label of each of them.
    """

    CLASSES: Sequence[str] | None = COCO_CLASSES
    PALETTE: ClassVar[Any] = palette_of("coco")
    METRIC = "coco"
    DIALECT: ClassVar[Dialect] = Dialect()

    def load_annotations(self, ann_file: str) -> PackedRecords:
        """Read the file once, into columns."""
        self._table: CocoTable = self._read(ann_file)
        self._index: CocoIndex | None = None
        self._positions = narrowed(np.arange(len(self._table.images)))
        self.img_ids: list[int] = self._table.image_ids.tolist()
        if self.CLASSES is None:  # as LVIS and Objects365, whose many classes only their files say
            self.CLASSES = tuple(each["name"] for each in self._table.category_records)
        wanted = set(self.CLASSES or ())
        self.cat_ids = [each["id"] for each in self._table.category_records if each["name"] in wanted]
        self.cat2label = {category: label for label, category in enumerate(self.cat_ids)}
        self._labels = self._usable_labels()
        self._check_classes(ann_file)
        give_back_memory()
        return self._table.images

    def _read(self, ann_file: str) -> CocoTable:
        """The annotation file in columns."""
        if type(self)._content is CocoDataset._content:  # nothing to adapt: the fast way, past Python objects
            return read_coco(ann_file, self.file_client_args, self.DIALECT)
        return make_table(self._content(ann_file), ann_file)

    def _usable_labels(self) -> np.ndarray:
        """`(A,)` integers, -1 for annotations that are not used."""
        ids, inverse = np.unique(self._table.categories, return_inverse=True)
        labels = np.array([self.cat2label.get(each, -1) for each in ids.tolist()], np.int64)
        return narrowed(np.where(self._table.usable(), labels[inverse], -1))

    def _content(self, ann_file: str) -> Any:
        """What the annotation file says, in COCO's layout."""
        return read_content(ann_file, self.file_client_args, self.DIALECT)

    def _check_classes(self, ann_file: str) -> None:
        names = [each["name"] for each in self._table.category_records]
        missing = [name for name in self.CLASSES or () if name not in names]
        if missing:
            say_once(
                f"{ann_file} has no category for {len(missing)} of {len(self.CLASSES or ())} classes, such as "
                f"{missing[:3]}; its categories are {names[:10]}. Pass classes=[...] if the data set has other ones"
            )
        present = [name for name in self.CLASSES or () if name in names]
        if present != [name for name in names if name in present]:
            say_once(f"{ann_file}: labels follow the order of its categories, not that of classes", logging.INFO)

    @property
    def coco(self) -> CocoIndex:
        """Pycocotools' view of the annotation file, made when first asked for."""
        if self._index is None:
            self._index = CocoIndex(self._content(self.ann_file))
        return self._index

    @coco.setter
    def coco(self, index: CocoIndex) -> None:
        self._index = index

    @property
    def annotations(self) -> COCO | CocoTable:
        """Where evaluation finds the true objects: the index once there is one, for it may have been changed."""
        return self._table if self._index is None else self._index

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_index": None}

    def _keep(self, indices: Sequence[int]) -> None:
        super()._keep(indices)
        self._positions = self._positions[np.asarray(indices, np.int64)]
        self.img_ids = self._table.image_ids[self._positions].tolist()

    def _rows(self, idx: int) -> slice:
        return self._table.rows(int(self._positions[idx]))

    def get_cat_ids(self, idx: int) -> list[int]:
        """Category ids of all annotations of one image, also of those that are not used."""
        return self._table.categories[self._rows(idx)].tolist()  # type: ignore[no-any-return]

    def _labels_of(self, idx: int) -> list[int]:
        categories = self._table.categories[self._rows(idx)].tolist()
        return [self.cat2label[each] for each in categories if each in self.cat2label]

    def get_ann_info(self, idx: int) -> dict[str, Any]:
        """Annotation of one image.

        Returns:
            `bboxes` `(G, 4)` float32, `labels` `(G,)` int64, `bboxes_ignore` `(I, 4)` (crowds), `masks` (a
            sequence of G COCO segmentations) and `seg_map`, the name of the semantic map.
        """
        table, rows = self._table, self._rows(idx)
        kept = np.flatnonzero(self._labels[rows] >= 0) + rows.start
        crowd = table.crowd[kept]
        objects = kept[~crowd]
        name = self.data_infos[idx]["filename"]
        return {
            "bboxes": self._xyxy(objects),
            "labels": self._labels[objects].astype(np.int64),
            "bboxes_ignore": self._xyxy(kept[crowd]),
            "masks": table.segmentations.copy_of(objects),  # read by those that want masks
            "seg_map": name.rsplit(".", 1)[0] + self.seg_suffix,
        }

    def _xyxy(self, annotations: np.ndarray) -> np.ndarray:
        xywh = self._table.boxes[annotations]
        return np.concatenate([xywh[:, :2], xywh[:, :2] + xywh[:, 2:]], axis=1).astype(np.float32)

    def _filter_imgs(self, min_size: int = MIN_SIZE) -> list[int]:
        table = self._table
        kept = table.sizes.min(axis=1, initial=np.inf) >= min_size
        if self.filter_empty_gt:
            image_of = np.repeat(np.arange(len(table.images)), np.diff(table.offsets))
            kept &= np.isin(np.arange(len(kept)), image_of[np.isin(table.categories, self._object_categories())])
        return [int(i) for i in np.flatnonzero(kept)]

    def _object_categories(self) -> list[int]:
        """Categories of which an image shows one, or else is empty."""
        return self.cat_ids

    def _set_group_flag(self) -> None:
        width, height = self._table.sizes[self._positions].T
        self.flag = (width > height).astype(np.uint8)

    def xyxy2xywh(self, bbox: Any) -> list[float]:
        """One box as x, y, width, height."""
        return coco_results.xyxy2xywh(bbox)

    def _proposal2json(self, results: Sequence[Any]) -> coco_results.Rows:
        return coco_results.proposal_rows(self.img_ids, results)

    def _det2json(self, results: Sequence[Any]) -> coco_results.Rows:
        return coco_results.box_rows(self.img_ids, self.cat_ids, results)

    def _segm2json(self, results: Sequence[Any]) -> tuple[coco_results.Rows, coco_results.Rows]:
        boxes = self._det2json([each[0] for each in results])
        return boxes, coco_results.mask_rows(self.img_ids, self.cat_ids, results)

    def results2json(self, results: Sequence[Any], outfile_prefix: str) -> dict[str, str]:
        """Write results in COCO's format.

        Returns:
            Paths by metric: "bbox" and "proposal", also "segm" for results with masks; "proposal" alone for proposals.

        Raises:
            TypeError: results of another form.
        """
        first = results[0]
        if isinstance(first, np.ndarray):
            path = coco_results.write_rows(self._proposal2json(results), f"{outfile_prefix}.proposal.json")
            return {"proposal": path}
        if not isinstance(first, (list, tuple)):
            raise TypeError(f"a result is a list of arrays, (boxes, masks) or an array of proposals, got {type(first)}")
        boxes, masks = self._segm2json(results) if isinstance(first, tuple) else (self._det2json(results), None)
        path = coco_results.write_rows(boxes, f"{outfile_prefix}.bbox.json")
        files = {"bbox": path, "proposal": path}
        if masks is not None:
            files["segm"] = coco_results.write_rows(masks, f"{outfile_prefix}.segm.json")
        return files

    def format_results(
        self, results: Sequence[Any], jsonfile_prefix: str | None = None, **kwargs: Any
    ) -> tuple[dict[str, str], tempfile.TemporaryDirectory[str] | None]:
        """Write results in COCO's format.

        Args:
            results: one 2.x result per image.
            jsonfile_prefix: start of the paths; a temporary folder when left out.
            kwargs: unused.

        Returns:
            The paths by metric, and the temporary folder if there is one.
        """
        if not isinstance(results, list):
            raise TypeError(f"results must be a list, got {type(results).__name__}")
        prefix, folder = coco_results.destination(self, results, jsonfile_prefix)
        return self.results2json(results, prefix), folder

    def fast_eval_recall(
        self,
        results: Sequence[Any],
        proposal_nums: Sequence[int],
        iou_thrs: Sequence[float],
        logger: logging.Logger | str | None = None,
    ) -> np.ndarray:
        """Average recall of proposals for each of `proposal_nums`."""
        scores = self._score(
            results, metric="proposal_fast", proposal_nums=proposal_nums, iou_thrs=iou_thrs, logger=logger
        )
        return np.array([scores[f"AR@{num}"] for num in proposal_nums])

    def evaluate(  # type: ignore[override]
        self,
        results: Sequence[Any],
        metric: str | Sequence[str] = "bbox",
        logger: logging.Logger | str | None = None,
        jsonfile_prefix: str | None = None,
        classwise: bool = False,
        proposal_nums: Sequence[int] = (100, 300, 1000),
        iou_thrs: float | Sequence[float] | None = None,
        metric_items: str | Sequence[str] | None = None,
    ) -> dict[str, Any]:
        """Evaluate results as COCO does.

        Args:
            results: one 2.x result per image.
            metric: any of "bbox", "segm", "proposal", "proposal_fast".
            logger: where tables go.
            jsonfile_prefix: also write the results to `<prefix>.bbox.json` and so on.
            classwise: also show each class.
            proposal_nums: numbers of detections per image that count.
            iou_thrs: overlaps to average over; 0.5, 0.55, ... 0.95 when left out.
            metric_items: which COCO numbers to return.

        Returns:
            `bbox_mAP`, `bbox_mAP_50` and so on.
        """
        return self._score(
            results,
            metric=metric,
            logger=logger,
            jsonfile_prefix=jsonfile_prefix,
            classwise=classwise,
            proposal_nums=proposal_nums,
            iou_thrs=iou_thrs,
            metric_items=metric_items,
        )
