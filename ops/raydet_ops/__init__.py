"""Operators for detection that PyTorch does not have, with the names and arguments of the 2.x ones."""

from raydet_ops.focal import sigmoid_focal_loss
from raydet_ops.nms import batched_nms, nms, nms_match
from raydet_ops.roi import RoIAlign, RoIPool, roi_align, roi_pool
from raydet_ops.soft_nms import soft_nms

__all__ = [
    "RoIAlign",
    "RoIPool",
    "batched_nms",
    "nms",
    "nms_match",
    "roi_align",
    "roi_pool",
    "sigmoid_focal_loss",
    "soft_nms",
]
