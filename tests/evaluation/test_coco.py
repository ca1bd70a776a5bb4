from __future__ import annotations

import copy
import json
import logging

import numpy as np
import pytest

from raydet.evaluation import evaluate_coco

NONE = np.zeros((0, 5), dtype=np.float32)
KEYS = ["mAP", "mAP_50", "mAP_75", "mAP_s", "mAP_m", "mAP_l"]


def test_evaluate_coco_of_perfect_boxes_gives_the_keys_of_2x_and_1(dataset, perfect):
    scores = evaluate_coco(dataset, perfect, logger="silent")
    assert list(scores) == [*(f"bbox_{key}" for key in KEYS), "bbox_mAP_copypaste"]
    assert [scores[f"bbox_{key}"] for key in KEYS] == [1, 1, 1, 1, 1, -1]
    assert scores["bbox_mAP_copypaste"] == "1.0000 1.0000 1.0000 1.0000 1.0000 -1.0000"


def test_evaluate_coco_of_perfect_masks_gives_both_metrics(dataset, perfect_masks):
    scores = evaluate_coco(dataset, perfect_masks, ["bbox", "segm"], logger="silent")
    assert (scores["bbox_mAP"], scores["segm_mAP"]) == (1, 1)


def test_evaluate_coco_of_boxes_at_overlap_07_counts_half_of_the_thresholds(dataset, perfect):
    perfect[0][0][0, 3] = 40  # 30 of 40 rows: overlap 0.75
    perfect[1][0] = NONE
    scores = evaluate_coco(dataset, perfect, logger="silent")
    cat_ap = 51 / 101 * 0.6  # one of two cats, at 0.5 ... 0.75
    assert scores["bbox_mAP"] == pytest.approx((cat_ap + 1) / 2, abs=1e-4)
    assert scores["bbox_mAP_75"] == pytest.approx((51 / 101 + 1) / 2, abs=1e-4)


def test_evaluate_coco_sizes_masks_by_their_own_area(dataset, perfect_masks):
    cat = dataset.coco.anns[1]
    cat["area"] = 30.0  # small by its mask, whatever its box
    scores = evaluate_coco(dataset, perfect_masks, "segm", logger="silent", metric_items=["mAP_s"])
    assert scores["segm_mAP_s"] == 1


def test_evaluate_coco_of_many_masks_counts_the_best_ones(dataset, perfect_masks):
    (boxes, _), masks = perfect_masks[0][0], perfect_masks[0][1]
    many = np.repeat(boxes, 300, axis=0)
    many[1:, 4] = 0.1
    perfect_masks[0] = ([many, NONE], [masks[0] * 300, []])
    scores = evaluate_coco(dataset, perfect_masks, "segm", logger="silent")
    assert scores["segm_mAP"] == pytest.approx(1.0)


@pytest.mark.parametrize("metric", ["bbox", "segm", ["bbox", "segm"]])
def test_evaluate_coco_without_detections_says_so_and_gives_nothing(dataset, metric, capsys):
    results = [([NONE, NONE], [[], []])] * 3
    assert evaluate_coco(dataset, results, metric) == {}
    assert "empty" in capsys.readouterr().out


def test_evaluate_coco_of_proposals_gives_recalls(dataset, proposals):
    scores = evaluate_coco(dataset, proposals, "proposal", logger="silent")
    assert scores == {
        "AR@100": 1,
        "AR@300": 1,
        "AR@1000": 1,
        "AR_s@1000": 1,
        "AR_m@1000": 1,
        "AR_l@1000": -1,
    }


def test_evaluate_coco_of_boxes_as_proposals_ignores_their_class(dataset, perfect):
    swapped = [[dogs, cats] for cats, dogs in perfect]
    assert evaluate_coco(dataset, swapped, "proposal", logger="silent")["AR@100"] == 1


def test_evaluate_coco_of_proposal_fast_gives_recall_of_each_number(dataset, proposals):
    scores = evaluate_coco(dataset, proposals, "proposal_fast", proposal_nums=(1, 2), iou_thrs=[0.5], logger="silent")
    assert scores == pytest.approx({"AR@1": 2 / 3, "AR@2": 1.0})


def test_evaluate_coco_with_items_gives_only_them(dataset, perfect):
    scores = evaluate_coco(dataset, perfect, metric_items=["AR@100", "mAP_50"], logger="silent")
    assert list(scores) == ["bbox_AR@100", "bbox_mAP_50", "bbox_mAP_copypaste"]


def test_evaluate_coco_with_thresholds_as_array_finds_the_single_ones(dataset, perfect):
    scores = evaluate_coco(dataset, perfect, iou_thrs=np.array([0.5, 0.75]), logger="silent")
    assert (scores["bbox_mAP_50"], scores["bbox_mAP_75"]) == (1, 1)


def test_evaluate_coco_with_thresholds_as_list_leaves_the_single_ones_unmeasured(dataset, perfect):
    scores = evaluate_coco(dataset, perfect, iou_thrs=[0.5, 0.75], logger="silent")
    assert (scores["bbox_mAP"], scores["bbox_mAP_50"]) == (1, -1)


def test_evaluate_coco_classwise_prints_each_class(dataset, perfect, capsys):
    perfect[1][1] = NONE
    evaluate_coco(dataset, perfect, classwise=True)
    assert "| cat      | 1.000 | dog      | 0.000 |" in capsys.readouterr().out


def test_evaluate_coco_with_logger_writes_there_and_not_to_stdout(dataset, perfect, caplog, capsys):
    with caplog.at_level(logging.INFO, logger="metrics"):
        evaluate_coco(dataset, perfect, logger=logging.getLogger("metrics"))
    assert "AP @[ IoU=0.50:0.95 | area=   all | maxDets= 100 ] = 1.0000" in caplog.text
    assert capsys.readouterr().out == ""


def test_evaluate_coco_writes_result_files_when_asked(dataset, perfect_masks, tmp_path):
    evaluate_coco(dataset, perfect_masks, "segm", jsonfile_prefix=str(tmp_path / "out"), logger="silent")
    rows = json.loads((tmp_path / "out.segm.json").read_text())
    assert [row["category_id"] for row in rows] == [7, 7, 9]


def test_evaluate_coco_leaves_annotations_and_results_alone(dataset, perfect_masks):
    annotations, results = copy.deepcopy(dataset.coco.anns), copy.deepcopy(perfect_masks)
    evaluate_coco(dataset, perfect_masks, ["bbox", "segm"], logger="silent")
    assert dataset.coco.anns == annotations
    assert [masks for _, masks in perfect_masks] == [masks for _, masks in results]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"metric": "mAP"}, "metric mAP is not supported; expected some of bbox"),
        ({"metric_items": ["mAP_42"]}, "metric item mAP_42 is not supported"),
        ({"metric": "segm"}, "segm is not in results; this model yields bbox"),
        ({"metric": "proposal_fast"}, "proposal_fast is for proposals"),
    ],
)
def test_evaluate_coco_of_unknown_or_missing_things_is_a_key_error(dataset, perfect, options, message):
    with pytest.raises(KeyError, match=message):
        evaluate_coco(dataset, perfect, logger="silent", **options)


def test_evaluate_coco_with_other_number_of_images_is_refused(dataset, perfect):
    with pytest.raises(ValueError, match="2 results for a data set of 3 images"):
        evaluate_coco(dataset, perfect[:2], logger="silent")


def test_evaluate_coco_with_other_number_of_classes_says_what_to_do(dataset):
    with pytest.raises(ValueError, match=r"results have 80 classes but the data set has 2.*num_classes"):
        evaluate_coco(dataset, [[NONE] * 80] * 3, logger="silent")


def test_evaluate_coco_with_two_proposal_nums_is_refused(dataset, perfect):
    with pytest.raises(ValueError, match="three proposal_nums"):
        evaluate_coco(dataset, perfect, proposal_nums=(10, 100), logger="silent")


def test_dataset_evaluate_finds_the_metric_by_name(dataset, perfect):
    assert dataset.evaluate(perfect, logger="silent")["bbox_mAP"] == 1
