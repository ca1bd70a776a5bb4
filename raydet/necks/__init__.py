"""Necks: between the backbone and the heads."""

from raydet.necks.channel_mapper import ChannelMapper
from raydet.necks.ct_resnet_neck import CTResNetNeck
from raydet.necks.dilated_encoder import DilatedEncoder
from raydet.necks.fpn import FPN
from raydet.necks.pafpn import PAFPN
from raydet.necks.ssd_neck import SSDNeck
from raydet.necks.yolo_neck import YOLOV3Neck
from raydet.necks.yolox_pafpn import YOLOXPAFPN

__all__ = ["FPN", "PAFPN", "YOLOXPAFPN", "CTResNetNeck", "ChannelMapper", "DilatedEncoder", "SSDNeck", "YOLOV3Neck"]
