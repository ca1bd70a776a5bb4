"""Backbones: from images to feature maps of several sizes."""

from raydet.backbones.chain import ChainBackbone
from raydet.backbones.convnext import ConvNeXt
from raydet.backbones.csp_darknet import CSPDarknet
from raydet.backbones.darknet import Darknet
from raydet.backbones.detectors_resnet import DetectoRS_ResNet
from raydet.backbones.efficientnet import EfficientNet
from raydet.backbones.hourglass import HourglassNet
from raydet.backbones.hrnet import HRNet
from raydet.backbones.mobilenet_v2 import MobileNetV2
from raydet.backbones.pvt import PyramidVisionTransformer, PyramidVisionTransformerV2
from raydet.backbones.regnet import RegNet
from raydet.backbones.res2net import Res2Net
from raydet.backbones.resnest import ResNeSt
from raydet.backbones.resnet import ResNet, ResNetV1d
from raydet.backbones.resnext import ResNeXt
from raydet.backbones.ssd_vgg import SSDVGG
from raydet.backbones.swin import SwinTransformer
from raydet.backbones.timm_backbone import TIMMBackbone
from raydet.backbones.trident_resnet import TridentResNet

__all__ = [
    "SSDVGG",
    "CSPDarknet",
    "ChainBackbone",
    "ConvNeXt",
    "Darknet",
    "DetectoRS_ResNet",
    "EfficientNet",
    "HRNet",
    "HourglassNet",
    "MobileNetV2",
    "PyramidVisionTransformer",
    "PyramidVisionTransformerV2",
    "RegNet",
    "Res2Net",
    "ResNeSt",
    "ResNeXt",
    "ResNet",
    "ResNetV1d",
    "SwinTransformer",
    "TIMMBackbone",
    "TridentResNet",
]
