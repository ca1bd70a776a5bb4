"""Operators for detection that PyTorch does not have, with the names and arguments of the 2.x ones."""

from raydet_ops import _library
from raydet_ops._operator import OPERATORS, serves
from raydet_ops.corners import CornerPool, corner_pool
from raydet_ops.deform_attention import ms_deform_attn
from raydet_ops.deform_attention_module import MultiScaleDeformableAttention
from raydet_ops.deform_conv import deform_conv2d, modulated_deform_conv2d
from raydet_ops.deform_modules import (
    DeformConv2d,
    DeformConv2dPack,
    ModulatedDeformConv2d,
    ModulatedDeformConv2dPack,
)
from raydet_ops.deform_roi_modules import DeformRoIPool, DeformRoIPoolPack, ModulatedDeformRoIPoolPack
from raydet_ops.deform_roi_pool import deform_roi_pool
from raydet_ops.focal import SigmoidFocalLoss, SoftmaxFocalLoss, sigmoid_focal_loss, softmax_focal_loss
from raydet_ops.masked_conv import MaskedConv2d, masked_conv2d
from raydet_ops.nms import batched_nms, nms
from raydet_ops.nms_match import nms_match
from raydet_ops.overlaps import bbox_overlaps
from raydet_ops.paste import paste_masks
from raydet_ops.points import (
    SimpleRoIAlign,
    abs_img_point_to_rel_img_point,
    generate_grid,
    point_sample,
    rel_roi_point_to_abs_img_point,
    rel_roi_point_to_rel_img_point,
)
from raydet_ops.prroi_pool import PrRoIPool, prroi_pool
from raydet_ops.reassembly import CARAFE, CARAFENaive, CARAFEPack, carafe, carafe_naive
from raydet_ops.roi import RoIAlign, roi_align
from raydet_ops.roi_pool import RoIPool, roi_pool
from raydet_ops.soft_nms import soft_nms
from raydet_ops.time_shift import TINShift, tin_shift

LIBRARIES = _library.load_all()
"""The compiled libraries, loaded once all operators are defined."""

__all__ = [
    "CARAFE",
    "LIBRARIES",
    "OPERATORS",
    "CARAFENaive",
    "CARAFEPack",
    "CornerPool",
    "DeformConv2d",
    "DeformConv2dPack",
    "DeformRoIPool",
    "DeformRoIPoolPack",
    "MaskedConv2d",
    "ModulatedDeformConv2d",
    "ModulatedDeformConv2dPack",
    "ModulatedDeformRoIPoolPack",
    "MultiScaleDeformableAttention",
    "PrRoIPool",
    "RoIAlign",
    "RoIPool",
    "SigmoidFocalLoss",
    "SimpleRoIAlign",
    "SoftmaxFocalLoss",
    "TINShift",
    "abs_img_point_to_rel_img_point",
    "batched_nms",
    "bbox_overlaps",
    "carafe",
    "carafe_naive",
    "corner_pool",
    "deform_conv2d",
    "deform_roi_pool",
    "generate_grid",
    "masked_conv2d",
    "modulated_deform_conv2d",
    "ms_deform_attn",
    "nms",
    "nms_match",
    "paste_masks",
    "point_sample",
    "prroi_pool",
    "rel_roi_point_to_abs_img_point",
    "rel_roi_point_to_rel_img_point",
    "roi_align",
    "roi_pool",
    "serves",
    "sigmoid_focal_loss",
    "soft_nms",
    "softmax_focal_loss",
    "tin_shift",
]
