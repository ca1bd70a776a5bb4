"""The one target function of dense heads: which prior learns what."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from raydet.structures import GroundTruth

Assign = Callable[[int, Tensor, GroundTruth], Any]
"""(image index, priors `(r, 4)` that may learn, ground truth) -> AssignResult."""


@dataclass(frozen=True, slots=True)
class DenseTargets:
    """What the `R` priors of each of `N` images shall predict.

    Indices are flat, `image * R + prior`; they list images in order.

    Attributes:
        labels: `(N, R)` int64, `K` (background) where nothing is assigned.
        label_weights: `(N, R)` float, 0 where the classification is not to learn.
        positive: `(P,)` flat indices of the priors that have a ground truth.
        negative: `(M,)` flat indices of the priors that learn background.
        priors: `(P, 4)` priors (or points) of the positives.
        boxes: `(P, 4)` ground truths of the positives, xyxy.
        matched_gt: `(P,)` index of each positive's ground truth within its image.
        num_pos: sum over the images of max(number of positives, 1).
        num_neg: sum over the images of max(number of negatives, 1).
        shadowed: `(S, 2)` pairs of a flat index and a class that it does not learn, of assigners that say so.
        assigned: `N` results of the assigner, for losses that read what else it found out.
        box_weights: `(P,)` how much the boxes of positives count; None for all alike.
    """

    labels: Tensor
    label_weights: Tensor
    positive: Tensor
    negative: Tensor
    priors: Tensor
    boxes: Tensor
    matched_gt: Tensor
    num_pos: int
    num_neg: int
    shadowed: Tensor | None = None
    assigned: tuple[Any, ...] = ()
    box_weights: Tensor | None = None

    @property
    def sampled(self) -> Tensor:
        """`(P + M,)` flat indices of all priors whose classification learns."""
        return torch.cat([self.positive, self.negative])

    def only(self, kept: Tensor, background: int) -> DenseTargets:
        """The same with some positives alone, `kept` `(P,)` bool; the others learn the class `background`."""
        rows, lost = self.positive[kept], self.positive[~kept]
        labels = self.labels.flatten().index_fill(0, lost, background).view_as(self.labels)
        per_image = torch.bincount(rows // self.labels.shape[1], minlength=len(labels))
        return replace(
            self,
            labels=labels,
            positive=rows,
            negative=torch.cat([self.negative, lost]).sort().values,
            priors=self.priors[kept],
            boxes=self.boxes[kept],
            matched_gt=self.matched_gt[kept],
            num_pos=int(per_image.clamp(min=1).sum()),
        )


@dataclass(frozen=True, slots=True)
class _ImageTargets:
    """Indices into the priors of one image."""

    positive: Tensor
    negative: Tensor
    labels: Tensor
    boxes: Tensor
    matched_gt: Tensor
    shadowed: Tensor | None
    assigned: Any


def assign_targets(
    priors: Tensor,
    truths: Sequence[GroundTruth],
    assign: Assign,
    sampler: Any,
    num_classes: int,
    inside: Sequence[Tensor | None] | None = None,
    pos_weight: float = -1,
) -> DenseTargets:
    """Match priors with ground truths, image by image, and gather what the losses need.

    Args:
        priors: `(R, D)` shared by all images, or `(N, R, D)`.
        truths: `N` entries.
        assign: matches the priors of one image that may learn.
        sampler: picks positives and negatives among what was assigned.
        num_classes: `K`, the label of the background.
        inside: `N` bool masks `(R,)` of the priors that may learn; None for all, of one image or of every.
        pos_weight: classification weight of positives; not positive means 1.
    """
    per_image = priors.expand(len(truths), *priors.shape[-2:])
    parts = [
        _image_targets(index, per_image[index], truth, assign, sampler, None if inside is None else inside[index])
        for index, truth in enumerate(truths)
    ]
    num_priors = per_image.shape[1]
    positive = torch.cat([part.positive + i * num_priors for i, part in enumerate(parts)])
    negative = torch.cat([part.negative + i * num_priors for i, part in enumerate(parts)])
    labels = torch.full((len(parts) * num_priors,), num_classes, dtype=torch.long, device=priors.device)
    labels[positive] = torch.cat([part.labels for part in parts])
    weights = per_image.new_zeros(len(labels))
    weights[negative] = 1.0
    weights[positive] = pos_weight if pos_weight > 0 else 1.0
    return DenseTargets(
        labels=labels.view(len(parts), num_priors),
        label_weights=weights.view(len(parts), num_priors),
        positive=positive,
        negative=negative,
        priors=torch.cat([per_image[i][part.positive] for i, part in enumerate(parts)]),
        boxes=torch.cat([part.boxes for part in parts]),
        matched_gt=torch.cat([part.matched_gt for part in parts]),
        # 2.x counts at least one of each kind per image, not per batch.
        num_pos=sum(max(len(part.positive), 1) for part in parts),
        num_neg=sum(max(len(part.negative), 1) for part in parts),
        shadowed=_shadowed([part.shadowed for part in parts], num_priors),
        assigned=tuple(part.assigned for part in parts),
    )


def _image_targets(
    index: int, priors: Tensor, truth: GroundTruth, assign: Assign, sampler: Any, inside: Tensor | None
) -> _ImageTargets:
    kept = None if inside is None else inside.nonzero().squeeze(1)
    candidates = priors if kept is None else priors[kept]
    result = assign(index, candidates, truth)
    sampled = sampler.sample(result, candidates, truth.boxes, truth.labels)
    shadowed = result.get_extra_property("shadowed_labels")
    if shadowed is not None and kept is not None:
        shadowed = torch.stack([kept[shadowed[:, 0]], shadowed[:, 1]], dim=1)
    matched = sampled.pos_assigned_gt_inds
    return _ImageTargets(
        positive=sampled.pos_inds if kept is None else kept[sampled.pos_inds],
        negative=sampled.neg_inds if kept is None else kept[sampled.neg_inds],
        labels=truth.labels[matched],
        boxes=truth.boxes.reshape(-1, 4)[matched],
        matched_gt=matched,
        shadowed=shadowed,
        assigned=result,
    )


def _shadowed(pairs: Sequence[Tensor | None], num_priors: int) -> Tensor | None:
    """Pairs of all images with flat indices."""
    moved = [each + each.new_tensor([image * num_priors, 0]) for image, each in enumerate(pairs) if each is not None]
    return torch.cat(moved) if moved else None
