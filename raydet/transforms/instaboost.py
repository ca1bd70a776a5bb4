"""Move objects to where they fit into the background."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from raydet.transforms.base import Results, Transform
from raydet.transforms.levels import as_fraction
from raydet.transforms.optional import need


class InstaBoost(Transform):
    """Cut objects out and paste them elsewhere (arXiv:1908.07801), by the package `instaboostfast`.

    Stands between `LoadImageFromFile` and `LoadAnnotations`, since it changes the annotation `ann_info`.

    Args:
        action_candidate: what may happen to an object, of "normal", "horizontal" and "skip".
        action_prob: chance of each.
        scale: (least, largest) factor on the size.
        dx: largest movement to a side is the width divided by this.
        dy: largest movement up or down is the height divided by this.
        theta: (least, largest) angle in degrees.
        color_prob: chance of a change of colours.
        hflag: move by a map of where objects fit.
        aug_ratio: chance that a sample is changed.
    """

    def __init__(
        self,
        action_candidate: Sequence[str] = ("normal", "horizontal", "skip"),
        action_prob: Sequence[float] = (1, 0, 0),
        scale: Sequence[float] = (0.8, 1.2),
        dx: float = 15,
        dy: float = 15,
        theta: Sequence[float] = (-1, 1),
        color_prob: float = 0.5,
        hflag: bool = False,
        aug_ratio: float = 0.5,
    ) -> None:
        self.aug_ratio = as_fraction("aug_ratio", aug_ratio)
        self._package = need("instaboostfast", "instaboostfast", self)
        options = (action_candidate, action_prob, scale, dx, dy, theta, color_prob, hflag)
        self.cfg = self._package.InstaBoostConfig(*options)

    def draw(self, results: Results) -> bool:
        """Whether the sample is changed; the package draws the rest from the same random states."""
        return bool(np.random.choice([0, 1], p=[1 - self.aug_ratio, self.aug_ratio]))

    def apply(self, results: Results, params: bool) -> Results:
        objects, image = _as_coco(results["ann_info"]), results["img"]
        if params:
            objects, changed = self._changed(objects, image.astype(np.uint8), results.get("filename"))
            results["img"] = changed.astype(image.dtype)
        results["ann_info"] = {**results["ann_info"], **_from_coco(objects)}
        return results

    def _changed(self, objects: list[dict[str, Any]], image: np.ndarray, name: Any) -> tuple[Any, np.ndarray]:
        try:
            return self._package.get_new_data(objects, image, self.cfg, background=None)  # type: ignore[no-any-return]
        except (TypeError, ValueError, AttributeError) as error:
            raise RuntimeError(
                f"instaboostfast fails on {name}: {error}; its release 0.1.2 works with numpy < 1.24 (here is "
                f"{np.__version__}) and knows polygons and uncompressed RLE"
            ) from error


def _as_coco(annotation: Mapping[str, Any]) -> list[dict[str, Any]]:
    """One dict per object, with its box as x, y, width, height."""
    fields = (annotation[key] for key in ("labels", "masks", "bboxes"))
    return [
        {"category_id": label, "segmentation": mask, "bbox": [x1, y1, x2 - x1, y2 - y1]}
        for label, mask, (x1, y1, x2, y2) in zip(*fields, strict=True)
    ]


def _from_coco(objects: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The changed fields of `ann_info`; objects without an area are left out."""
    kept = [each for each in objects if each["bbox"][2] > 0 and each["bbox"][3] > 0]
    boxes = [[x, y, x + width, y + height] for x, y, width, height in (each["bbox"] for each in kept)]
    return {
        "labels": np.array([each["category_id"] for each in kept], np.int64),
        "bboxes": np.array(boxes, np.float32).reshape(-1, 4),
        "masks": [each["segmentation"] for each in kept],
    }
