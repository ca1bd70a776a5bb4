"""Merge the predictions of differently scaled and flipped versions of one image."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

import numpy as np
import torch
from raydet_ops import nms
from torch import Tensor

from raydet.geometry.boxes import bbox_mapping_back

Array = TypeVar("Array", Tensor, np.ndarray)
Meta = Mapping[str, Any]
MASK_AXES = {"horizontal": (3,), "vertical": (2,), "diagonal": (2, 3)}


def merge_aug_proposals(aug_proposals: Sequence[Tensor], img_metas: Sequence[Meta], cfg: Mapping[str, Any]) -> Tensor:
    """Proposals `(R, 5)` of the original image from those `(r, 5)` of each version.

    Args:
        aug_proposals: per version, in its pixels.
        img_metas: per version: `img_shape`, `scale_factor`, `flip`, `flip_direction`.
        cfg: `nms` with `iou_threshold`, and `max_per_img`; or their old names `nms_thr` and `max_num`.

    Raises:
        ValueError: old and new names disagree.
    """
    threshold, limit = _proposal_options(cfg)
    boxes = torch.cat([_back(p[:, :4], meta) for p, meta in zip(aug_proposals, img_metas, strict=True)])
    scores = torch.cat([p[:, 4] for p in aug_proposals])
    merged, _ = nms(boxes, scores, threshold)
    return merged[:limit]


def _proposal_options(cfg: Mapping[str, Any]) -> tuple[float, int]:
    suppression = cfg.get("nms") or {}
    pairs = {
        "nms.iou_threshold": (suppression.get("iou_threshold"), cfg.get("nms_thr")),
        "max_per_img": (cfg.get("max_per_img"), cfg.get("max_num")),
    }
    values = []
    for name, (new, old) in pairs.items():
        if new is not None and old is not None and new != old:
            raise ValueError(f"{name} is {new} but its old name says {old}; keep {name} only")
        value = old if new is None else new
        if value is None:
            raise ValueError(f"merging proposals needs {name!r} in the test config, got keys {sorted(cfg)}")
        values.append(value)
    return float(values[0]), int(values[1])


def merge_aug_bboxes(
    aug_bboxes: Sequence[Tensor],
    aug_scores: Sequence[Tensor] | None,
    img_metas: Sequence[Sequence[Meta]],
    rcnn_test_cfg: Any = None,
) -> Any:
    """Mean of boxes `(R, 4 k)` in pixels of the original image, and of their scores `(R, K + 1)` if given."""
    boxes = torch.stack([_back(b, meta[0]) for b, meta in zip(aug_bboxes, img_metas, strict=True)]).mean(dim=0)
    return boxes if aug_scores is None else (boxes, torch.stack(list(aug_scores)).mean(dim=0))


def merge_aug_scores(aug_scores: Sequence[Array]) -> Array:
    """Mean of scores, tensors or arrays."""
    if isinstance(aug_scores[0], Tensor):
        return torch.stack(list(aug_scores)).mean(dim=0)
    return np.mean(aug_scores, axis=0)  # type: ignore[no-any-return]


def merge_aug_masks(
    aug_masks: Sequence[np.ndarray],
    img_metas: Sequence[Sequence[Meta]],
    rcnn_test_cfg: Any = None,
    weights: Sequence[float] | None = None,
) -> np.ndarray:
    """Mean, weighted if wanted, of masks `(D, K, h, w)` after undoing their flips.

    Raises:
        ValueError: unknown flip direction.
    """
    plain = [_unflipped(masks, meta[0]) for masks, meta in zip(aug_masks, img_metas, strict=True)]
    return np.average(plain, axis=0, weights=weights)


def _unflipped(masks: np.ndarray, meta: Meta) -> np.ndarray:
    if not meta["flip"]:
        return masks
    direction = meta["flip_direction"]
    if direction not in MASK_AXES:
        raise ValueError(f"flip_direction must be one of {sorted(MASK_AXES)}, got {direction!r}")
    return np.flip(masks, MASK_AXES[direction])


def _back(boxes: Tensor, meta: Meta) -> Tensor:
    return bbox_mapping_back(
        boxes, meta["img_shape"], meta["scale_factor"], meta["flip"], meta.get("flip_direction") or "horizontal"
    )
