"""Assigners, samplers, and the one function that turns them into targets."""

from raydet.assignment.balanced import CombinedSampler, InstanceBalancedPosSampler, IoUBalancedNegSampler
from raydet.assignment.base import BaseAssigner, BaseSampler
from raydet.assignment.max_iou import MaxIoUAssigner
from raydet.assignment.result import AssignResult, MaskSamplingResult, SamplingResult
from raydet.assignment.samplers import MaskPseudoSampler, PseudoSampler, RandomSampler
from raydet.assignment.targets import DenseTargets, assign_targets

__all__ = [
    "AssignResult",
    "BaseAssigner",
    "BaseSampler",
    "CombinedSampler",
    "DenseTargets",
    "InstanceBalancedPosSampler",
    "IoUBalancedNegSampler",
    "MaskPseudoSampler",
    "MaskSamplingResult",
    "MaxIoUAssigner",
    "PseudoSampler",
    "RandomSampler",
    "SamplingResult",
    "assign_targets",
]
