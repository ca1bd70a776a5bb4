"""Operators for detection that PyTorch does not have, with the names and arguments of the 2.x ones."""

from raydet_ops import _library
from raydet_ops._operator import OPERATORS, serves
from raydet_ops.deform_conv import deform_conv2d, modulated_deform_conv2d
from raydet_ops.deform_modules import (
    DeformConv2d,
    DeformConv2dPack,
    ModulatedDeformConv2d,
    ModulatedDeformConv2dPack,
)
from raydet_ops.focal import sigmoid_focal_loss
from raydet_ops.masked_conv import MaskedConv2d, masked_conv2d
from raydet_ops.nms import batched_nms, nms, nms_match
from raydet_ops.roi import RoIAlign, RoIPool, roi_align, roi_pool
from raydet_ops.soft_nms import soft_nms
from raydet_ops.time_shift import TINShift, tin_shift

LIBRARIES = _library.load_all()
"""The compiled libraries, loaded once all operators are defined."""

__all__ = [
    "LIBRARIES",
    "OPERATORS",
    "DeformConv2d",
    "DeformConv2dPack",
    "MaskedConv2d",
    "ModulatedDeformConv2d",
    "ModulatedDeformConv2dPack",
    "RoIAlign",
    "RoIPool",
    "TINShift",
    "batched_nms",
    "deform_conv2d",
    "masked_conv2d",
    "modulated_deform_conv2d",
    "nms",
    "nms_match",
    "roi_align",
    "roi_pool",
    "serves",
    "sigmoid_focal_loss",
    "soft_nms",
    "tin_shift",
]
