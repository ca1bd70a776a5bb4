from __future__ import annotations

import copy

import numpy as np
import pytest

from raydet.evaluation import evaluate_open_images

ANIMAL, CAT, CAR = 0, 1, 2
NONE = np.zeros((0, 5), np.float32)


class _DataSet:
    """An image of 100 x 50 pixels, or two, with objects given as (label, box in fractions, group)."""

    CLASSES = ("animal", "cat", "car")
    get_supercategory = True
    filter_labels = True
    class_label_tree = np.array([[1, 0, 0], [1, 1, 0], [0, 0, 1]], float)

    def __init__(self, objects, image_labels=(), more=None):
        self.images = [objects] if more is None else [objects, more]
        self.image_labels = image_labels

    def __len__(self):
        return len(self.images)

    def get_ann_info(self, idx):
        objects = self.images[idx]
        return {
            "labels": np.array([label for label, _, _ in objects], np.int64),
            "bboxes": np.array([box for _, box, _ in objects], np.float32).reshape(-1, 4),
            "gt_is_group_ofs": np.array([group for _, _, group in objects], bool),
            "bboxes_ignore": np.zeros((0, 4), np.float32),
        }

    def image_size(self, idx):
        return 50, 100

    def image_level_labels(self, idx):
        return None if self.image_labels is None else np.array(self.image_labels, np.int64)


def detections(*boxes):
    return np.array(boxes, np.float32).reshape(-1, 5)


HALF, PIXELS = [0, 0, 0.5, 1], [0, 0, 50, 50]


def score(dataset, results, **options):
    return evaluate_open_images(dataset, results, logger="silent", **options)["mAP"]


def test_detected_cat_also_finds_the_animal():
    dataset = _DataSet([(CAT, HALF, False)])
    results = [[NONE, detections([*PIXELS, 0.9]), NONE]]
    assert score(dataset, results) == 1.0
    dataset.get_supercategory = False
    assert score(dataset, results) == 1.0  # of cats alone


def test_detected_animal_is_no_cat():
    assert score(_DataSet([(CAT, HALF, False)]), [[detections([*PIXELS, 0.9]), NONE, NONE]]) == 0.5


def test_detections_of_classes_that_nobody_verified_are_left_out_unless_told_otherwise():
    dataset = _DataSet([(CAR, HALF, False)], more=[(ANIMAL, HALF, False)])
    right, wrong = detections([*PIXELS, 0.8]), detections([60, 0, 90, 40, 0.9])
    results = [[NONE, NONE, right], [right, NONE, wrong]]
    assert score(dataset, results) == 1.0
    dataset.filter_labels = False
    assert score(dataset, results) == 0.75  # of animals 1, of cars 0.5


def test_label_of_the_image_lets_detections_of_its_class_count_as_wrong():
    right, wrong = detections([*PIXELS, 0.8]), detections([60, 0, 90, 40, 0.9])
    images = {"objects": [(CAR, HALF, False)], "more": [(ANIMAL, HALF, False)]}
    results = [[NONE, NONE, right], [right, NONE, wrong]]
    assert score(_DataSet(**images, image_labels=None), results) == 1.0
    assert score(_DataSet(**images, image_labels=[CAR]), results) == 0.75


def test_boxes_inside_a_group_count_once():
    dataset = _DataSet([(CAR, HALF, True)])
    results = [[NONE, NONE, detections([0, 0, 9, 9, 0.9], [20, 0, 29, 9, 0.8], [30, 0, 39, 9, 0.7])]]
    assert score(dataset, results) == 1.0
    assert score(dataset, results, use_group_of=False) == 0.0


def test_several_overlaps_take_a_part_each():
    dataset = _DataSet([(CAR, HALF, False)])
    results = [[NONE, NONE, detections([0, 0, 50, 35, 0.9])]]
    scores = evaluate_open_images(dataset, results, logger="silent", iou_thr=[0.5, 0.75], ioa_thr=[0.5, 0.3])
    assert scores == {"AP50": 1.0, "AP75": 0.0, "mAP": 0.5}
    with pytest.raises(ValueError, match="ioa_thr needs one number for each iou_thr"):
        score(dataset, results, iou_thr=[0.5, 0.75])
    with pytest.raises(ValueError, match="use_group_of needs ioa_thr"):
        score(dataset, results, ioa_thr=None)
    assert score(dataset, results, ioa_thr=None, use_group_of=False) == 1.0


def test_pixels_may_be_given_as_they_are():
    dataset = _DataSet([(CAR, PIXELS, False)])
    assert score(dataset, [[NONE, NONE, detections([*PIXELS, 0.9])]], denorm_gt_bbox=False) == 1.0


def test_results_are_left_as_they_are():
    results = [[NONE, detections([*PIXELS, 0.9]), detections([*PIXELS, 0.9])]]
    before = copy.deepcopy(results)
    score(_DataSet([(CAT, HALF, False)]), results)
    assert all((a == b).all() for a, b in zip(results[0], before[0], strict=True))


def test_wrong_calls_are_refused():
    with pytest.raises(KeyError, match="metric recall is not supported"):
        score(_DataSet([]), [[NONE] * 3], metric="recall")
    with pytest.raises(ValueError, match="2 results for a data set of 1 images"):
        score(_DataSet([]), [[NONE] * 3] * 2)
