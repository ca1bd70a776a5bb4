"""Four images in one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from raydet.transforms import boxes, images, mixing, objects
from raydet.transforms.base import Results
from raydet.transforms.levels import as_fraction


class Center(NamedTuple):
    """The pixel of the canvas where the four images meet."""

    x: int
    y: int


class Mosaic(mixing.MixingTransform):
    """Lay a sample and three others around a drawn center of a canvas of twice `img_scale` (YOLOv4, arXiv:2004.10934).

    Order: upper left, upper right, lower left, lower right. Masks and semantic maps are not supported.

    Args:
        img_scale: (height, width) that each image is resized into.
        center_ratio_range: place of the center in units of `img_scale`, drawn between the two for each direction.
        min_bbox_size: boxes must stay wider and higher than this, in pixels.
        bbox_clip_border: clip boxes to the canvas.
        skip_filter: leave the rule `min_bbox_size` out; boxes outside of the canvas always go.
        pad_val: value of the canvas where no image lies.
        prob: chance that it happens.
    """

    num_partners = 3

    def __init__(
        self,
        img_scale: Sequence[int] = (640, 640),
        center_ratio_range: Sequence[float] = (0.5, 1.5),
        min_bbox_size: float = 0,
        bbox_clip_border: bool = True,
        skip_filter: bool = True,
        pad_val: float = 114,
        prob: float = 1.0,
    ) -> None:
        self.img_scale = (img_scale[0], img_scale[1])
        self.center_ratio_range = (center_ratio_range[0], center_ratio_range[1])
        self.min_bbox_size = min_bbox_size
        self.bbox_clip_border = bbox_clip_border
        self.skip_filter = skip_filter
        self.pad_val = pad_val
        self.prob = as_fraction("prob", prob)

    def draw(self, results: Results) -> Center | None:
        """The center, or None for no mosaic."""
        if np.random.uniform(0, 1) > self.prob:
            return None
        x = int(np.random.uniform(*self.center_ratio_range) * self.img_scale[1])
        return Center(x, int(np.random.uniform(*self.center_ratio_range) * self.img_scale[0]))

    def apply(self, results: Results, params: Center | None) -> Results:
        if params is None:
            return results
        objects.need_boxes_only(results, self)
        samples = [results, *self.partners(results)]
        image = results["img"]
        canvas: np.ndarray = np.full(
            (2 * self.img_scale[0], 2 * self.img_scale[1], *image.shape[2:]), self.pad_val, image.dtype
        )
        parts: dict[str, list[np.ndarray]] = {key: [] for key in objects.OBJECT_FIELDS if key in results}
        for corner, sample in enumerate(samples):
            factor, left, top = self._place(canvas, sample["img"], corner, params)
            for key in parts.keys() & sample.keys():
                parts[key].append(mixing.moved(sample[key], factor, left, top))
        results["img"] = canvas
        results["img_shape"] = canvas.shape
        results["gt_labels"] = np.concatenate([sample["gt_labels"] for sample in samples])
        for key, found in parts.items():
            self._enter(results, key, np.concatenate(found))
        return results

    def _place(self, canvas: np.ndarray, image: np.ndarray, corner: int, center: Center) -> tuple[float, int, int]:
        """Draw an image on the canvas; its factor, and where its corner came to lie."""
        size, factor = mixing.fitted_size(image.shape, self.img_scale)
        left = center.x - (size[1] if corner % 2 == 0 else 0)
        top = center.y - (size[0] if corner < 2 else 0)
        images.paste(canvas, mixing.resized(image, size), left, top)
        return factor, left, top

    def _enter(self, results: Results, key: str, found: np.ndarray) -> None:
        shape = results["img_shape"]
        results[key] = boxes.clip(found, shape) if self.bbox_clip_border else found
        valid = boxes.touching(results[key], shape)
        if not self.skip_filter:
            valid &= boxes.larger_than(results[key], self.min_bbox_size)
        objects.keep(results, key, valid)
