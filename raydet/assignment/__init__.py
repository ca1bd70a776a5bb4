"""Assigners, match costs, samplers, and the one function that turns them into targets."""

from raydet.assignment.approx_max_iou import ApproxMaxIoUAssigner
from raydet.assignment.ascend import AscendAssignResult, AscendMaxIoUAssigner
from raydet.assignment.atss import ATSSAssigner
from raydet.assignment.balanced import CombinedSampler, InstanceBalancedPosSampler, IoUBalancedNegSampler
from raydet.assignment.base import BaseAssigner, BaseSampler
from raydet.assignment.center_region import CenterRegionAssigner
from raydet.assignment.grid import GridAssigner
from raydet.assignment.hard import Judge, OHEMSampler, ScoreHLRSampler
from raydet.assignment.hungarian import HungarianAssigner, MaskHungarianAssigner
from raydet.assignment.match_costs import (
    BBoxL1Cost,
    ClassificationCost,
    CrossEntropyLossCost,
    DiceCost,
    FocalLossCost,
    IoUCost,
    MatchCost,
)
from raydet.assignment.max_iou import MaxIoUAssigner
from raydet.assignment.point import PointAssigner
from raydet.assignment.region import RegionAssigner
from raydet.assignment.result import AssignResult, MaskSamplingResult, SamplingResult
from raydet.assignment.samplers import MaskPseudoSampler, PseudoSampler, RandomSampler
from raydet.assignment.sim_ota import SimOTAAssigner
from raydet.assignment.targets import DenseTargets, assign_targets
from raydet.assignment.task_aligned import TaskAlignedAssigner
from raydet.assignment.uniform import UniformAssigner

__all__ = [
    "ATSSAssigner",
    "ApproxMaxIoUAssigner",
    "AscendAssignResult",
    "AscendMaxIoUAssigner",
    "AssignResult",
    "BBoxL1Cost",
    "BaseAssigner",
    "BaseSampler",
    "CenterRegionAssigner",
    "ClassificationCost",
    "CombinedSampler",
    "CrossEntropyLossCost",
    "DenseTargets",
    "DiceCost",
    "FocalLossCost",
    "GridAssigner",
    "HungarianAssigner",
    "InstanceBalancedPosSampler",
    "IoUBalancedNegSampler",
    "IoUCost",
    "Judge",
    "MaskHungarianAssigner",
    "MaskPseudoSampler",
    "MaskSamplingResult",
    "MatchCost",
    "MaxIoUAssigner",
    "OHEMSampler",
    "PointAssigner",
    "PseudoSampler",
    "RandomSampler",
    "RegionAssigner",
    "SamplingResult",
    "ScoreHLRSampler",
    "SimOTAAssigner",
    "TaskAlignedAssigner",
    "UniformAssigner",
    "assign_targets",
]
