"""Heads that find objects as peaks of heatmaps."""

from raydet.heads.heatmap.center import CenterNetHead

__all__ = ["CenterNetHead"]
