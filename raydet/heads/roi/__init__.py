"""Heads that look at regions of interest."""

from raydet.heads.roi.base import RoIHead, RoIStage
from raydet.heads.roi.bbox import BBoxHead
from raydet.heads.roi.standard import StandardRoIHead

__all__ = ["BBoxHead", "RoIHead", "RoIStage", "StandardRoIHead"]
