"""Losses and the one function that weighs them."""

from raydet.losses.accuracy import Accuracy, accuracy
from raydet.losses.associative_embedding import AssociativeEmbeddingLoss
from raydet.losses.balanced_l1 import BalancedL1Loss
from raydet.losses.base import Loss, weight_reduce_loss, weighted_loss
from raydet.losses.carl import carl_loss
from raydet.losses.cross_entropy import CrossEntropyLoss, binary_cross_entropy, cross_entropy, mask_cross_entropy
from raydet.losses.dice import DiceLoss
from raydet.losses.distillation import KnowledgeDistillationKLDivLoss
from raydet.losses.focal import FocalLoss
from raydet.losses.gaussian_focal import GaussianFocalLoss
from raydet.losses.generalized_focal import DistributionFocalLoss, QualityFocalLoss
from raydet.losses.ghm import GHMC, GHMR
from raydet.losses.importance import importance_weights
from raydet.losses.iou import BoundedIoULoss, CIoULoss, DIoULoss, GIoULoss, IoULoss
from raydet.losses.mse import MSELoss
from raydet.losses.seesaw import SeesawLoss
from raydet.losses.smooth_l1 import L1Loss, SmoothL1Loss
from raydet.losses.varifocal import VarifocalLoss

__all__ = [
    "GHMC",
    "GHMR",
    "Accuracy",
    "AssociativeEmbeddingLoss",
    "BalancedL1Loss",
    "BoundedIoULoss",
    "CIoULoss",
    "CrossEntropyLoss",
    "DIoULoss",
    "DiceLoss",
    "DistributionFocalLoss",
    "FocalLoss",
    "GIoULoss",
    "GaussianFocalLoss",
    "IoULoss",
    "KnowledgeDistillationKLDivLoss",
    "L1Loss",
    "Loss",
    "MSELoss",
    "QualityFocalLoss",
    "SeesawLoss",
    "SmoothL1Loss",
    "VarifocalLoss",
    "accuracy",
    "binary_cross_entropy",
    "carl_loss",
    "cross_entropy",
    "importance_weights",
    "mask_cross_entropy",
    "weight_reduce_loss",
    "weighted_loss",
]
