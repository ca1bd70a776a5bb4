"""Transforms of the package `albumentations`."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from raydet.structures import PolygonMasks
from raydet.transforms.base import Results, Transform
from raydet.transforms.optional import need

_KEYMAP = {"img": "image", "gt_masks": "masks", "gt_bboxes": "bboxes"}
_INDEX = "idx_mapper"


class Albu(Transform):
    """Run a list of transforms of `albumentations` on a sample.

    With `filter_lost_elements=True` and `label_fields` in `bbox_params`, labels and masks go with boxes that get lost.

    Args:
        transforms: dicts with `type` (a name in `albumentations`, or a class) and its arguments.
        bbox_params: dict with `type="BboxParams"` and its arguments.
        keymap: fields of the sample and what the package calls them.
        update_pad_shape: set `pad_shape` to the new size.
        skip_img_without_anno: give a sample up that loses all its boxes; needs `filter_lost_elements`.
    """

    def __init__(
        self,
        transforms: Sequence[Mapping[str, Any]],
        bbox_params: Mapping[str, Any] | None = None,
        keymap: Mapping[str, str] | None = None,
        update_pad_shape: bool = False,
        skip_img_without_anno: bool = False,
    ) -> None:
        os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")  # else its import asks the network for a newer version
        self._package = need("albumentations", "albumentations", self)
        self.transforms = list(transforms)
        self.label_fields, params = _split_filter(bbox_params)
        steps = [self._build(each) for each in self.transforms]
        self.bbox_params = self._build(params) if params else None
        self.aug = self._package.Compose(steps, bbox_params=self.bbox_params)
        self.keymap_to_albu = dict(keymap or _KEYMAP)
        self.keymap_back = {theirs: ours for ours, theirs in self.keymap_to_albu.items()}
        self.update_pad_shape = update_pad_shape
        self.skip_img_without_anno = skip_img_without_anno

    def _build(self, cfg: Mapping[str, Any]) -> Any:
        if "type" not in cfg:
            raise ValueError(f"a transform of Albu is a dict with the key 'type', got {dict(cfg)!r}")
        arguments = _in_new_spelling(cfg, self._package)
        kind = arguments.pop("type")
        made = getattr(self._package, kind, None) if isinstance(kind, str) else kind
        if made is None:
            raise ValueError(f"albumentations {self._package.__version__} has no {kind!r}")
        if "transforms" in arguments:
            arguments["transforms"] = [self._build(each) for each in arguments["transforms"]]
        return made(**arguments)

    def draw(self, results: Results) -> int:
        """A seed for the package, which has random states of its own."""
        return int(np.random.randint(2**31))

    def apply(self, results: Results, params: int) -> Results | None:
        if hasattr(self.aug, "set_random_seed"):  # older versions draw from the global states
            self.aug.set_random_seed(params)
        fields = {self.keymap_to_albu.get(key, key): value for key, value in results.items()}
        self._hand_over(fields)
        changed = self.aug(**fields)
        if "bboxes" in changed:
            changed["bboxes"] = np.asarray(changed["bboxes"], np.float32).reshape(-1, 4)
        if self.label_fields is not None and _INDEX in changed:
            kept = np.asarray(changed.pop(_INDEX), np.int64)
            if self.skip_img_without_anno and not len(kept):
                return None
            for name in self.label_fields:
                changed[name] = np.asarray(changed[name])[kept]
            if "masks" in changed:
                changed["masks"] = [changed["masks"][i] for i in kept]
        return self._take_back(changed, results)

    def _hand_over(self, fields: Results) -> None:
        """Boxes and masks as the package wants them."""
        if "bboxes" in fields and self.label_fields is not None:
            fields[_INDEX] = np.arange(len(fields["bboxes"]))
        if isinstance(fields.get("masks"), PolygonMasks):
            raise NotImplementedError("Albu works on bitmaps; set poly2mask=True in LoadAnnotations")
        if "masks" in fields:
            fields["masks"] = list(fields["masks"].masks)

    def _take_back(self, changed: Results, results: Results) -> Results:
        height, width = changed["image"].shape[:2]
        if "masks" in changed:
            masks = results[self.keymap_back["masks"]]
            changed["masks"] = type(masks)(list(changed["masks"]), height, width)
        if "gt_labels" in changed:
            changed["gt_labels"] = np.asarray(changed["gt_labels"]).astype(np.int64)
        sample = {self.keymap_back.get(key, key): value for key, value in changed.items()}
        sample["img_shape"] = sample["img"].shape
        if self.update_pad_shape:
            sample["pad_shape"] = sample["img"].shape
        return sample


def _split_filter(bbox_params: Mapping[str, Any] | None) -> tuple[Sequence[str] | None, dict[str, Any]]:
    """The fields that go with boxes, None when nothing does, and the parameters as the package knows them."""
    params = dict(bbox_params or {})
    if "label_fields" not in params or "filter_lost_elements" not in params:
        return None, params
    del params["filter_lost_elements"]
    return params["label_fields"], {**params, "label_fields": [_INDEX]}


def _in_new_spelling(cfg: Mapping[str, Any], package: Any) -> dict[str, Any]:
    """The dict of a transform that albumentations 2 has renamed."""
    arguments = dict(cfg)
    if arguments["type"] == "JpegCompression" and not hasattr(package, "JpegCompression"):
        quality = arguments.pop("quality_lower", 99), arguments.pop("quality_upper", 100)
        arguments.update(type="ImageCompression", quality_range=quality)
    return arguments
