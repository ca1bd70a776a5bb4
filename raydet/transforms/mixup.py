"""The mean of two images."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import cv2
import numpy as np

from raydet.transforms import boxes, images, mixing, objects
from raydet.transforms.base import Results
from raydet.transforms.levels import as_fraction


class Blend(NamedTuple):
    """What `MixUp` drew for the other image: a factor, a flip, and where the window on it begins."""

    jitter: float
    flip: bool
    left: int
    top: int


class MixUp(mixing.MixingTransform):
    """Blend another image in, resized, flipped and cut by chance (YOLOX, arXiv:2107.08430).

    Masks and semantic maps are not supported. A partner without boxes leaves the sample as it is.

    Args:
        img_scale: (height, width) that the other image is resized into before the drawn factor.
        ratio_range: the factor, drawn between the two.
        flip_ratio: chance to flip the other image.
        pad_val: what fills the other image up to `img_scale`.
        max_iters: how often another image is drawn in search of one with boxes.
        min_bbox_size: boxes must stay wider and higher than this, in pixels.
        min_area_ratio: of a box, more than this fraction must lie in the window.
        max_aspect_ratio: of the longer side of a box to the shorter one, not to be reached.
        bbox_clip_border: clip boxes to the image.
        skip_filter: leave the last three rules out; boxes outside of the image always go.
    """

    def __init__(
        self,
        img_scale: Sequence[int] = (640, 640),
        ratio_range: Sequence[float] = (0.5, 1.5),
        flip_ratio: float = 0.5,
        pad_val: float = 114,
        max_iters: int = 15,
        min_bbox_size: float = 5,
        min_area_ratio: float = 0.2,
        max_aspect_ratio: float = 20,
        bbox_clip_border: bool = True,
        skip_filter: bool = True,
    ) -> None:
        self.img_scale = (img_scale[0], img_scale[1])
        self.ratio_range = (ratio_range[0], ratio_range[1])
        self.flip_ratio = as_fraction("flip_ratio", flip_ratio)
        self.pad_val = pad_val
        self.max_iters = max_iters
        self.min_bbox_size = min_bbox_size
        self.min_area_ratio = min_area_ratio
        self.max_aspect_ratio = max_aspect_ratio
        self.bbox_clip_border = bbox_clip_border
        self.skip_filter = skip_filter

    def get_indexes(self, dataset: Any) -> list[int]:
        index = 0
        for _ in range(self.max_iters):
            index = int(np.random.randint(len(dataset)))
            if len(dataset.get_ann_info(index)["bboxes"]):
                break
        return [index]

    def draw(self, results: Results) -> Blend | None:
        if not len(self.partners(results)[0]["gt_bboxes"]):
            return None
        jitter = np.random.uniform(*self.ratio_range)
        flip = bool(np.random.uniform(0, 1) < self.flip_ratio)
        size, target = self._scaled(jitter), results["img"].shape
        top = int(np.random.randint(size[0] - target[0])) if size[0] > target[0] else 0
        left = int(np.random.randint(size[1] - target[1])) if size[1] > target[1] else 0
        return Blend(jitter, flip, left, top)

    def _scaled(self, jitter: float) -> images.Size:
        return max(int(self.img_scale[0] * jitter), 1), max(int(self.img_scale[1] * jitter), 1)

    def apply(self, results: Results, params: Blend | None) -> Results:
        if params is None:
            return results
        objects.need_boxes_only(results, self)
        partner, image = self.partners(results)[0], results["img"]
        scaled, factor = self._scaled_partner(partner["img"], params)
        window = np.zeros_like(image)
        images.paste(window, scaled, -params.left, -params.top)
        whole = partner["gt_bboxes"] = self._whole_boxes(partner["gt_bboxes"], factor, scaled.shape, params.flip)
        seen = mixing.moved(whole, 1, -params.left, -params.top)
        if self.bbox_clip_border:
            seen = boxes.clip(seen, image.shape)
        kept = self._survivors(whole, seen)
        results["img"] = _mean(image, window)
        results["img_shape"] = image.shape
        results["gt_bboxes"] = np.concatenate([results["gt_bboxes"], seen[kept]])
        results["gt_labels"] = np.concatenate([results["gt_labels"], partner["gt_labels"][kept]])
        objects.keep(results, "gt_bboxes", boxes.touching(results["gt_bboxes"], image.shape))
        return results

    def _scaled_partner(self, image: np.ndarray, params: Blend) -> tuple[np.ndarray, float]:
        """The other image after resizing and flipping, and the factor on its boxes."""
        size, factor = mixing.fitted_size(image.shape, self.img_scale)
        canvas = images.pad(mixing.resized(image, size), self.img_scale, self.pad_val)
        scaled = mixing.resized(canvas, self._scaled(params.jitter))
        return images.flip(scaled, "horizontal") if params.flip else scaled, factor * params.jitter

    def _whole_boxes(self, found: np.ndarray, factor: float, shape: Sequence[int], flip: bool) -> np.ndarray:
        scaled = found * np.float32(factor)
        if self.bbox_clip_border:
            scaled = boxes.clip(scaled, shape)
        return boxes.flip(scaled, shape, "horizontal") if flip else scaled

    def _survivors(self, whole: np.ndarray, seen: np.ndarray) -> np.ndarray:
        if self.skip_filter:
            return np.ones(len(seen), bool)
        return boxes.survivors(whole, seen, self.min_bbox_size, self.min_area_ratio, self.max_aspect_ratio)


def _mean(image: np.ndarray, other: np.ndarray) -> np.ndarray:
    """The mean of two images; of integers rounded down, which OpenCV's rounding does after a quarter less."""
    less = -0.25 if image.dtype == np.uint8 else 0.0
    return np.asarray(cv2.addWeighted(image, 0.5, other, 0.5, less))
