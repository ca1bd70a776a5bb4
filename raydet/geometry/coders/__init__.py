"""Box coders: between boxes and what a network predicts relative to its priors."""

from raydet.geometry.coders.base import BaseBBoxCoder, PseudoBBoxCoder
from raydet.geometry.coders.bucketing import BucketingBBoxCoder
from raydet.geometry.coders.delta import DeltaXYWHBBoxCoder, LegacyDeltaXYWHBBoxCoder
from raydet.geometry.coders.sides import DistancePointBBoxCoder, TBLRBBoxCoder
from raydet.geometry.coders.yolo import YOLOBBoxCoder

__all__ = [
    "BaseBBoxCoder",
    "BucketingBBoxCoder",
    "DeltaXYWHBBoxCoder",
    "DistancePointBBoxCoder",
    "LegacyDeltaXYWHBBoxCoder",
    "PseudoBBoxCoder",
    "TBLRBBoxCoder",
    "YOLOBBoxCoder",
]
