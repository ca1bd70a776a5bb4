"""Necks: between the backbone and the heads."""

from raydet.necks.fpn import FPN

__all__ = ["FPN"]
