"""COCO panoptic data sets: every pixel belongs to a thing or to stuff (arXiv:1801.00868)."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from raydet.datasets import panoptic_results
from raydet.datasets.class_names import names_of, palette_of
from raydet.datasets.coco import COCO_CLASSES, CocoDataset
from raydet.datasets.table import CocoTable
from raydet.structures import ids_from_rgb
from raydet.transforms.files import DISK, read_image


class CocoPanopticDataset(CocoDataset):
    """Images with panoptic maps.

    The annotation file lists the segments of each image (`segments_info`: id, category_id, bbox, area, iscrowd); the
    PNG of the image's name below `seg_prefix` says which pixels each has. Categories say whether they are things by
    `isthing`, or else by the names of COCO.

    Args:
        ann_file: annotation file.
        pipeline: transforms, or their dicts.
        ins_ann_file: COCO file with the things of the same images, to evaluate boxes and masks as well.
        classes: names of things and stuff, in the order of the file.
        data_root: folder that the other paths are relative to.
        img_prefix: folder of the images.
        seg_prefix: folder of the panoptic PNG files.
        proposal_file: pickle with one array of proposals per image.
        test_mode: keep all images, and give samples without annotations.
        filter_empty_gt: leave out images without things when training.
        file_client_args: where files lie, see `raydet.transforms.read_bytes`.

    Attributes:
        categories: records of the file by category id.
    """

    CLASSES: Sequence[str] | None = names_of("coco_panoptic")
    PALETTE: ClassVar[Any] = palette_of("coco_panoptic")
    THING_CLASSES: ClassVar[Sequence[str]] = COCO_CLASSES
    STUFF_CLASSES: ClassVar[Sequence[str]] = names_of("coco_panoptic")[len(COCO_CLASSES) :]
    METRIC = "panoptic"

    def __init__(
        self,
        ann_file: str,
        pipeline: Sequence[Any],
        ins_ann_file: str | None = None,
        classes: str | Sequence[str] | None = None,
        data_root: str | None = None,
        img_prefix: str = "",
        seg_prefix: str | None = None,
        proposal_file: str | None = None,
        test_mode: bool = False,
        filter_empty_gt: bool = True,
        file_client_args: Mapping[str, Any] = DISK,
    ) -> None:
        super().__init__(
            ann_file,
            pipeline,
            classes=classes,
            data_root=data_root,
            img_prefix=img_prefix,
            seg_prefix=seg_prefix,
            proposal_file=proposal_file,
            test_mode=test_mode,
            filter_empty_gt=filter_empty_gt,
            file_client_args=file_client_args,
        )
        self.ins_ann_file = None if ins_ann_file is None else self._below_root(ins_ann_file)

    def _content(self, ann_file: str) -> Any:
        return _one_annotation_per_segment(super()._content(ann_file))

    def _read(self, ann_file: str) -> CocoTable:
        table = super()._read(ann_file)
        self.categories = {each["id"]: each for each in table.category_records}
        self._segment_ids = np.array(table.segmentations[:], np.int64)  # (A,), the numbers of their pixels
        self._by_segment_id = np.argsort(self._segment_ids, kind="stable")
        return table

    def is_thing(self, category_id: int) -> bool:
        """Whether a category is one of things."""
        category = self.categories[category_id]
        return bool(category.get("isthing", category["name"] in self.THING_CLASSES))

    def _object_categories(self) -> list[int]:
        return [each for each in self.cat_ids if self.is_thing(each)]

    def get_cat_ids(self, idx: int) -> list[int]:
        """Category ids of the segments of one image.

        As in 2.x a segment is looked up by its number, which other images may use too; theirs are listed with it.
        """
        numbers, order = self._segment_ids[self._rows(idx)], self._by_segment_id
        bounds = (np.searchsorted(self._segment_ids, numbers, side, sorter=order) for side in ("left", "right"))
        return [int(self._table.categories[i]) for a, b in zip(*bounds, strict=True) for i in order[a:b]]

    def get_ann_info(self, idx: int) -> dict[str, Any]:
        """Annotation of one image.

        Returns:
            `bboxes` `(G, 4)` float32 and `labels` `(G,)` int64 of things, `bboxes_ignore` `(I, 4)` of crowds, `masks`,
            for every segment `dict(id, category, is_thing)` with its label as category and crowds as no things, and
            `seg_map`, the name of the PNG file.
        """
        table, rows = self._table, self._rows(idx)
        kept = np.flatnonzero(self._labels[rows] >= 0) + rows.start
        thing = np.array([self.is_thing(each) for each in table.categories[kept].tolist()], bool)
        crowd = table.crowd[kept] & thing
        columns = (self._segment_ids[kept], self._labels[kept], thing & ~crowd)
        segments = zip(*(column.tolist() for column in columns), strict=True)
        return {
            "bboxes": self._xyxy(kept[thing & ~crowd]),
            "labels": self._labels[kept[thing & ~crowd]].astype(np.int64),
            "bboxes_ignore": self._xyxy(kept[crowd]),
            "masks": [{"id": number, "category": label, "is_thing": thing} for number, label, thing in segments],
            "seg_map": self.data_infos[idx]["segm_file"],
        }

    def segments(self, idx: int) -> dict[str, np.ndarray]:
        """The segments of one image that have a class: `ids`, `labels`, `areas` in pixels and `crowd`, `(S,)` each."""
        rows = self._rows(idx)
        labels = np.array([self.cat2label.get(each, -1) for each in self._table.categories[rows].tolist()], np.int64)
        columns = (self._segment_ids[rows], labels, self._table.areas[rows], self._table.crowd[rows])
        return {
            name: column[labels >= 0] for name, column in zip(("ids", "labels", "areas", "crowd"), columns, strict=True)
        }

    def segment_map(self, idx: int) -> np.ndarray:
        """`(H, W)` int32, the segment ids of one image's pixels."""
        path = Path(self.seg_prefix or "", self.data_infos[idx]["segm_file"])
        return ids_from_rgb(read_image(path, "color", "rgb", self.file_client_args))

    def instances(self) -> CocoDataset:
        """The things alone, as boxes and masks.

        Raises:
            ValueError: there is no `ins_ann_file`, or it lacks images.
        """
        if self.ins_ann_file is None:
            raise ValueError("boxes and masks are evaluated on ins_ann_file, a COCO file of the same images; set it")
        names = [self.categories[each]["name"] for each in self._object_categories()]
        dataset = CocoDataset(self.ins_ann_file, [], names, test_mode=True, file_client_args=self.file_client_args)
        position = {image_id: i for i, image_id in enumerate(dataset.img_ids)}
        missing = [each for each in self.img_ids if each not in position]
        if missing:
            raise ValueError(
                f"{self.ins_ann_file} lacks {len(missing)} images of {self.ann_file}, such as id {missing[0]}"
            )
        dataset._keep([position[each] for each in self.img_ids])
        return dataset

    def results2json(self, results: Sequence[Any], outfile_prefix: str) -> dict[str, str]:
        """Write results in COCO's formats.

        Args:
            results: per image a dict with `pan_results`, `ins_results` or both.
            outfile_prefix: start of the paths.

        Returns:
            Paths by metric: "panoptic" (its PNG files stand in the folder `panoptic` beside it), and for instances
            "bbox", "proposal" and "segm".
        """
        files = {}
        if "pan_results" in results[0]:
            maps = [each["pan_results"] for each in results]
            files["panoptic"] = panoptic_results.write(self, maps, outfile_prefix)
        if "ins_results" in results[0]:
            instances = [each["ins_results"] for each in results]
            files.update(self.instances().results2json(instances, outfile_prefix))
        return files

    def format_results(
        self,
        results: Sequence[Any],
        jsonfile_prefix: str | None = None,
        submission: str | None = None,
        **kwargs: Any,
    ) -> tuple[dict[str, str], tempfile.TemporaryDirectory[str] | None]:
        """Write results in COCO's formats.

        Args:
            results: one 2.x result per image.
            jsonfile_prefix: start of the paths; a temporary folder when left out.
            submission: also pack `<submission>.zip` for the test server, which wants names such as
                "panoptic_test-dev2017_mymodel_results".
            kwargs: unused.

        Returns:
            The paths by metric (the zip's under "submission"), and the temporary folder if there is one.
        """
        files, folder = super().format_results(results, jsonfile_prefix, **kwargs)
        if submission is not None:
            files["submission"] = panoptic_results.pack(files["panoptic"], submission)
        return files, folder

    def evaluate(  # type: ignore[override]
        self,
        results: Sequence[Any],
        metric: str | Sequence[str] = "PQ",
        logger: logging.Logger | str | None = None,
        jsonfile_prefix: str | None = None,
        classwise: bool = False,
        nproc: int = 32,
        **kwargs: Any,
    ) -> dict[str, Any]:
        """Evaluate panoptic quality, and boxes and masks of things.

        Args:
            results: per image a dict with `pan_results`, `ins_results` or both.
            metric: any of "PQ", "bbox", "segm", "proposal".
            logger: where tables go.
            jsonfile_prefix: also write the results, see `format_results`.
            classwise: also show each class.
            nproc: images that are compared at a time, at most; never more than there are CPUs.
            kwargs: more arguments of `CocoDataset.evaluate`, for instances.

        Returns:
            PQ, SQ, RQ, their `_th` for things and `_st` for stuff, in percent; `bbox_mAP` and so on.
        """
        return self._score(
            results,
            metric=metric,
            logger=logger,
            jsonfile_prefix=jsonfile_prefix,
            classwise=classwise,
            nproc=nproc,
            **kwargs,
        )


def _one_annotation_per_segment(content: Mapping[str, Any]) -> dict[str, Any]:
    """A panoptic annotation file in the layout of COCO's other ones; a segment's id stands as its segmentation."""
    by_image = {each["image_id"]: each for each in content.get("annotations", ())}
    maps = {image_id: each.get("file_name", "") for image_id, each in by_image.items()}
    images = [
        {**image, "segm_file": _map_name(image["file_name"], maps.get(image["id"], ""))} for image in content["images"]
    ]
    return {**content, "images": images, "annotations": list(_segments(by_image))}


def _map_name(image: str, given: str) -> str:
    """The PNG of an image: as the annotations name it, or else by the image's own name."""
    return given if given.endswith(".png") else image.rsplit(".", 1)[0] + ".png"


def _segments(by_image: Mapping[int, Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    pairs = ((image_id, each) for image_id, image in by_image.items() for each in image["segments_info"])
    for number, (image_id, segment) in enumerate(pairs, 1):
        yield {**segment, "id": number, "image_id": image_id, "segmentation": segment["id"]}
