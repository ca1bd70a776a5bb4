from __future__ import annotations

import numpy as np
import pytest

from raydet.evaluation import evaluate_voc


def test_evaluate_voc_gives_the_mean_and_each_overlap(dataset, perfect):
    perfect[0][0][0, 3] = 34  # 24 of 40 rows: overlap 0.6
    scores = evaluate_voc(dataset, perfect, iou_thr=[0.5, 0.75], logger="silent")
    assert list(scores) == ["mAP", "AP50", "AP75"]
    assert (scores["AP50"], scores["AP75"]) == (1.0, 0.625)
    assert scores["mAP"] == pytest.approx((1 + 0.625) / 2)


def test_evaluate_voc_of_one_overlap_rounds_it_to_three_digits(dataset, perfect):
    assert evaluate_voc(dataset, perfect, ["mAP"], logger="silent") == {"mAP": 1.0, "AP50": 1.0}


def test_evaluate_voc_of_2007_averages_eleven_points(dataset, perfect):
    dataset.year = 2007
    dataset.CLASSES = tuple("abcdefghijklmnopqrst")
    perfect[0][0] = perfect[0][0][:0]
    results = [[*by_class, *[by_class[0][:0]] * 18] for by_class in perfect]
    scores = evaluate_voc(dataset, results, logger="silent")
    assert scores["mAP"] == pytest.approx((6 / 11 + 1) / 2)


def test_evaluate_voc_with_scale_ranges_prints_a_table_for_each(dataset, perfect, capsys):
    evaluate_voc(dataset, perfect, scale_ranges=[(0, 32), (32, 96)])
    assert capsys.readouterr().out.count("Scale range") == 2


def test_evaluate_voc_of_recall_gives_every_pair_and_their_mean(dataset, proposals):
    scores = evaluate_voc(dataset, proposals, "recall", proposal_nums=(1, 10), iou_thr=[0.5, 0.7], logger="silent")
    assert scores == pytest.approx(
        {
            "recall@1@0.5": 2 / 3,
            "recall@1@0.7": 2 / 3,
            "recall@10@0.5": 1,
            "recall@10@0.7": 1,
            "AR@1": 2 / 3,
            "AR@10": 1,
        }
    )


def test_evaluate_voc_of_unknown_metric_is_a_key_error(dataset, perfect):
    with pytest.raises(KeyError, match="metric bbox is not supported; expected one of mAP, recall"):
        evaluate_voc(dataset, perfect, "bbox")


def test_evaluate_voc_of_two_metrics_is_refused(dataset, perfect):
    with pytest.raises(ValueError, match="one metric"):
        evaluate_voc(dataset, perfect, ["mAP", "recall"])


def test_custom_dataset_finds_the_metric_by_name(tmp_path):
    from raydet.datasets import CustomDataset

    (tmp_path / "a.json").write_text(
        '[{"filename": "0.jpg", "width": 9, "height": 9, "ann": {"bboxes": [[0, 0, 8, 8]], "labels": [0]}}]'
    )
    dataset = CustomDataset(str(tmp_path / "a.json"), [], classes=("cat",), test_mode=True)
    result = [[np.array([[0, 0, 8, 8, 0.5]], dtype=np.float32)]]
    assert dataset.evaluate(result, logger="silent")["mAP"] == 1.0
