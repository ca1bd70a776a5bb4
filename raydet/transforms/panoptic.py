"""Annotations of things and stuff from one picture of segment numbers."""

from __future__ import annotations

import os.path as osp
from collections.abc import Mapping
from typing import Any

import numpy as np

from raydet.structures import BitmapMasks, ids_from_rgb
from raydet.transforms.base import Results
from raydet.transforms.files import DISK, read_image
from raydet.transforms.loading import LoadAnnotations

IGNORED = 255


class LoadPanopticAnnotations(LoadAnnotations):
    """Enter boxes and labels, the masks of things, and the semantic map of COCO-panoptic annotations.

    Pixels of the picture `ann_info["seg_map"]` below `seg_prefix` hold the number R + 256 G + 65536 B of a segment;
    `ann_info["masks"]` lists the segments as `dict(id, category, is_thing)`. Pixels of no segment are 255 in the map.

    Args:
        with_bbox: boxes, also the ignored ones.
        with_label: class indices.
        with_mask: masks of things.
        with_seg: semantic map of things and stuff.
        file_client_args: where files lie.
    """

    def __init__(
        self,
        with_bbox: bool = True,
        with_label: bool = True,
        with_mask: bool = True,
        with_seg: bool = True,
        file_client_args: Mapping[str, Any] = DISK,
    ) -> None:
        super().__init__(with_bbox, with_label, with_mask, with_seg, file_client_args=file_client_args)

    def _load_masks(self, results: Results) -> None:
        numbers = self._segment_numbers(results)
        things = [segment for segment in results["ann_info"]["masks"] if segment["is_thing"]]
        masks = [(numbers == thing["id"]).astype(np.uint8) for thing in things]
        results["gt_masks"] = BitmapMasks(masks, *numbers.shape)
        results["mask_fields"].append("gt_masks")

    def _load_semantic(self, results: Results) -> None:
        numbers = self._segment_numbers(results)
        semantic: np.ndarray = np.full_like(numbers, IGNORED)
        for segment in results["ann_info"]["masks"]:
            semantic[numbers == segment["id"]] = segment["category"]
        results["gt_semantic_seg"] = semantic
        results["seg_fields"].append("gt_semantic_seg")

    def _segment_numbers(self, results: Results) -> np.ndarray:
        """`(H, W)` int32."""
        path = osp.join(results["seg_prefix"] or "", results["ann_info"]["seg_map"])
        return ids_from_rgb(read_image(path, "color", "rgb", self.file_client_args))
