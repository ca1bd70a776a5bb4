"""Heads that predict at every cell of every feature map."""

from raydet.heads.dense.adaption import FeatureAdaption
from raydet.heads.dense.anchor import AnchorHead
from raydet.heads.dense.atss import ATSSHead
from raydet.heads.dense.base import DenseHead
from raydet.heads.dense.cascade_rpn import CascadeRPNHead, StageCascadeRPNHead
from raydet.heads.dense.embedding_rpn import EmbeddingRPNHead
from raydet.heads.dense.fcos import FCOSHead
from raydet.heads.dense.fovea import FoveaHead
from raydet.heads.dense.free_anchor import FreeAnchorRetinaHead
from raydet.heads.dense.fsaf import FSAFHead
from raydet.heads.dense.gfl import GFLHead
from raydet.heads.dense.guided_anchor import GARetinaHead, GARPNHead, GuidedAnchorHead
from raydet.heads.dense.layout import LevelLayout
from raydet.heads.dense.output import DenseOutput, Predictor
from raydet.heads.dense.pisa import PISARetinaHead
from raydet.heads.dense.reppoints import RepPointsHead
from raydet.heads.dense.retina import RetinaHead
from raydet.heads.dense.rpn import RPNHead
from raydet.heads.dense.sabl_retina import SABLRetinaHead
from raydet.heads.dense.ssd import SSDHead
from raydet.heads.dense.towers import conv_tower
from raydet.heads.dense.yolo_v3 import YOLOV3Head
from raydet.heads.dense.yolof import YOLOFHead
from raydet.heads.dense.yolox import YOLOXHead

__all__ = [
    "ATSSHead",
    "AnchorHead",
    "CascadeRPNHead",
    "DenseHead",
    "DenseOutput",
    "EmbeddingRPNHead",
    "FCOSHead",
    "FSAFHead",
    "FeatureAdaption",
    "FoveaHead",
    "FreeAnchorRetinaHead",
    "GARPNHead",
    "GARetinaHead",
    "GFLHead",
    "GuidedAnchorHead",
    "LevelLayout",
    "PISARetinaHead",
    "Predictor",
    "RPNHead",
    "RepPointsHead",
    "RetinaHead",
    "SABLRetinaHead",
    "SSDHead",
    "StageCascadeRPNHead",
    "YOLOFHead",
    "YOLOV3Head",
    "YOLOXHead",
    "conv_tower",
]
