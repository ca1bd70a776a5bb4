"""Targets of dense heads in shapes that do not depend on the data, for devices that compile per shape."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from raydet.assignment.ascend import AscendMaxIoUAssigner
from raydet.assignment.targets import DenseTargets
from raydet.structures import GroundTruth

# Ground truths are padded to a power of two, at least this one.
FEWEST = 32


def static_targets(
    priors: Tensor,
    truths: Sequence[GroundTruth],
    assigner: AscendMaxIoUAssigner,
    num_classes: int,
    inside: Sequence[Tensor | None],
    pos_weight: float = -1,
) -> DenseTargets:
    """`assign_targets` of a whole batch at once; all priors count as positive, with weight 0 where they are not.

    Args:
        priors: `(R, 4)` shared by all images, or `(N, R, 4)`.
        truths: `N` entries.
        assigner: matches the batch.
        num_classes: `K`, the label of the background.
        inside: `N` bool masks `(R,)` of the priors that may learn, or None for all.
        pos_weight: classification weight of positives; not positive means 1.
    """
    priors = priors.expand(len(truths), *priors.shape[-2:])
    boxes = _padded([truth.boxes for truth in truths])
    labels = _padded([truth.labels for truth in truths])
    ignored = None
    if any(truth.ignored is not None for truth in truths):
        ignored = _padded([boxes.new_zeros(0, 4) if t.ignored is None else t.ignored for t in truths])
    result = assigner.assign(priors, boxes, ignored, labels, _masks(inside, priors))
    positive, negative = result.batch_pos_mask.bool(), result.batch_neg_mask.bool()
    owner = result.batch_anchor_gt_indes
    matched = boxes.gather(1, owner[..., None].expand(-1, -1, 4))
    assert result.batch_anchor_gt_labels is not None
    weights = torch.where(positive, pos_weight if pos_weight > 0 else 1.0, negative.to(priors))
    return DenseTargets(
        labels=result.batch_anchor_gt_labels.masked_fill(~positive, num_classes),
        label_weights=weights,
        positive=torch.arange(positive.numel(), device=priors.device),
        negative=torch.arange(0, device=priors.device),
        priors=priors.reshape(-1, 4),
        # Something finite where nothing is assigned.
        boxes=torch.where(positive[..., None], matched, priors).view(-1, 4),
        matched_gt=owner.flatten(),
        num_pos=int(positive.sum(1).clamp(min=1).sum()),
        num_neg=int(negative.sum(1).clamp(min=1).sum()),
        box_weights=positive.flatten().to(priors),
    )


def _padded(rows: Sequence[Tensor]) -> Tensor:
    """`(N, G, ...)`: rows of every image, and zeros."""
    size = FEWEST
    while size < max(len(each) for each in rows):
        size *= 2
    table = rows[0].new_zeros(len(rows), size, *rows[0].shape[1:])
    for own, each in zip(table, rows, strict=True):
        own[: len(each)] = each
    return table


def _masks(inside: Sequence[Tensor | None], priors: Tensor) -> Tensor | None:
    """`(N, R)` bool, or None when all priors may learn."""
    if all(mask is None for mask in inside):
        return None
    everywhere = torch.ones(priors.shape[1], dtype=torch.bool, device=priors.device)
    return torch.stack([everywhere if mask is None else mask for mask in inside])
