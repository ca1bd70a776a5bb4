"""Detectors: backbone, neck and heads put together."""

from raydet.detectors.base import BaseDetector
from raydet.detectors.rpn import RPN
from raydet.detectors.single_stage import SingleStageDetector
from raydet.detectors.two_stage import TwoStageDetector

__all__ = ["RPN", "BaseDetector", "SingleStageDetector", "TwoStageDetector"]
