from __future__ import annotations

import numpy as np
import pytest

from raydet.datasets.coco_results import box_columns, box_rows, mask_columns, mask_rows, proposal_rows

NONE = np.zeros((0, 5), np.float32)


def dets(*rows):
    return np.array(rows, np.float32).reshape(-1, 5)


def test_rows_of_boxes_have_sizes_in_double_precision():
    [row] = box_rows([5], [7], [[dets([0.1, 0.2, 100.3, 50.7, 0.9])]])
    x1, x2 = float(np.float32(0.1)), float(np.float32(100.3))
    assert row["bbox"][2] == x2 - x1
    assert (row["image_id"], row["category_id"], row["score"]) == (5, 7, float(np.float32(0.9)))


def test_columns_of_boxes_keep_the_order_of_images_classes_and_detections():
    results = [[dets([0, 0, 1, 1, 0.1], [0, 0, 2, 2, 0.2]), NONE], [NONE, dets([0, 0, 3, 3, 0.3])]]
    columns = box_columns([4, 9], [7, 8], results)
    assert columns.image_ids.tolist() == [4, 4, 9]
    assert columns.category_ids.tolist() == [7, 7, 8]
    assert columns.boxes[:, 2].tolist() == [1, 2, 3]


def test_columns_of_results_with_fewer_classes_than_the_file():
    assert box_columns([1], [7, 8], [[dets([0, 0, 1, 1, 1])]]).category_ids.tolist() == [7]


def test_more_classes_than_category_ids_say_what_to_do():
    with pytest.raises(ValueError, match=r"2 classes but the annotation file has 1.*num_classes"):
        box_columns([1], [7], [[NONE, NONE]])


def test_rows_of_no_detections_are_none():
    assert box_rows([1, 2], [7], [[NONE], [NONE]]) == []
    assert box_rows([], [7], []) == []
    assert proposal_rows([1], [NONE]) == []


def test_rows_of_rated_masks_take_the_score_of_the_mask():
    mask = {"size": [2, 2], "counts": b"04"}
    result = ([dets([0, 0, 2, 2, 0.9])], ([[mask]], [np.array([0.4], np.float32)]))
    [row] = mask_rows([1], [7], [result])
    assert row["score"] == float(np.float32(0.4))
    assert row["segmentation"] == {"size": [2, 2], "counts": "04"}


def test_masks_that_lack_for_a_box_are_an_error():
    with pytest.raises(ValueError, match="0 masks for 1 boxes"):
        mask_columns([1], [7], [([dets([0, 0, 2, 2, 0.9])], [[]])])
