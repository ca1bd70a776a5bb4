"""Images, annotations and proposals of a sample, from its files and from its data set's records."""

from __future__ import annotations

import os.path as osp
from collections.abc import Mapping
from typing import Any

import numpy as np
from pycocotools import mask as coco_mask

from raydet.structures import BitmapMasks, PolygonMasks
from raydet.structures.masks.segmentation import mask_fault
from raydet.transforms import objects
from raydet.transforms.base import Results, Transform
from raydet.transforms.files import DISK, BadSampleError, read_image


class LoadImageFromFile(Transform):
    """Read `img_info["filename"]` below `img_prefix`.

    Args:
        to_float32: convert to float32; else uint8 (or what the file holds, when "unchanged").
        color_type: "color", "grayscale", "unchanged", or one of the first two with "_ignore_orientation".
        channel_order: "bgr" or "rgb".
        file_client_args: where files lie, see `raydet.transforms.read_bytes`.
    """

    def __init__(
        self,
        to_float32: bool = False,
        color_type: str = "color",
        channel_order: str = "bgr",
        file_client_args: Mapping[str, Any] = DISK,
    ) -> None:
        self.to_float32 = to_float32
        self.color_type = color_type
        self.channel_order = channel_order
        self.file_client_args = dict(file_client_args)

    def apply(self, results: Results, params: None) -> Results:
        name = results["img_info"]["filename"]
        prefix = results.get("img_prefix")
        path = osp.join(prefix, name) if prefix is not None else name
        image = read_image(path, self.color_type, self.channel_order, self.file_client_args)
        return enter_image(results, image.astype(np.float32) if self.to_float32 else image, path, name)


def enter_image(results: Results, image: np.ndarray, path: Any, name: Any) -> Results:
    """Enter an image, as loading leaves it, into a sample; `path` and `name` of its file are None without one."""
    results["filename"] = path
    results["ori_filename"] = name
    results["img"] = image
    results["img_shape"] = image.shape
    results["ori_shape"] = image.shape
    results["img_fields"] = ["img"]
    return results


class LoadAnnotations(Transform):
    """Enter `ann_info` into the sample as `gt_bboxes`, `gt_labels`, `gt_masks`, `gt_semantic_seg`.

    Args:
        with_bbox: boxes, also the ignored ones.
        with_label: class indices.
        with_mask: instance masks.
        with_seg: the semantic map `ann_info["seg_map"]` below `seg_prefix`.
        poly2mask: draw polygons as bitmaps; else keep them as polygons.
        denorm_bbox: boxes are fractions of the image size.
        file_client_args: where files lie.
    """

    def __init__(
        self,
        with_bbox: bool = True,
        with_label: bool = True,
        with_mask: bool = False,
        with_seg: bool = False,
        poly2mask: bool = True,
        denorm_bbox: bool = False,
        file_client_args: Mapping[str, Any] = DISK,
    ) -> None:
        self.with_bbox = with_bbox
        self.with_label = with_label
        self.with_mask = with_mask
        self.with_seg = with_seg
        self.poly2mask = poly2mask
        self.denorm_bbox = denorm_bbox
        self.file_client_args = dict(file_client_args)

    def apply(self, results: Results, params: None) -> Results | None:
        if self.with_bbox:
            self._load_boxes(results)
        if self.with_label:
            labels = results["ann_info"]["labels"]
            results["gt_labels"] = np.array(labels, None if isinstance(labels, np.ndarray) else np.int64)
        if self.with_mask:
            self._load_masks(results)
        if self.with_seg:
            self._load_semantic(results)
        return results

    def _load_boxes(self, results: Results) -> None:
        info = results["ann_info"]
        boxes = _as_boxes(info["bboxes"])
        if self.denorm_bbox:
            height, width = results["img_shape"][:2]
            boxes *= np.array([width, height, width, height], boxes.dtype)
        if info.get("bboxes_ignore") is not None:
            results["gt_bboxes_ignore"] = _as_boxes(info["bboxes_ignore"])
            results["bbox_fields"].append("gt_bboxes_ignore")
        results["gt_bboxes"] = boxes
        results["bbox_fields"].append("gt_bboxes")
        if info.get("gt_is_group_ofs") is not None:
            results["gt_is_group_ofs"] = np.array(info["gt_is_group_ofs"])

    def _load_masks(self, results: Results) -> None:
        height, width = (results["img_info"][key] for key in ("height", "width"))
        annotations = results["ann_info"]["masks"]
        name = results["img_info"].get("filename", "the image")
        if self.poly2mask:
            bitmaps = [draw_mask(each, height, width, name) for each in annotations]
            results["gt_masks"] = BitmapMasks(bitmaps, height, width)
        else:
            polygons = [valid_polygons(each, name) for each in annotations]
            results["gt_masks"] = PolygonMasks(polygons, height, width)
        results["mask_fields"].append("gt_masks")

    def _load_semantic(self, results: Results) -> None:
        path = osp.join(results["seg_prefix"] or "", results["ann_info"]["seg_map"])
        seg = read_image(path, "unchanged", file_client_args=self.file_client_args)
        results["gt_semantic_seg"] = seg.squeeze()
        results["seg_fields"].append("gt_semantic_seg")


def _as_boxes(boxes: Any) -> np.ndarray:
    if isinstance(boxes, np.ndarray):
        return np.array(boxes)
    return np.array(boxes, np.float32).reshape(-1, 4)


def draw_mask(annotation: Any, height: int, width: int, name: str = "the image") -> np.ndarray:
    """`(height, width)` uint8 of one COCO segmentation: polygons, uncompressed or compressed RLE.

    Raises:
        BadSampleError: the annotation is none of these, or is of another size.
    """
    if isinstance(annotation, (list, tuple)):  # as in 2.x, single polygons that are too short do not matter
        annotation = [each for each in map(_flat, annotation) if _has_area(each)] or annotation
    fault = mask_fault(annotation, height, width)
    if fault is not None:
        raise BadSampleError(
            f"the segmentation of an object in {name} cannot be used: {fault}; correct it or load without masks"
        )
    if isinstance(annotation, list):
        return np.asarray(coco_mask.decode(coco_mask.merge(coco_mask.frPyObjects(annotation, height, width))))
    rle = dict(annotation)
    listed = isinstance(rle["counts"], (list, tuple))
    return np.asarray(coco_mask.decode(coco_mask.frPyObjects(rle, height, width) if listed else rle))


def _flat(polygon: Any) -> Any:
    return polygon.ravel().tolist() if isinstance(polygon, np.ndarray) else polygon


def _has_area(polygon: Any) -> bool:
    """False for numbers that are no three points; what is no list of numbers is for others to judge."""
    return not isinstance(polygon, (list, tuple, np.ndarray)) or (len(polygon) % 2 == 0 and len(polygon) >= 6)


def valid_polygons(annotation: Any, name: str = "the image") -> list[np.ndarray]:
    """The polygons of one object that have at least three points, each as `(2 * points,)`."""
    if not isinstance(annotation, (list, tuple)):
        raise BadSampleError(
            f"poly2mask=False needs polygons, but an object in {name} has a {type(annotation).__name__} as "
            "segmentation; use poly2mask=True"
        )
    polygons = [each for each in map(np.asarray, annotation) if _has_area(each)]
    if not all(np.isfinite(each).all() for each in polygons):
        raise BadSampleError(f"a polygon of an object in {name} has coordinates that are NaN or infinite")
    return polygons


class LoadProposals(Transform):
    """Enter the data set's proposals as `proposals` `(R, 4)`.

    Args:
        num_max_proposals: keep that many at most.
    """

    def __init__(self, num_max_proposals: int | None = None) -> None:
        self.num_max_proposals = num_max_proposals

    def apply(self, results: Results, params: None) -> Results:
        proposals = np.asarray(results["proposals"])
        if proposals.ndim != 2 or proposals.shape[1] not in (4, 5):
            raise BadSampleError(f"proposals must have shape (R, 4) or (R, 5), got {proposals.shape}")
        boxes = proposals[: self.num_max_proposals, :4]
        results["proposals"] = boxes if len(boxes) else np.zeros((1, 4), np.float32)
        results["bbox_fields"].append("proposals")
        return results


class FilterAnnotations(Transform):
    """Take away objects that became too small.

    Args:
        min_gt_bbox_wh: boxes must be wider and higher than this.
        min_gt_mask_area: masks must have so many pixels at least.
        by_box: look at boxes.
        by_mask: look at masks.
        keep_empty: give a sample up that loses all its objects (the name is that of 2.x).
    """

    def __init__(
        self,
        min_gt_bbox_wh: tuple[float, float] = (1.0, 1.0),
        min_gt_mask_area: int = 1,
        by_box: bool = True,
        by_mask: bool = False,
        keep_empty: bool = True,
    ) -> None:
        if not (by_box or by_mask):
            raise ValueError("FilterAnnotations needs by_box or by_mask, both are False")
        self.min_gt_bbox_wh = min_gt_bbox_wh
        self.min_gt_mask_area = min_gt_mask_area
        self.by_box = by_box
        self.by_mask = by_mask
        self.keep_empty = keep_empty

    def apply(self, results: Results, params: None) -> Results | None:
        count = len(results["gt_bboxes"] if self.by_box else results["gt_masks"])
        if not count:
            return results
        kept = self._large_enough(results, count)
        objects.keep(results, "gt_bboxes", kept)
        return None if self.keep_empty and not kept.any() else results

    def _large_enough(self, results: Results, count: int) -> np.ndarray:
        large = np.ones(count, bool)
        if self.by_box:
            boxes = results["gt_bboxes"]
            large &= (boxes[:, 2:] - boxes[:, :2] > np.asarray(self.min_gt_bbox_wh)).all(axis=1)
        if self.by_mask:
            large &= results["gt_masks"].areas >= self.min_gt_mask_area
        return large
