"""Base of data sets, and the data set of the 2.x middle format."""

from __future__ import annotations

import logging
import os.path as osp
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
from torch.utils.data import Dataset

from raydet.datasets.annotation_checks import check_annotation
from raydet.datasets.files import below, load_lines, load_records
from raydet.datasets.log import say_once
from raydet.datasets.table import PackedRecords
from raydet.registry import METRICS
from raydet.transforms import Compose
from raydet.transforms.base import Results
from raydet.transforms.files import DISK
from raydet.transforms.loading import LoadImageFromFile, enter_image

MIN_SIZE = 32
_NO_BOXES = np.zeros((0, 4), np.float32)


class CustomDataset(Dataset[Results]):
    """Images with boxes in the middle format: a list of
    `dict(filename, width, height, ann=dict(bboxes (G, 4), labels (G,), bboxes_ignore, labels_ignore, masks, seg_map))`.

    Args:
        ann_file: annotation file, `.json` or `.pkl`.
        pipeline: transforms, or their dicts.
        classes: names of the classes, or a text file with one a line; the class's own when left out.
        data_root: folder that the other paths are relative to.
        img_prefix: folder of the images.
        seg_prefix: folder of the semantic maps.
        seg_suffix: ending of their names.
        proposal_file: pickle with one array of proposals per image.
        test_mode: keep all images, and give samples without annotations.
        filter_empty_gt: leave out images without objects when training.
        file_client_args: where files lie, see `raydet.transforms.read_bytes`.

    Attributes:
        data_infos: one record per image, at least with filename, width and height.
        flag: `(len,)` uint8, 1 for images wider than high.
    """

    CLASSES: Sequence[str] | None = None
    PALETTE: ClassVar[Any] = None
    METRIC = "voc"
    proposals: Sequence[Any] | None

    def __init__(
        self,
        ann_file: str,
        pipeline: Sequence[Any],
        classes: str | Sequence[str] | None = None,
        data_root: str | None = None,
        img_prefix: str = "",
        seg_prefix: str | None = None,
        seg_suffix: str = ".png",
        proposal_file: str | None = None,
        test_mode: bool = False,
        filter_empty_gt: bool = True,
        file_client_args: Mapping[str, Any] = DISK,
    ) -> None:
        self.data_root = data_root
        self.ann_file = self._below_root(ann_file)
        self.img_prefix = self._below_root(img_prefix)
        self.seg_prefix = None if seg_prefix is None else self._below_root(seg_prefix)
        self.seg_suffix = seg_suffix
        self.proposal_file = None if proposal_file is None else self._below_root(proposal_file)
        self.test_mode = test_mode
        self.filter_empty_gt = filter_empty_gt
        self.file_client_args = dict(file_client_args)
        self.CLASSES = self.get_classes(classes)
        self.data_infos: Sequence[Any] = self.load_annotations(self.ann_file)
        self.proposals = None if self.proposal_file is None else self.load_proposals(self.proposal_file)
        if not test_mode:
            self._keep(self._filter_imgs(MIN_SIZE))
        self._set_group_flag()
        self.pipeline = Compose(pipeline)

    def _below_root(self, path: str) -> str:
        return below(self.data_root, path)

    def _keep(self, indices: Sequence[int]) -> None:
        if len(self.data_infos) and not len(indices):
            say_once(
                f"{self.ann_file}: none of {len(self.data_infos)} images is left for training; check classes "
                f"({self.CLASSES}) against the file, filter_empty_gt, and that images have {MIN_SIZE} pixels at least"
            )
        if isinstance(self.data_infos, PackedRecords):
            self.data_infos = self.data_infos.take(indices)
        else:
            self.data_infos = [self.data_infos[i] for i in indices]
        if self.proposals is not None:
            self.proposals = [self.proposals[i] for i in indices]

    @classmethod
    def get_classes(cls, classes: str | Sequence[str] | None = None) -> Sequence[str] | None:
        """Names of the classes from a list, a tuple, a text file, or the class's own."""
        if classes is None:
            return cls.CLASSES
        if isinstance(classes, str):
            return load_lines(classes)
        if isinstance(classes, (tuple, list)):
            return classes
        raise ValueError(f"classes must be a list of names or a text file, got {classes!r}")

    def load_annotations(self, ann_file: str) -> Sequence[Any]:
        """Read the annotation file; subclasses read theirs."""
        records = load_records(ann_file, self.file_client_args)
        if not isinstance(records, list):
            raise ValueError(f"{ann_file}: expected a list with one dict per image, got a {type(records).__name__}")
        for number, record in enumerate(records):
            missing = {"filename", "width", "height"} - set(record)
            if missing:
                raise ValueError(f"{ann_file}: image number {number} lacks {', '.join(sorted(missing))}")
        return PackedRecords(records) if ann_file.endswith(".json") else records

    def load_proposals(self, proposal_file: str) -> Sequence[Any]:
        """Read a file of proposals: one array `(R, 4)` or `(R, 5)` per image."""
        proposals: Sequence[Any] = load_records(proposal_file, self.file_client_args)
        if len(proposals) != len(self.data_infos):
            raise ValueError(
                f"{proposal_file} is for {len(proposals)} images, {self.ann_file} has {len(self.data_infos)}"
            )
        return proposals

    def get_ann_info(self, idx: int) -> Any:
        """Annotation of one image: bboxes, labels and, where they exist, bboxes_ignore, masks, seg_map."""
        return self.data_infos[idx]["ann"]

    def get_cat_ids(self, idx: int) -> list[int]:
        """Labels of all objects of one image."""
        return np.asarray(self.data_infos[idx]["ann"]["labels"]).astype(np.int64).tolist()  # type: ignore[no-any-return]

    def get_cat2imgs(self) -> dict[int, list[int]]:
        """Positions of the images that show each class."""
        if self.CLASSES is None:
            raise ValueError("get_cat2imgs needs the names of the classes; pass classes=[...] to the data set")
        found: dict[int, list[int]] = {label: [] for label in range(len(self.CLASSES))}
        for index in range(len(self)):
            for label in set(self._labels_of(index)):
                found[label].append(index)
        return found

    def _labels_of(self, idx: int) -> list[int]:
        return self.get_cat_ids(idx)

    def _filter_imgs(self, min_size: int = MIN_SIZE) -> list[int]:
        """Positions of the images to train with."""
        if self.filter_empty_gt:
            say_once(f"{type(self).__name__} cannot tell images without objects; filter_empty_gt has no effect")
        return [i for i, info in enumerate(self.data_infos) if min(info["width"], info["height"]) >= min_size]

    def _set_group_flag(self) -> None:
        """Groups of images by aspect ratio, for the samplers."""
        wide = [info["width"] / info["height"] > 1 for info in self.data_infos]
        self.flag = np.array(wide, np.uint8)

    def _rand_another(self, idx: int) -> int:
        """Another image of the same group."""
        return int(np.random.choice(np.flatnonzero(self.flag == self.flag[idx])))

    def pre_pipeline(self, results: Results) -> None:
        """Enter what transforms expect."""
        results["img_prefix"] = self.img_prefix
        results["seg_prefix"] = self.seg_prefix
        results["proposal_file"] = self.proposal_file
        results["bbox_fields"] = []
        results["mask_fields"] = []
        results["seg_fields"] = []

    def __len__(self) -> int:
        return len(self.data_infos)

    def __getitem__(self, idx: int) -> Results:
        if self.test_mode:
            return self.prepare_test_img(idx)  # type: ignore[no-any-return]
        for _ in range(1000):
            sample = self.prepare_train_img(idx)
            if sample is not None:
                return sample
            idx = self._rand_another(idx)
        raise RuntimeError(f"the pipeline gave up 1000 samples of {self.ann_file} in a row; check its transforms")

    def prepare_train_img(self, idx: int) -> Results | None:
        """The sample of one image with its annotation; None when the pipeline gives it up."""
        ann_info = self.get_ann_info(idx)
        check_annotation(ann_info, self.data_infos[idx], self.CLASSES, self.filename(idx))
        sample: Results | None = self.pipeline(self._record(idx, ann_info))
        return sample

    def prepare_test_img(self, idx: int) -> Any:
        """The sample of one image without its annotation."""
        return self.pipeline(self._record(idx, None))

    def _record(self, idx: int, ann_info: Any) -> Results:
        results: Results = {"img_info": self.data_infos[idx]}
        if ann_info is not None:
            results["ann_info"] = ann_info
        if self.proposals is not None:
            results["proposals"] = self.proposals[idx]
        self.pre_pipeline(results)
        return results

    def placeholder(self, idx: int) -> Results | None:
        """The sample of one image as a black image without objects, for a file that cannot be read."""
        nothing = {"bboxes": _NO_BOXES, "labels": np.zeros(0, np.int64), "bboxes_ignore": _NO_BOXES, "masks": []}
        ann_info = None if self.test_mode else {**self.get_ann_info(idx), **nothing}
        sample: Results | None = self._record(idx, ann_info)
        assert sample is not None
        size = (int(sample["img_info"]["height"]), int(sample["img_info"]["width"]))
        name = sample["img_info"]["filename"]
        enter_image(sample, np.zeros((*size, 3), np.uint8), self.filename(idx), name)
        for transform in self.pipeline.transforms:
            if sample is not None and not isinstance(transform, LoadImageFromFile):
                sample = transform(sample)
        return sample

    def filename(self, idx: int) -> str:
        """Path of one image, for messages."""
        return osp.join(self.img_prefix or "", self.data_infos[idx]["filename"])

    def format_results(self, results: Sequence[Any], **kwargs: Any) -> Any:
        """Write results in the data set's own format, where it has one."""

    def evaluate(
        self,
        results: Sequence[Any],
        metric: str | Sequence[str] = "mAP",
        logger: logging.Logger | str | None = None,
        proposal_nums: Sequence[int] = (100, 300, 1000),
        iou_thr: float | Sequence[float] = 0.5,
        scale_ranges: Sequence[tuple[float, float]] | None = None,
    ) -> dict[str, float]:
        """Evaluate results by the metric `METRIC`.

        Args:
            results: one 2.x result per image.
            metric: "mAP" or "recall".
            logger: where tables go.
            proposal_nums: numbers of proposals, for recalls.
            iou_thr: one overlap or several.
            scale_ranges: ranges of object sizes, for mAP.
        """
        return self._score(
            results,
            metric=metric,
            logger=logger,
            proposal_nums=proposal_nums,
            iou_thr=iou_thr,
            scale_ranges=scale_ranges,
        )

    def _score(self, results: Sequence[Any], **options: Any) -> dict[str, Any]:
        return METRICS.resolve(self.METRIC)(self, results, **options)  # type: ignore[no-any-return]

    def __repr__(self) -> str:
        mode = "Test" if self.test_mode else "Train"
        classes = "" if self.CLASSES is None else f" of {len(self.CLASSES)} classes"
        return f"{type(self).__name__} {mode} data set with {len(self)} images{classes} from {self.ann_file}"
