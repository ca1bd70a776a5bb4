"""Backbones: from images to feature maps of several sizes."""

from raydet.backbones.mobilenet_v2 import MobileNetV2
from raydet.backbones.resnet import ResNet, ResNetV1d

__all__ = ["MobileNetV2", "ResNet", "ResNetV1d"]
