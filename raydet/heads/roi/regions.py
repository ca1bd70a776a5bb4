"""Regions of interest of a batch as one tensor, `(R, 5)` of image index, x1, y1, x2, y2, and what they learn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor


def join_rois(boxes: Sequence[Tensor]) -> Tensor:
    """Boxes `(r, 4)` or `(r, 5)` of every image, with the index of the image in front."""
    return torch.cat(
        [torch.cat([each.new_full((len(each), 1), i), each[:, :4]], dim=1) for i, each in enumerate(boxes)]
    )


def rescale_rois(rois: Tensor, factor: float) -> Tensor:
    """RoIs `(R, 5)` enlarged by `factor` around their centres."""
    centers = (rois[:, 1:3] + rois[:, 3:]) * 0.5
    half = (rois[:, 3:] - rois[:, 1:3]) * (0.5 * factor)
    return torch.cat([rois[:, :1], centers - half, centers + half], dim=1)


@dataclass(frozen=True, slots=True)
class RegionTargets:
    """What the sampled regions of a batch shall predict; of each image the positives come first.

    Attributes:
        rois: `(R, 5)`.
        labels: `(R,)` int64, `K` for background.
        label_weights: `(R,)`.
        positive: `(P,)` indices of the positives.
        boxes: `(P, 4)` their ground truths.
        counts: regions of each image.
    """

    rois: Tensor
    labels: Tensor
    label_weights: Tensor
    positive: Tensor
    boxes: Tensor
    counts: list[int]


def region_targets(samples: Sequence[Any], num_classes: int, pos_weight: float = -1) -> RegionTargets:
    """Targets of sampled regions.

    Args:
        samples: one SamplingResult per image.
        num_classes: `K`.
        pos_weight: classification weight of positives; not positive means 1.
    """
    num_pos = [len(sample.pos_bboxes) for sample in samples]
    counts = [len(sample.pos_bboxes) + len(sample.neg_bboxes) for sample in samples]
    rois = join_rois([torch.cat([sample.pos_bboxes, sample.neg_bboxes]) for sample in samples])
    starts = [sum(counts[:i]) for i in range(len(counts))]
    positive = torch.cat(
        [torch.arange(start, start + num, device=rois.device) for start, num in zip(starts, num_pos, strict=True)]
    )
    labels = torch.full((len(rois),), num_classes, dtype=torch.long, device=rois.device)
    labels[positive] = torch.cat([sample.pos_gt_labels for sample in samples])
    weights = rois.new_ones(len(rois))
    if pos_weight > 0:
        weights[positive] = pos_weight
    boxes = torch.cat([sample.pos_gt_bboxes.reshape(-1, 4) for sample in samples])
    return RegionTargets(rois, labels, weights, positive, boxes, counts)
