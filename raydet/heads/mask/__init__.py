"""Heads that predict masks."""

from raydet.heads.mask.fcn import FCNMaskHead
from raydet.heads.mask.protonet import YOLACTProtonet
from raydet.heads.mask.segm import YOLACTSegmHead
from raydet.heads.mask.solo import DecoupledSOLOHead, DecoupledSOLOLightHead, SOLOHead
from raydet.heads.mask.solo_v2 import SOLOV2Head

__all__ = [
    "DecoupledSOLOHead",
    "DecoupledSOLOLightHead",
    "FCNMaskHead",
    "SOLOHead",
    "SOLOV2Head",
    "YOLACTProtonet",
    "YOLACTSegmHead",
]
