"""Heads that predict at every cell of every feature map."""

from raydet.heads.dense.base import DenseHead, conv_tower
from raydet.heads.dense.layout import LevelLayout
from raydet.heads.dense.output import DenseOutput, Predictor

__all__ = ["DenseHead", "DenseOutput", "LevelLayout", "Predictor", "conv_tower"]
