"""Build whole models and their parts from configs."""

from raydet.models.builder import (
    build_backbone,
    build_detector,
    build_head,
    build_loss,
    build_neck,
    build_roi_extractor,
    build_shared_head,
)

__all__ = [
    "build_backbone",
    "build_detector",
    "build_head",
    "build_loss",
    "build_neck",
    "build_roi_extractor",
    "build_shared_head",
]
