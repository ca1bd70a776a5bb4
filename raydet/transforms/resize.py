"""Resize to a drawn scale, and semantic maps by a factor."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from raydet.transforms import boxes, images
from raydet.transforms.base import Results, Transform


@dataclass(frozen=True)
class DrawnScale:
    """A scale, and its index among the given ones (None when it lies between them).

    Attributes:
        scale: (width, height) bounds, or a factor.
        index: position in `img_scale`.
        drawn: False when the sample brought the scale along.
    """

    scale: Any
    index: int | None = None
    drawn: bool = True


class Resize(Transform):
    """Resize images, boxes, masks and semantic maps.

    A `scale` or `scale_factor` in the sample (as `MultiScaleFlipAug` sets it) goes before `img_scale`.

    Args:
        img_scale: (width, height), or several of them.
        multiscale_mode: "range" draws between two scales, "value" draws one of the given.
        ratio_range: draw a factor on the one `img_scale` between these.
        keep_ratio: keep the aspect ratio and treat the scale as bounds of the long and the short edge.
        bbox_clip_border: clip boxes to the image.
        backend: "cv2" or "pillow".
        interpolation: as the backend calls it.
        override: resize again although the sample has been resized.
    """

    def __init__(
        self,
        img_scale: Any = None,
        multiscale_mode: str = "range",
        ratio_range: tuple[float, float] | None = None,
        keep_ratio: bool = True,
        bbox_clip_border: bool = True,
        backend: str = "cv2",
        interpolation: str = "bilinear",
        override: bool = False,
    ) -> None:
        self.img_scale = as_scales(img_scale)
        _check_mode(self.img_scale, multiscale_mode, ratio_range)
        images.check_interpolation(backend, interpolation)
        self.multiscale_mode = multiscale_mode
        self.ratio_range = ratio_range
        self.keep_ratio = keep_ratio
        self.bbox_clip_border = bbox_clip_border
        self.backend = backend
        self.interpolation = interpolation
        self.override = override

    def draw(self, results: Results) -> DrawnScale:
        if self.override or not {"scale", "scale_factor"} & results.keys():
            return self._draw_scale()
        if "scale" not in results:
            height, width = results["img"].shape[:2]
            factor = results["scale_factor"]
            return DrawnScale((int(width * factor), int(height * factor)), drawn=False)
        if "scale_factor" in results:
            raise ValueError("the sample was resized before; pass override=True to Resize to resize it again")
        return DrawnScale(results["scale"], drawn=False)

    def _draw_scale(self) -> DrawnScale:
        if self.img_scale is None:
            raise ValueError("Resize needs img_scale, since the sample has neither 'scale' nor 'scale_factor'")
        if self.ratio_range is not None:
            low, high = self.ratio_range
            ratio = np.random.random_sample() * (high - low) + low
            width, height = self.img_scale[0]
            return DrawnScale((int(width * ratio), int(height * ratio)))
        if len(self.img_scale) == 1:
            return DrawnScale(self.img_scale[0], 0)
        if self.multiscale_mode == "value":
            index = np.random.randint(len(self.img_scale))
            return DrawnScale(self.img_scale[index], index)
        long_edges, short_edges = ([pick(scale) for scale in self.img_scale] for pick in (max, min))
        long_edge = np.random.randint(min(long_edges), max(long_edges) + 1)
        return DrawnScale((long_edge, np.random.randint(min(short_edges), max(short_edges) + 1)))

    def apply(self, results: Results, params: DrawnScale) -> Results:
        results["scale"] = params.scale
        if params.drawn:
            results["scale_idx"] = params.index
        for key in results.get("img_fields", ["img"]):
            self._resize_image(results, key)
        for key in results.get("bbox_fields", []):
            moved = results[key] * results["scale_factor"]
            results[key] = boxes.clip(moved, results["img_shape"]) if self.bbox_clip_border else moved
        for key in results.get("mask_fields", []):
            if results[key] is not None:
                results[key] = self._resize_masks(results[key], results)
        for key in results.get("seg_fields", []):
            size = self._target(results[key], params.scale)
            results[key] = images.resize(results[key], size, "nearest", self.backend)
        return results

    def _target(self, image: np.ndarray, scale: Any) -> images.Size:
        height, width = image.shape[:2]
        return images.fit((width, height), scale) if self.keep_ratio else (int(scale[0]), int(scale[1]))

    def _resize_image(self, results: Results, key: str) -> None:
        image = results[key]
        width, height = self._target(image, results["scale"])
        results[key] = images.resize(image, (width, height), self.interpolation, self.backend)
        ratio = (width / image.shape[1], height / image.shape[0])
        results["img_shape"] = results["pad_shape"] = results[key].shape
        results["scale_factor"] = np.array(ratio * 2, np.float32)
        results["keep_ratio"] = self.keep_ratio

    def _resize_masks(self, masks: Any, results: Results) -> Any:
        if self.keep_ratio:
            return masks.rescale(results["scale"])
        return masks.resize(results["img_shape"][:2])


class SegRescale(Transform):
    """Scale semantic maps alone, to the resolution of a head's output.

    Args:
        scale_factor: factor on both edges.
        backend: "cv2" or "pillow".
    """

    def __init__(self, scale_factor: float = 1, backend: str = "cv2") -> None:
        images.check_interpolation(backend, "nearest")
        self.scale_factor = scale_factor
        self.backend = backend

    def apply(self, results: Results, params: None) -> Results:
        for key in results.get("seg_fields", []):
            height, width = results[key].shape[:2]
            size = images.fit((width, height), self.scale_factor)
            results[key] = images.resize(results[key], size, "nearest", self.backend)
        return results


def as_scales(img_scale: Any) -> list[tuple[int, int]] | None:
    """One (width, height) or several, as a list; JSON and YAML files write tuples as lists."""
    if img_scale is None:
        return None
    scales = [img_scale] if isinstance(img_scale[0], (int, float)) else img_scale
    if any(not isinstance(scale, Sequence) or len(scale) != 2 for scale in scales):
        raise ValueError(f"img_scale must be (width, height) or a list of them, got {img_scale!r}")
    return [(scale[0], scale[1]) for scale in scales]


def _check_mode(scales: list[tuple[int, int]] | None, mode: str, ratio_range: Any) -> None:
    if mode not in ("range", "value"):
        raise ValueError(f"multiscale_mode must be 'range' or 'value', got {mode!r}")
    if ratio_range is not None and (scales is None or len(scales) != 1):
        raise ValueError(f"ratio_range needs exactly one img_scale, got {scales!r}")
    if ratio_range is not None and not ratio_range[0] <= ratio_range[1]:
        raise ValueError(f"ratio_range must be (low, high), got {ratio_range!r}")
