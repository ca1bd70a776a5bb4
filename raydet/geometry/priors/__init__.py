"""Prior generators: the anchors and points that dense heads predict from."""

from raydet.geometry.priors.anchors import AnchorGenerator, LegacyAnchorGenerator
from raydet.geometry.priors.points import MlvlPointGenerator, PointGenerator
from raydet.geometry.priors.ssd import LegacySSDAnchorGenerator, SSDAnchorGenerator
from raydet.geometry.priors.yolo import YOLOAnchorGenerator

__all__ = [
    "AnchorGenerator",
    "LegacyAnchorGenerator",
    "LegacySSDAnchorGenerator",
    "MlvlPointGenerator",
    "PointGenerator",
    "SSDAnchorGenerator",
    "YOLOAnchorGenerator",
]
