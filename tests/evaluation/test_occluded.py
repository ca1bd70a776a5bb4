from __future__ import annotations

import json
import pickle

import numpy as np
import pytest
from pycocotools import mask as rle_tools

from raydet.datasets.coco_occluded import OccludedSeparatedCocoDataset


def rle(box, size=100):
    x, y, w, h = box
    mask = np.zeros((size, size), np.uint8, order="F")
    mask[y : y + h, x : x + w] = 1
    return rle_tools.encode(mask)


def plain(code):
    return {**code, "counts": code["counts"].decode()}


OCCLUDED = [["1.jpg", "cat", 1, [10, 10, 40, 40], rle((10, 10, 40, 40))]]
SEPARATED = [
    ["2.jpg", "dog", 2, [50, 50, 40, 40], rle((50, 50, 40, 40))],
    ["2.jpg", "cat", 3, [0, 0, 20, 20], rle((0, 0, 20, 10))],  # the result has 20 rows: overlap 0.5
]


@pytest.fixture
def make(dataset, tmp_path):
    (tmp_path / "occluded.json").write_text(json.dumps([[*each[:4], plain(each[4])] for each in OCCLUDED]))
    (tmp_path / "separated.pkl").write_bytes(pickle.dumps(SEPARATED))

    def build(**options):
        lists = {"occluded_ann": "occluded.json", "separated_ann": "separated.pkl", **options}
        return OccludedSeparatedCocoDataset(
            "truth.json", [], data_root=str(tmp_path), classes=("cat", "dog"), test_mode=True, **lists
        )

    return build


def test_recalls_count_masks_of_the_class_that_overlap_enough(make, perfect_masks, capsys) -> None:
    scores = make().evaluate(perfect_masks)
    assert scores == {"occluded_recall": 100.0, "separated_recall": 50.0}
    assert "separated | 50.00% | 1" in " ".join(capsys.readouterr().out.split())


def test_thresholds_of_score_and_overlap_hold(make, perfect_masks) -> None:
    scores = make().evaluate(perfect_masks, score_thr=0.75, iou_thr=0.5, logger="silent")
    assert scores == {"occluded_recall": 100.0, "separated_recall": 50.0}  # the dog scores 0.7, the cat overlaps 0.5


def test_coco_metrics_come_along(make, perfect_masks) -> None:
    scores = make().evaluate(perfect_masks, metric=["segm"], logger="silent")
    assert scores["segm_mAP"] == 1
    assert scores["occluded_recall"] == 100


def test_results_without_masks_are_refused(make, perfect) -> None:
    with pytest.raises(KeyError, match="need masks"):
        make().evaluate(perfect, logger="silent")


def test_a_pickle_that_would_run_code_is_refused(make, tmp_path) -> None:
    (tmp_path / "evil.pkl").write_bytes(pickle.dumps(print))
    with pytest.raises(ValueError, match=r"evil\.pkl.*only containers"):
        make(occluded_ann="evil.pkl")
