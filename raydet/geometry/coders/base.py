"""What a box coder does, and the coder that does nothing."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

from torch import Tensor


class BaseBBoxCoder(ABC):
    """What a box coder does."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__()

    @abstractmethod
    def encode(self, bboxes: Tensor, gt_bboxes: Tensor) -> Tensor:
        """Deltas from priors to ground truths."""

    @abstractmethod
    def decode(self, bboxes: Tensor, bboxes_pred: Tensor) -> Tensor:
        """Boxes from priors and predicted deltas."""


class PseudoBBoxCoder(BaseBBoxCoder):
    """Predictions are the boxes themselves."""

    def encode(self, bboxes: Tensor, gt_bboxes: Tensor) -> Tensor:
        return gt_bboxes

    def decode(self, bboxes: Tensor, pred_bboxes: Tensor) -> Tensor:
        return pred_bboxes
