"""Metrics: COCO's AP and AR, VOC-style mean AP, recall of proposals."""

from raydet.evaluation.average_precision import average_precision
from raydet.evaluation.class_names import get_classes
from raydet.evaluation.coco import evaluate_coco
from raydet.evaluation.iou import np_bbox_overlaps
from raydet.evaluation.matching import tpfp_default, tpfp_imagenet
from raydet.evaluation.matching_open_images import tpfp_openimages
from raydet.evaluation.mean_ap import eval_map, print_map_summary
from raydet.evaluation.occluded import evaluate_occluded_separated
from raydet.evaluation.panoptic import evaluate_panoptic
from raydet.evaluation.recall import eval_recalls, print_recall_summary
from raydet.evaluation.voc import evaluate_voc

__all__ = [
    "average_precision",
    "eval_map",
    "eval_recalls",
    "evaluate_coco",
    "evaluate_occluded_separated",
    "evaluate_panoptic",
    "evaluate_voc",
    "get_classes",
    "np_bbox_overlaps",
    "print_map_summary",
    "print_recall_summary",
    "tpfp_default",
    "tpfp_imagenet",
    "tpfp_openimages",
]
