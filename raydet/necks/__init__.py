"""Necks: between the backbone and the heads."""

from raydet.necks.bfp import BFP
from raydet.necks.channel_mapper import ChannelMapper
from raydet.necks.ct_resnet_neck import CTResNetNeck
from raydet.necks.dilated_encoder import DilatedEncoder
from raydet.necks.dyhead import DyHead
from raydet.necks.fpg import FPG
from raydet.necks.fpn import FPN
from raydet.necks.fpn_carafe import FPN_CARAFE
from raydet.necks.hrfpn import HRFPN
from raydet.necks.nas_fcos_fpn import NASFCOS_FPN
from raydet.necks.nas_fpn import NASFPN
from raydet.necks.pafpn import PAFPN
from raydet.necks.rfp import RFP
from raydet.necks.ssd_neck import SSDNeck
from raydet.necks.yolo_neck import YOLOV3Neck
from raydet.necks.yolox_pafpn import YOLOXPAFPN

__all__ = [
    "BFP",
    "FPG",
    "FPN",
    "FPN_CARAFE",
    "HRFPN",
    "NASFCOS_FPN",
    "NASFPN",
    "PAFPN",
    "RFP",
    "YOLOXPAFPN",
    "CTResNetNeck",
    "ChannelMapper",
    "DilatedEncoder",
    "DyHead",
    "SSDNeck",
    "YOLOV3Neck",
]
