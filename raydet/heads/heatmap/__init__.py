"""Heads that find objects as peaks of heatmaps."""

from raydet.heads.heatmap.center import CenterNetHead
from raydet.heads.heatmap.centripetal import CentripetalHead
from raydet.heads.heatmap.corner import CornerHead

__all__ = ["CenterNetHead", "CentripetalHead", "CornerHead"]
