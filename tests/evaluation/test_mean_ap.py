from __future__ import annotations

import numpy as np
import pytest

from raydet.evaluation import eval_map, tpfp_default, tpfp_imagenet, tpfp_openimages

SMALL, LARGE, FAR = [0, 0, 10, 10], [20, 20, 60, 60], [100, 0, 110, 10]
NOTHING = np.zeros((0, 4), dtype=np.float32)


def rows(*values):
    return np.array(values, dtype=np.float32)


def truth(objects, labels, **more):
    return {"bboxes": rows(*objects), "labels": np.array(labels), **more}


RESULTS = [[rows([*SMALL, 0.9], [*FAR, 0.8]), rows([*LARGE, 0.7])]]
TRUTHS = [truth([SMALL, LARGE, LARGE], [0, 0, 1])]


def test_eval_map_averages_over_classes():
    mean_ap, per_class = eval_map(RESULTS, TRUTHS, logger="silent")
    assert mean_ap == pytest.approx(0.75)
    assert [each["num_gts"] for each in per_class] == [2, 1]
    np.testing.assert_allclose(per_class[0]["recall"], [0.5, 0.5])
    np.testing.assert_allclose(per_class[0]["precision"], [1, 0.5])


def test_eval_map_with_voc07_takes_eleven_points():
    results = [[*RESULTS[0], *[np.zeros((0, 5), dtype=np.float32)] * 18]]
    _, per_class = eval_map(results, TRUTHS, dataset="voc07", logger="silent")
    assert per_class[0]["ap"] == pytest.approx(6 / 11)


def test_eval_map_with_scale_ranges_measures_each():
    means, per_class = eval_map(RESULTS, TRUTHS, scale_ranges=[(0, 20), (20, 100)], logger="silent")
    assert means == pytest.approx([1.0, 0.5])
    np.testing.assert_array_equal(per_class[0]["num_gts"], [1, 1])


def test_eval_map_does_not_count_classes_without_objects():
    mean_ap, _ = eval_map([[RESULTS[0][0], RESULTS[0][1]]], [truth([SMALL], [0])], logger="silent")
    assert mean_ap == pytest.approx(1.0)


def test_eval_map_without_any_detection_is_zero():
    mean_ap, per_class = eval_map([[np.zeros((0, 5))]], [truth([SMALL], [0])], logger="silent")
    assert (mean_ap, per_class[0]["num_dets"]) == (0.0, 0)


def test_eval_map_leaves_detections_of_ignored_objects_out():
    annotation = truth([LARGE], [0], bboxes_ignore=rows(SMALL), labels_ignore=np.array([0]))
    mean_ap, _ = eval_map([[rows([*SMALL, 0.9], [*LARGE, 0.5])]], [annotation], logger="silent")
    assert mean_ap == pytest.approx(1.0)


def test_eval_map_in_two_processes_gives_the_same():
    serial, _ = eval_map(RESULTS * 3, TRUTHS * 3, logger="silent")
    parallel, _ = eval_map(RESULTS * 3, TRUTHS * 3, logger="silent", nproc=2)
    assert serial == parallel


def test_eval_map_prints_a_row_for_each_class(capsys):
    eval_map(RESULTS, TRUTHS, dataset=["cat", "dog"])
    printed = capsys.readouterr().out
    assert "| cat   | 2   | 2    | 0.500  | 0.500 |" in printed
    assert "| mAP   |     |      |        | 0.750 |" in printed


def test_eval_map_with_other_number_of_images_is_refused():
    with pytest.raises(ValueError, match="results of 1 images but annotations of 2"):
        eval_map(RESULTS, TRUTHS * 2, logger="silent")


def test_eval_map_with_rule_that_is_no_function_is_refused():
    with pytest.raises(ValueError, match="tpfp_fn"):
        eval_map(RESULTS, TRUTHS, tpfp_fn="default", logger="silent")


def test_tpfp_default_gives_an_object_to_its_best_detection_only():
    tp, fp = tpfp_default(rows([*SMALL, 0.5], [*SMALL, 0.9]), rows(SMALL))
    np.testing.assert_array_equal([tp[0], fp[0]], [[0, 1], [1, 0]])


def test_tpfp_default_without_objects_marks_all_wrong():
    tp, fp = tpfp_default(rows([*SMALL, 0.5]), NOTHING)
    assert (tp.sum(), fp.sum()) == (0, 1)


def test_tpfp_default_by_area_leaves_detections_of_other_sizes_out():
    tp, fp = tpfp_default(rows([*FAR, 0.5]), rows(LARGE), area_ranges=[(0, 400), (400, 1e4)])
    np.testing.assert_array_equal([tp[:, 0], fp[:, 0]], [[0, 0], [1, 0]])


def test_tpfp_imagenet_takes_the_next_free_object():
    pair = rows([20, 20, 60, 60], [22, 20, 62, 60])
    tp, _ = tpfp_imagenet(rows([20, 20, 60, 60, 0.9], [20, 20, 60, 60, 0.8]), pair)
    np.testing.assert_array_equal(tp, [[1, 1]])


def test_tpfp_openimages_counts_detections_in_a_group_once():
    group = [0, 0, 100, 100]
    detections = rows([10, 10, 20, 20, 0.3], [30, 30, 40, 40, 0.6], [200, 0, 210, 10, 0.5])
    tp, fp, kept = tpfp_openimages(detections, rows(group), gt_bboxes_group_of=np.array([True]))
    np.testing.assert_array_equal([tp[0], fp[0]], [[0, 1], [1, 0]])
    np.testing.assert_allclose(kept[:, 4], [0.5, 0.6])


def test_tpfp_openimages_with_groups_and_area_ranges_is_refused():
    with pytest.raises(ValueError, match="scale_ranges"):
        tpfp_openimages(rows([*SMALL, 1]), rows(SMALL), area_ranges=[(0, 9)], gt_bboxes_group_of=np.array([True]))
