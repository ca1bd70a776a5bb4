"""What it costs to match a query with a ground truth, `(Q, G)` matrices for the Hungarian assigners."""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
import torch.nn.functional as F
from torch import Tensor

from raydet.geometry import bbox_cxcywh_to_xyxy, bbox_overlaps, bbox_xyxy_to_cxcywh


class MatchCost(ABC):
    """A cost and its weight.

    Args:
        weight: factor on the cost; 0 leaves it out.
    """

    def __init__(self, weight: float = 1.0) -> None:
        self.weight = weight

    @abstractmethod
    def cost(self, pred: Tensor, target: Tensor) -> Tensor:
        """`(Q, G)` cost before its weight."""

    def __call__(self, pred: Tensor, target: Tensor) -> Tensor:
        return self.cost(pred, target) * self.weight


class BBoxL1Cost(MatchCost):
    """Distance between coordinates, relative to the image size (DETR, arXiv:2005.12872).

    Args:
        weight: factor on the cost.
        box_format: compare corners (`xyxy`) or center and size (`xywh`).

    Raises:
        ValueError: unknown format.
    """

    def __init__(self, weight: float = 1.0, box_format: str = "xyxy") -> None:
        super().__init__(weight)
        if box_format not in ("xyxy", "xywh"):
            raise ValueError(f"box_format must be 'xyxy' or 'xywh', got {box_format!r}")
        self.box_format = box_format

    def cost(self, pred: Tensor, target: Tensor) -> Tensor:
        """Of boxes `(Q, 4)` as center and size, and ground truths `(G, 4)` as corners, both in [0, 1]."""
        if self.box_format == "xywh":
            target = bbox_xyxy_to_cxcywh(target)
        else:
            pred = bbox_cxcywh_to_xyxy(pred)
        return torch.cdist(pred, target, p=1)


class IoUCost(MatchCost):
    """Overlap of boxes, negative (DETR, arXiv:2005.12872).

    Args:
        iou_mode: see `bbox_overlaps`.
        weight: factor on the cost.
    """

    def __init__(self, iou_mode: str = "giou", weight: float = 1.0) -> None:
        super().__init__(weight)
        self.iou_mode = iou_mode

    def cost(self, pred: Tensor, target: Tensor) -> Tensor:
        """Of boxes `(Q, 4)` and ground truths `(G, 4)`, corners in pixels."""
        return -bbox_overlaps(pred, target, mode=self.iou_mode)


class ClassificationCost(MatchCost):
    """Probability of the ground truth's class, negative (DETR, arXiv:2005.12872)."""

    def cost(self, pred: Tensor, target: Tensor) -> Tensor:
        """Of logits `(Q, K + 1)` and classes `(G,)`."""
        return -pred.softmax(dim=-1)[:, target]


class FocalLossCost(MatchCost):
    """What the focal loss would gain by the match (arXiv:1708.02002).

    Args:
        weight: factor on the cost.
        alpha: weight of the positive class, the negative one has the rest.
        gamma: how much easy elements are left out.
        eps: keeps logarithms finite.
        binary_input: match masks instead of classes.
    """

    def __init__(
        self,
        weight: float = 1.0,
        alpha: float = 0.25,
        gamma: float = 2,
        eps: float = 1e-12,
        binary_input: bool = False,
    ) -> None:
        super().__init__(weight)
        self.alpha = alpha
        self.gamma = gamma
        self.eps = eps
        self.binary_input = binary_input

    def cost(self, pred: Tensor, target: Tensor) -> Tensor:
        """Of logits `(Q, K)` and classes `(G,)`, or of mask logits `(Q, ...)` and binary masks `(G, ...)`."""
        chance = pred.sigmoid()
        absent = -(1 - chance + self.eps).log() * (1 - self.alpha) * chance.pow(self.gamma)
        present = -(chance + self.eps).log() * self.alpha * (1 - chance).pow(self.gamma)
        if self.binary_input:
            return _mean_over_pixels(present, absent, target)
        return (present - absent)[:, target]


class CrossEntropyLossCost(MatchCost):
    """Binary cross entropy between masks (Mask2Former, arXiv:2112.01527).

    Args:
        weight: factor on the cost.
        use_sigmoid: must be true.

    Raises:
        ValueError: without sigmoid.
    """

    def __init__(self, weight: float = 1.0, use_sigmoid: bool = True) -> None:
        super().__init__(weight)
        if not use_sigmoid:
            raise ValueError("CrossEntropyLossCost is binary; use_sigmoid must be True")
        self.use_sigmoid = use_sigmoid

    def cost(self, pred: Tensor, target: Tensor) -> Tensor:
        """Of mask logits `(Q, ...)` and binary masks `(G, ...)`."""
        return _mean_over_pixels(F.softplus(-pred), F.softplus(pred), target)


class DiceCost(MatchCost):
    """One less the Dice coefficient of masks (arXiv:1606.04797).

    Args:
        weight: factor on the cost.
        pred_act: predictions are logits.
        eps: added to numerator and denominator.
        naive_dice: the denominator adds values, otherwise their squares.
    """

    def __init__(self, weight: float = 1.0, pred_act: bool = False, eps: float = 1e-3, naive_dice: bool = True) -> None:
        super().__init__(weight)
        self.pred_act = pred_act
        self.eps = eps
        self.naive_dice = naive_dice

    def cost(self, pred: Tensor, target: Tensor) -> Tensor:
        """Of masks `(Q, ...)` and binary masks `(G, ...)`."""
        pred = (pred.sigmoid() if self.pred_act else pred).flatten(1)
        target = target.flatten(1).to(pred)
        power = 1 if self.naive_dice else 2
        total = pred.pow(power).sum(dim=1)[:, None] + target.pow(power).sum(dim=1)
        return 1 - (2 * pred @ target.T + self.eps) / (total + self.eps)


def _mean_over_pixels(present: Tensor, absent: Tensor, target: Tensor) -> Tensor:
    """Mean cost `(Q, G)` of pixels that cost `present` `(Q, ...)` where the mask `(G, ...)` is 1, else `absent`."""
    present, absent = present.flatten(1), absent.flatten(1)
    # Divided first, so that sums stay in the range of half precision.
    gain = (present - absent) / present.shape[1]
    return absent.mean(dim=1, keepdim=True) + gain @ target.flatten(1).to(gain).T
