from __future__ import annotations

from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest

from raydet.datasets.coco_panoptic import CocoPanopticDataset
from raydet.evaluation.panoptic import evaluate_panoptic
from raydet.evaluation.panoptic_quality import Segments, compare, quality

DATA = Path(__file__).resolve().parents[2].parent / "shared" / "data"


def slow_counts(truth: Segments, found: Segments) -> dict[int, list[float]]:
    """The definition of the paper, pixel set by pixel set: hits, false alarms, misses and IoU by class."""
    counts: dict[int, list[float]] = defaultdict(lambda: [0, 0, 0, 0.0])
    void = truth.map == 0
    hit_truths, hit_found = set(), set()
    for t, f in np.ndindex(len(truth.ids), len(found.ids)):
        label = int(truth.labels[t])
        if truth.crowd[t] or label != found.labels[f]:
            continue
        true_mask, found_mask = truth.map == truth.ids[t], found.map == found.ids[f]
        iou = (true_mask & found_mask).sum() / (true_mask | (found_mask & ~void)).sum()
        if iou > 0.5:
            counts[label][0] += 1
            counts[label][3] += iou
            hit_truths.add(t)
            hit_found.add(f)
    for t in set(range(len(truth.ids))) - hit_truths:
        counts[int(truth.labels[t])][2] += not truth.crowd[t]
    for f in set(range(len(found.ids))) - hit_found:
        found_mask, crowds = found.map == found.ids[f], np.zeros_like(void)
        for t in np.flatnonzero(truth.crowd & (truth.labels == found.labels[f]))[-1:]:
            crowds = truth.map == truth.ids[t]
        counts[int(found.labels[f])][1] += (found_mask & (void | crowds)).sum() / found_mask.sum() <= 0.5
    return counts


def random_segments(random: np.random.Generator, crowds: bool) -> Segments:
    """Blocks of a 12 x 12 grid, so that segments often overlap by more than half."""
    ids = np.kron(random.integers(0, 7, (3, 3)), np.ones((4, 4), int))
    ids = np.where(random.random(ids.shape) < 0.1, random.integers(0, 7, ids.shape), ids)
    present, areas = np.unique(ids[ids > 0], return_counts=True)
    crowd = random.random(len(present)) < 0.3 if crowds else np.zeros(len(present), bool)
    return Segments(ids, present, present % 3, areas, crowd)


@pytest.mark.parametrize("seed", range(20))
def test_compare_agrees_with_the_definition(seed: int) -> None:
    random = np.random.default_rng(seed)
    truth = random_segments(random, crowds=True)
    found = random_segments(random, crowds=False)
    merged = np.where(random.random((3, 3)).repeat(4, 0).repeat(4, 1) < 0.7, truth.map, found.map)
    present, areas = np.unique(merged[merged > 0], return_counts=True)
    found = Segments(merged, present, present % 3, areas, np.zeros(len(present), bool))
    counts, expected = compare(truth, found, 3), slow_counts(truth, found)
    for label in range(3):
        ours = [each[label] for each in (counts.hits, counts.false_alarms, counts.misses, counts.iou)]
        assert ours == pytest.approx(expected[label], abs=1e-12)


def test_quality_of_a_class_multiplies_overlap_and_recognition() -> None:
    truth = np.zeros((10, 10), int)
    truth[:, :4], truth[:, 4:8] = 1, 2
    found = np.where(truth == 1, 1, 0)
    found[0, 0] = 0  # 39 of 40 pixels; segment 2 is missed
    ids = np.array([1, 2])
    labels, areas, crowd = np.array([0, 0]), np.array([40, 40]), np.zeros(2, bool)
    values = quality(
        compare(
            Segments(truth, ids, labels, areas, crowd),
            Segments(found, ids[:1], labels[:1], np.array([39]), crowd[:1]),
            2,
        )
    )
    assert (values.sq[0], values.rq[0]) == pytest.approx((39 / 40, 1 / 1.5))
    assert values.pq[0] == pytest.approx(values.sq[0] * values.rq[0])
    assert values.measured.tolist() == [True, False]


def test_compare_of_maps_of_different_size_raises() -> None:
    nothing = np.zeros(0, int)
    small, large = (Segments(np.zeros(size, int), *[nothing] * 3, nothing > 0) for size in ((2, 2), (3, 2)))
    with pytest.raises(ValueError, match=r"\(3, 2\) pixels for an image of \(2, 2\)"):
        compare(small, large, 1)


@pytest.fixture(scope="module")
def real() -> CocoPanopticDataset:
    root = DATA / "coco_mini"
    if not root.exists():
        pytest.skip("coco_mini is not at hand")
    dataset = CocoPanopticDataset(
        str(root / "panoptic_val.json"),
        [],
        ins_ann_file=str(root / "instances_val.json"),
        seg_prefix=str(root / "panoptic_val"),
        test_mode=True,
    )
    dataset._keep(range(10))
    return dataset


def perfect_result(dataset: CocoPanopticDataset, index: int) -> dict[str, np.ndarray]:
    """The truth as a result; crowds count as no segment."""
    ids, segments = dataset.segment_map(index), dataset.segments(index)
    found = np.full(ids.shape, len(dataset.CLASSES))
    for number, (segment, label, crowd) in enumerate(
        zip(segments["ids"], segments["labels"], segments["crowd"], strict=True), 1
    ):
        if not crowd:
            found[ids == segment] = label + 1000 * number * (label < 80)
    return {"pan_results": found}


def test_truth_as_result_is_perfect(real) -> None:
    results = [perfect_result(real, i) for i in range(len(real))]
    scores = real.evaluate(results, logger="silent")
    assert list(scores) == ["PQ", "SQ", "RQ", "PQ_th", "SQ_th", "RQ_th", "PQ_st", "SQ_st", "RQ_st"]
    assert list(scores.values()) == pytest.approx([100] * 9)


def test_number_of_processes_changes_nothing_and_classes_are_shown(real, capsys) -> None:
    results = [perfect_result(real, i) for i in range(len(real))]
    for result in results[::2]:
        result["pan_results"] = np.roll(result["pan_results"], 25, axis=1)
    one, many = (real.evaluate(results, "pq", classwise=True, nproc=nproc) for nproc in (1, 32))
    assert one == many
    assert 0 < one["PQ"] < 100
    shown = capsys.readouterr().out
    assert "Things" in shown
    assert "tree-merged" in shown


def test_instances_are_evaluated_on_their_own_file(real) -> None:
    instances = real.instances()
    assert instances.img_ids == real.img_ids
    results = [{"ins_results": _perfect_instances(instances, i)} for i in range(len(real))]
    scores = real.evaluate(results, ["bbox", "segm"], logger="silent")
    assert scores["bbox_mAP"] == pytest.approx(1)
    assert scores["segm_mAP"] == pytest.approx(1)


def _perfect_instances(dataset, index):
    info = dataset.get_ann_info(index)
    coco, numbers = dataset.coco, range(len(dataset.cat_ids))
    scored = np.concatenate([info["bboxes"], np.ones((len(info["bboxes"]), 1), np.float32)], axis=1)
    things = [each for each in coco.imgToAnns[dataset.img_ids[index]] if not each["iscrowd"]]
    return (
        [scored[info["labels"] == k] for k in numbers],
        [[coco.annToRLE(each) for each in things if dataset.cat2label[each["category_id"]] == k] for k in numbers],
    )


@pytest.mark.parametrize(
    ("metric", "results", "message"),
    [
        ("mAP", [{"pan_results": None}], "metric mAP is not supported"),
        ("PQ", [{"ins_results": None}], "needs pan_results of every image; this model yields ins_results"),
        ("segm", [[]], "needs ins_results of every image; this model yields list"),
    ],
)
def test_wrong_requests_say_what_is_missing(real, metric, results, message) -> None:
    with pytest.raises(KeyError, match=message):
        evaluate_panoptic(real, results * len(real), metric)
