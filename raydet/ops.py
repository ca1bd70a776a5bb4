"""The operators of `raydet_ops` under raydet's own name."""

from raydet_ops import (
    RoIAlign,
    RoIPool,
    batched_nms,
    deform_conv2d,
    modulated_deform_conv2d,
    nms,
    nms_match,
    roi_align,
    roi_pool,
    sigmoid_focal_loss,
    soft_nms,
)

__all__ = [
    "RoIAlign",
    "RoIPool",
    "batched_nms",
    "deform_conv2d",
    "modulated_deform_conv2d",
    "nms",
    "nms_match",
    "roi_align",
    "roi_pool",
    "sigmoid_focal_loss",
    "soft_nms",
]
