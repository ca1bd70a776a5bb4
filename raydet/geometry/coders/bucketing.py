"""Sides of a box by buckets and offsets within them (SABL, arXiv:1912.04260)."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from raydet.geometry.boxes import bbox_rescale, clip_boxes
from raydet.geometry.coders.base import BaseBBoxCoder


class BucketTargets(NamedTuple):
    """Targets of `S` buckets for each of the four sides left, right, top, bottom; all `(R, 4 S)`."""

    offsets: Tensor
    offset_weights: Tensor
    labels: Tensor
    label_weights: Tensor


class BucketingBBoxCoder(BaseBBoxCoder):
    """Which bucket each side of a box lies in, and where.

    Args:
        num_buckets: along each axis; each side sees the half of them that is nearer, rounded up.
        scale_factor: the buckets span the prior enlarged by this.
        offset_topk: so many of the nearest buckets learn their offset,
        offset_upperbound: those after the first only if it is smaller than this, in buckets.
        cls_ignore_neighbor: buckets next to the right one do not learn that they are wrong.
        clip_border: clip decoded boxes to the image.
    """

    def __init__(
        self,
        num_buckets: int,
        scale_factor: float,
        offset_topk: int = 2,
        offset_upperbound: float = 1.0,
        cls_ignore_neighbor: bool = True,
        clip_border: bool = True,
    ) -> None:
        super().__init__()
        self.num_buckets = num_buckets
        self.scale_factor = scale_factor
        self.offset_topk = offset_topk
        self.offset_upperbound = offset_upperbound
        self.cls_ignore_neighbor = cls_ignore_neighbor
        self.clip_border = clip_border

    @property
    def side_num(self) -> int:
        """Buckets that each side sees."""
        return -(-self.num_buckets // 2)

    def encode(self, bboxes: Tensor, gt_bboxes: Tensor) -> BucketTargets:  # type: ignore[override]  # four targets
        """Targets from priors `(R, 4)` to ground truths `(R, 4)`."""
        centers, width = self._buckets(bboxes.float())
        sides = gt_bboxes.float()[:, [0, 2, 1, 3], None]
        offsets = (centers - sides) / width[..., None]
        distance, order = offsets.abs().topk(self.offset_topk, dim=2, largest=False, sorted=True)
        learns = (distance < self.offset_upperbound).float()
        learns[..., 0] = 1
        weights = torch.zeros_like(offsets).scatter(2, order, learns)
        labels = F.one_hot(order[..., 0], self.side_num).float()
        near = (offsets.abs() < 1) & (labels == 0)
        label_weights = (~near).float() if self.cls_ignore_neighbor else torch.ones_like(labels)
        return BucketTargets(*(x.flatten(1) for x in (offsets, weights, labels, label_weights)))

    def decode(  # type: ignore[override]  # predicts two things
        self, bboxes: Tensor, pred_bboxes: tuple[Tensor, Tensor], max_shape: Any = None
    ) -> tuple[Tensor, Tensor]:
        """Boxes and how sure their sides are.

        Args:
            bboxes: `(R, 4)` priors.
            pred_bboxes: logits of the buckets and offsets within them, both `(R, 4 S)`.
            max_shape: image size `(h, w[, c])`.

        Returns:
            `(R, 4)` xyxy and `(R,)` in [0, 1].
        """
        logits, offsets = (x.view(len(bboxes), 4, self.side_num) for x in pred_bboxes)
        scores, order = logits.softmax(dim=2).topk(2, dim=2)
        best = order[..., :1]
        centers, width = self._buckets(bboxes)
        sides = centers.gather(2, best).squeeze(2) - offsets.gather(2, best).squeeze(2) * width
        boxes = sides[:, [0, 2, 1, 3]]
        if self.clip_border and max_shape is not None:
            boxes = clip_boxes(boxes, max_shape, margin=1)
        # The second bucket supports the first where they are neighbours.
        neighbors = (order[..., 0] - order[..., 1]).abs() == 1
        return boxes, (scores[..., 0] + scores[..., 1] * neighbors).mean(dim=1)

    def _buckets(self, priors: Tensor) -> tuple[Tensor, Tensor]:
        """Centers `(R, 4, S)` of the buckets of each side from outside in, and their widths `(R, 4)`."""
        wide = bbox_rescale(priors, self.scale_factor)
        width = ((wide[:, 2:] - wide[:, :2]) / self.num_buckets).repeat_interleave(2, dim=1)
        steps = (torch.arange(self.side_num, device=priors.device) + 0.5) * width[..., None]
        inward = wide.new_tensor([1, -1, 1, -1])[:, None]
        return wide[:, [0, 2, 1, 3], None] + inward * steps, width
