"""Suppression of masks in parallel (SOLOv2, arXiv:2003.10152)."""

from __future__ import annotations

import torch
from torch import Tensor


def mask_matrix_nms(
    masks: Tensor,
    labels: Tensor,
    scores: Tensor,
    filter_thr: float = -1,
    nms_pre: int = -1,
    max_num: int = -1,
    kernel: str = "gaussian",
    sigma: float = 2.0,
    mask_area: Tensor | None = None,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Lower the score of every mask by its overlap with better ones of its class.

    Args:
        masks: `(R, H, W)` of 0 and 1.
        labels: `(R,)`.
        scores: `(R,)`.
        filter_thr: lowered scores must reach this; not positive keeps all.
        nms_pre: consider the best so many; not positive means all.
        max_num: keep the best so many; not positive means all.
        kernel: `gaussian` or `linear`.
        sigma: how much `gaussian` lowers.
        mask_area: `(R,)`, counted when left out.

    Returns:
        `(D,)` lowered scores, best first, `(D,)` labels, `(D, H, W)` masks and their `(D,)` indices.

    Raises:
        ValueError: unknown kernel or unequal lengths.
    """
    if kernel not in ("gaussian", "linear"):
        raise ValueError(f"kernel must be 'gaussian' or 'linear', got {kernel!r}")
    if not len(masks) == len(labels) == len(scores):
        raise ValueError(f"got {len(masks)} masks, {len(labels)} labels and {len(scores)} scores")
    areas = masks.sum(dim=(1, 2)).float() if mask_area is None else mask_area
    order = scores.argsort(descending=True)
    if nms_pre > 0:
        order = order[:nms_pre]
    overlaps = _overlaps(masks[order], areas[order], labels[order])
    lowered = scores[order] * _decay(overlaps, kernel, sigma)
    if filter_thr > 0:
        kept = lowered >= filter_thr
        order, lowered = order[kept], lowered[kept]
    lowered, again = lowered.sort(descending=True)
    order = order[again]
    if max_num > 0:
        order, lowered = order[:max_num], lowered[:max_num]
    return lowered, labels[order], masks[order], order


def _overlaps(masks: Tensor, areas: Tensor, labels: Tensor) -> Tensor:
    """`(R, R)` overlap of each mask (column) with better ones (rows) of its class, 0 elsewhere."""
    flat = masks.flatten(1).float()
    inter = flat @ flat.t()
    iou = inter / (areas[:, None] + areas - inter)
    return torch.where(labels[:, None] == labels, iou, 0.0).triu(diagonal=1)


def _decay(overlaps: Tensor, kernel: str, sigma: float) -> Tensor:
    """`(R,)` factors: a mask counts less the more it overlaps masks that are not overlapped themselves."""
    if len(overlaps) == 0:
        return overlaps.new_zeros(0)
    rival = overlaps.amax(dim=0)[:, None]
    if kernel == "gaussian":
        return (sigma * (rival.square() - overlaps.square())).exp().amin(dim=0)
    return ((1 - overlaps) / (1 - rival)).amin(dim=0)
