"""What belongs to a field of boxes and stays or goes with it: labels and masks."""

from __future__ import annotations

import numpy as np

from raydet.transforms.base import Results

OBJECT_FIELDS = ("gt_bboxes", "gt_bboxes_ignore")
"""Boxes of objects; other fields of boxes, such as proposals, have neither labels nor masks."""


def companion(results: Results, key: str, kind: str) -> str | None:
    """The field with the "labels" or "masks" of the boxes `key`, where the sample has one."""
    name = key.replace("bboxes", kind)
    return name if key in OBJECT_FIELDS and name in results else None


def keep(results: Results, key: str, kept: np.ndarray) -> None:
    """Keep some boxes of the field `key`, with their labels and masks.

    Args:
        results: the sample; changed in place.
        key: a field of boxes.
        kept: `(G,)` bool.
    """
    places = np.flatnonzero(kept)
    results[key] = results[key][places]
    for name in (companion(results, key, "labels"), companion(results, key, "masks")):
        if name is not None:
            results[name] = results[name][places]


def crop_masks(results: Results, key: str, corners: np.ndarray) -> None:
    """Cut the masks of the boxes `key` to the window `corners` `(4,)`."""
    name = companion(results, key, "masks")
    if name is not None:
        results[name] = results[name].crop(corners)


def need_boxes_only(results: Results, transform: object) -> None:
    """Raise NotImplementedError when a sample has masks or a semantic map, which `transform` cannot move."""
    found = [key for key in ("gt_masks", "gt_semantic_seg") if results.get(key) is not None]
    if found:
        raise NotImplementedError(
            f"{type(transform).__name__} moves images and boxes only, but the sample has {', '.join(found)}; "
            "set with_mask=False and with_seg=False in LoadAnnotations"
        )
