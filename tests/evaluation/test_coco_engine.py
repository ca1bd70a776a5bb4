from __future__ import annotations

import contextlib
import copy
import io
from dataclasses import replace

import numpy as np
import pytest
from pycocotools import mask as rle_tools
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from raydet.datasets.coco_reader import make_table
from raydet.evaluation.coco_columns import found_in, mask_areas, take, truths_of
from raydet.evaluation.coco_engine import accumulate, compute_curves
from raydet.evaluation.coco_matching import Request, match_shard, merge

SIDE = 160
COCO_THRESHOLDS = np.linspace(0.5, 0.95, 10)


def random_set(seed, num_images=12, first_id=1, scores=5):
    """Annotations and detections on a coarse grid: equal overlaps, equal scores, crowds, sizes on the bounds."""
    rng = np.random.default_rng(seed)
    images = [{"id": int(i), "width": SIDE, "height": SIDE} for i in rng.permutation(num_images) * 7 + 3]
    annotations, rows = [], []
    for image in images[1:]:
        kinds = rng.choice([2, 3, 9], 2, replace=False)
        for _ in range(rng.integers(0, 6)):
            box = [int(v) for v in [*rng.integers(0, 8, 2) * 8, *rng.choice([16, 32, 64, 96], 2)]]
            annotation = {"image_id": image["id"], "category_id": int(rng.choice(kinds)), "bbox": box}
            annotation |= {
                "iscrowd": int(rng.random() < 0.15),
                "area": float(rng.choice([box[2] * box[3], 1024, 9216])),
            }
            annotations.append({**annotation, "id": first_id + len(annotations), "segmentation": polygon(box)})
            for _ in range(rng.integers(0, 4)):
                near = [int(v) for v in np.array(box) + rng.integers(-1, 2, 4) * 4]
                rows.append(detection(image["id"], annotation["category_id"], near, rng.integers(scores) / scores))
        for _ in range(rng.integers(0, 4)):
            box = [*rng.integers(0, 60, 2), *rng.integers(1, 99, 2)]
            rows.append(detection(image["id"], int(rng.choice([2, 3, 4])), box, rng.random()))
    categories = [{"id": k, "name": str(k)} for k in (9, 2, 3, 4)]
    index = COCO()
    index.dataset = {"images": images, "annotations": annotations, "categories": categories}
    with contextlib.redirect_stdout(io.StringIO()):
        index.createIndex()
    return index, [rows[i] for i in rng.permutation(len(rows))]


def polygon(box):
    x, y, width, height = box
    return [[x, y, x + width, y, x + width, y + height, x, y + height]]


def detection(image, category, box, score):
    x, y, width, height = (int(v) for v in box)
    mask = np.zeros((SIDE, SIDE), np.uint8, order="F")
    mask[max(y, 0) : y + height, max(x, 0) : x + width] = 1
    row = {"image_id": image, "category_id": category, "bbox": [x, y, width, height], "score": float(score)}
    return {**row, "segmentation": rle_tools.encode(mask)}


def request_for(index, iou_type="bbox", iou_thrs=COCO_THRESHOLDS, max_dets=(1, 10, 100), use_categories=True):
    return Request(iou_type, index.getImgIds(), index.getCatIds(), iou_thrs, max_dets, use_categories)


def by_pycocotools(index, rows, request):
    rows = [{k: v for k, v in row.items() if k != "bbox" or request.iou_type == "bbox"} for row in rows]
    with contextlib.redirect_stdout(io.StringIO()):
        engine = COCOeval(index, index.loadRes(copy.deepcopy(rows)), request.iou_type)
        engine.params.iouThrs, engine.params.maxDets = request.iou_thrs, list(request.max_dets)
        engine.params.useCats = int(request.use_categories)
        engine.evaluate()
        engine.accumulate()
    return engine.eval


def assert_same(index, rows, request):
    curves = compute_curves(truths_of(index, request.iou_type), found_in(rows, request.iou_type), request)
    expected = by_pycocotools(index, rows, request)
    np.testing.assert_array_equal(curves.precision, expected["precision"])
    np.testing.assert_array_equal(curves.recall, expected["recall"])


@pytest.mark.parametrize("seed", range(12))
def test_curves_of_boxes_are_those_of_pycocotools(seed):
    index, rows = random_set(seed)
    assert_same(index, rows, request_for(index))


@pytest.mark.parametrize("seed", range(4))
def test_curves_of_masks_are_those_of_pycocotools(seed):
    index, rows = random_set(seed)
    assert_same(index, rows, request_for(index, "segm"))


@pytest.mark.parametrize("seed", range(4))
def test_curves_without_categories_are_those_of_pycocotools(seed):
    index, rows = random_set(seed)
    assert_same(index, rows, request_for(index, max_dets=(2, 5, 1000), use_categories=False))


def test_curves_with_more_lanes_than_a_word_has_are_those_of_pycocotools():
    index, rows = random_set(3)
    assert_same(index, rows, request_for(index, iou_thrs=np.linspace(0.05, 1.0, 40)))


def test_curves_of_unsorted_thresholds_are_those_of_pycocotools():
    index, rows = random_set(4)
    assert_same(index, rows, request_for(index, iou_thrs=np.array([0.9, 0.3, 0.5])))


def test_annotation_with_id_zero_counts_as_in_pycocotools():
    index, rows = random_set(5, first_id=0)
    assert_same(index, rows, request_for(index))


def test_one_detection_or_none_at_all_is_no_special_case():
    index, rows = random_set(6)
    request = request_for(index)
    assert_same(index, rows[:1], request)
    nothing = compute_curves(truths_of(index), found_in([]), request)
    assert set(np.unique(nothing.recall)) == {-1, 0}


def test_detections_of_unknown_images_and_categories_are_left_out():
    index, rows = random_set(7)
    request = request_for(index)
    strangers = [{**rows[0], "image_id": 5, "score": 1.0}, {**rows[0], "category_id": 77, "score": 1.0}]
    known = compute_curves(truths_of(index), found_in(rows), request)
    more = compute_curves(truths_of(index), found_in(strangers + rows), request)
    np.testing.assert_array_equal(more.precision, known.precision)


@pytest.mark.parametrize("num_shards", [2, 3, 12])
@pytest.mark.parametrize("use_categories", [True, False])
def test_shards_give_the_curves_of_the_whole_in_any_order(num_shards, use_categories):
    index, rows = random_set(8, scores=2)
    request = request_for(index, use_categories=use_categories)
    truths, found = truths_of(index), found_in(rows)
    shards = []
    for number in reversed(range(num_shards)):
        images = request.image_ids[number::num_shards]
        own = take(found, np.flatnonzero(np.isin(found.images, images)))
        shards.append(match_shard(truths, own, replace(request, image_ids=images)))
    whole, parts = compute_curves(truths, found, request), accumulate(merge(shards), request)
    np.testing.assert_array_equal(parts.precision, whole.precision)
    np.testing.assert_array_equal(parts.recall, whole.recall)


def test_spared_detections_are_not_wrong_where_they_match_nothing():
    index, rows = random_set(9)
    truths, found = truths_of(index), found_in(rows)
    rows_without_match = [row for row in rows if not any(_touch(row, ann) for ann in index.anns.values())]
    lost = np.array([any(row is each for each in rows_without_match) for row in rows])
    spared = compute_curves(truths, replace(found, spared=lost), request_for(index))
    without = compute_curves(truths, take(found, np.flatnonzero(~lost)), request_for(index))
    np.testing.assert_array_equal(spared.precision[..., -1], without.precision[..., -1])


def _touch(row, annotation):
    same = row["image_id"] == annotation["image_id"] and row["category_id"] == annotation["category_id"]
    return same and rle_tools.iou([row["bbox"]], [annotation["bbox"]], [0])[0, 0] > 0


def test_threshold_of_zero_is_refused():
    index, rows = random_set(0)
    with pytest.raises(ValueError, match="iou_thrs must be above 0"):
        compute_curves(truths_of(index), found_in(rows), request_for(index, iou_thrs=np.array([0.0, 0.5])))


def test_truths_of_a_table_are_those_of_the_index():
    index, _ = random_set(10)
    for annotation in index.dataset["annotations"][::2]:  # every other one as lengths of runs
        annotation["segmentation"] = {"size": [SIDE, SIDE], "counts": [5, 100, SIDE * SIDE - 105]}
    images = [{**image, "file_name": str(image["id"])} for image in index.dataset["images"]]
    table = truths_of(make_table({**index.dataset, "images": images}, "memory"), "segm")
    listed = truths_of(index, "segm")
    by_id, listed_by_id = (take(each, np.argsort(each.ids)) for each in (table, listed))
    for name, values in vars(by_id).items():
        expected = getattr(listed_by_id, name)
        assert values == expected if name == "masks" else np.array_equal(values, expected)


def test_truths_without_masks_say_so_when_masks_are_compared():
    index, _ = random_set(10)
    for annotation in index.dataset["annotations"]:
        del annotation["segmentation"]
    images = [{**image, "file_name": str(image["id"])} for image in index.dataset["images"]]
    with pytest.raises(ValueError, match="has no segmentation"):
        truths_of(make_table({**index.dataset, "images": images}, "memory"), "segm")


def test_mask_areas_of_many_masks():
    masks = [detection(1, 1, [0, 0, 4, size % 9 + 1], 1)["segmentation"] for size in range(600)]
    assert mask_areas(masks).tolist() == [4 * (size % 9 + 1) for size in range(600)]
