"""Heads that predict at every cell of every feature map."""

from raydet.heads.dense.anchor import AnchorHead
from raydet.heads.dense.atss import ATSSHead
from raydet.heads.dense.base import DenseHead, conv_tower
from raydet.heads.dense.fcos import FCOSHead
from raydet.heads.dense.gfl import GFLHead
from raydet.heads.dense.layout import LevelLayout
from raydet.heads.dense.output import DenseOutput, Predictor
from raydet.heads.dense.retina import RetinaHead
from raydet.heads.dense.rpn import RPNHead
from raydet.heads.dense.ssd import SSDHead
from raydet.heads.dense.yolo_v3 import YOLOV3Head
from raydet.heads.dense.yolof import YOLOFHead
from raydet.heads.dense.yolox import YOLOXHead

__all__ = [
    "ATSSHead",
    "AnchorHead",
    "DenseHead",
    "DenseOutput",
    "FCOSHead",
    "GFLHead",
    "LevelLayout",
    "Predictor",
    "RPNHead",
    "RetinaHead",
    "SSDHead",
    "YOLOFHead",
    "YOLOV3Head",
    "YOLOXHead",
    "conv_tower",
]
