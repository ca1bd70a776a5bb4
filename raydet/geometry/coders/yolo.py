"""Shift within a cell and logarithm of the growth (YOLO, arXiv:1804.02767)."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from raydet.geometry.boxes import bbox_cxcywh_to_xyxy, bbox_xyxy_to_cxcywh
from raydet.geometry.coders.base import BaseBBoxCoder


class YOLOBBoxCoder(BaseBBoxCoder):
    """Shift of the center in cells, 0.5 for none, and logarithm of the growth.

    Args:
        eps: how near shifts may come to 0 and 1.
    """

    def __init__(self, eps: float = 1e-6) -> None:
        super().__init__()
        self.eps = eps

    def encode(  # type: ignore[override]  # needs the stride as well
        self, bboxes: Tensor, gt_bboxes: Tensor, stride: float | Tensor
    ) -> Tensor:
        """Targets `(R, 4)` from priors and ground truths.

        Args:
            bboxes: `(R, 4)`.
            gt_bboxes: `(R, 4)`.
            stride: pixels per cell, one number or `(R,)`.
        """
        prior, truth = bbox_xyxy_to_cxcywh(bboxes), bbox_xyxy_to_cxcywh(gt_bboxes)
        shift = (truth[..., :2] - prior[..., :2]) / _column(stride) + 0.5
        growth = (truth[..., 2:] / prior[..., 2:]).clamp(min=self.eps).log()
        return torch.cat([shift.clamp(self.eps, 1 - self.eps), growth], dim=-1)

    def decode(  # type: ignore[override]  # needs the stride as well
        self, bboxes: Tensor, pred_bboxes: Tensor, stride: float | Tensor
    ) -> Tensor:
        """Boxes `(..., 4)` from priors and predictions; `stride` one number, `(R,)` or `(..., 1)`."""
        prior = bbox_xyxy_to_cxcywh(bboxes)
        center = prior[..., :2] + (pred_bboxes[..., :2] - 0.5) * _column(stride)
        return bbox_cxcywh_to_xyxy(torch.cat([center, prior[..., 2:] * pred_bboxes[..., 2:].exp()], dim=-1))


def _column(stride: Any) -> Any:
    return stride[:, None] if isinstance(stride, Tensor) and stride.ndim == 1 else stride
