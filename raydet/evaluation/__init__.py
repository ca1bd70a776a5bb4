"""Metrics: AP and AR of COCO and LVIS, mean AP of VOC and Open Images, Cityscapes, panoptic quality, recall."""

from raydet.evaluation.average_precision import average_precision
from raydet.evaluation.cityscapes import evaluate_cityscapes
from raydet.evaluation.class_names import get_classes
from raydet.evaluation.coco import evaluate_coco
from raydet.evaluation.iou import np_bbox_overlaps
from raydet.evaluation.lvis import evaluate_lvis
from raydet.evaluation.matching import tpfp_default, tpfp_imagenet
from raydet.evaluation.matching_open_images import tpfp_openimages
from raydet.evaluation.mean_ap import eval_map, print_map_summary
from raydet.evaluation.occluded import evaluate_occluded_separated
from raydet.evaluation.open_images import evaluate_open_images
from raydet.evaluation.panoptic import evaluate_panoptic
from raydet.evaluation.recall import eval_recalls, print_recall_summary
from raydet.evaluation.result_files import read_results, write_results
from raydet.evaluation.voc import evaluate_voc

__all__ = [
    "average_precision",
    "eval_map",
    "eval_recalls",
    "evaluate_cityscapes",
    "evaluate_coco",
    "evaluate_lvis",
    "evaluate_occluded_separated",
    "evaluate_open_images",
    "evaluate_panoptic",
    "evaluate_voc",
    "get_classes",
    "np_bbox_overlaps",
    "print_map_summary",
    "print_recall_summary",
    "read_results",
    "tpfp_default",
    "tpfp_imagenet",
    "tpfp_openimages",
    "write_results",
]
