"""Evaluating in shares gives the numbers of evaluating as a whole, however images are shared."""

from __future__ import annotations

import json

import cv2
import numpy as np
import pytest

from raydet.datasets import CocoDataset, LVISV1Dataset
from raydet.evaluation.shares import can_share, evaluate_share
from raydet.structures.masks import encode_bitmaps

NUM_IMAGES, NUM_CLASSES, SIZE = 13, 3, 200


def ellipse(random):
    mask = np.zeros((SIZE, SIZE), np.uint8)
    centre, axes = random.integers(40, SIZE - 40, 2).tolist(), random.integers(3, 40, 2).tolist()
    cv2.ellipse(mask, centre, axes, 0, 0, 360, 1, -1)
    ys, xs = np.nonzero(mask)
    return mask, [xs.min(), ys.min(), xs.max() + 1, ys.max() + 1]


def shifted(mask, box, dx):
    return np.roll(mask, dx, axis=1), [box[0] + dx, box[1], box[2] + dx, box[3]]


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """An annotation file, and results with masks that find some of its objects; several share a score."""
    random = np.random.default_rng(0)
    annotations, results = [], []
    for image in range(NUM_IMAGES):
        boxes, masks = [[] for _ in range(NUM_CLASSES)], [[] for _ in range(NUM_CLASSES)]
        for _ in range(random.integers(0, 6)):
            mask, box = ellipse(random)
            label = int(random.integers(NUM_CLASSES))
            [code] = encode_bitmaps([mask])
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": 100 - image,
                    "category_id": label + 1,
                    "bbox": [int(box[0]), int(box[1]), int(box[2] - box[0]), int(box[3] - box[1])],
                    "area": int(mask.sum()),
                    "iscrowd": int(random.random() < 0.1),
                    "segmentation": {**code, "counts": code["counts"].decode()},
                }
            )
            for dx in random.integers(0, 8, 2).tolist():
                near, moved = shifted(mask, box, dx)
                boxes[label].append([*moved, random.integers(1, 5) / 5])
                masks[label].append(near)
        arrays = [np.array(each, np.float32).reshape(-1, 5) for each in boxes]
        results.append((arrays, [encode_bitmaps(each) for each in masks]))
    images = [
        {
            "id": 100 - i,
            "width": SIZE,
            "height": SIZE,
            "file_name": f"{i}.png",
            "coco_url": f"http://images.cocodataset.org/val2017/{i}.jpg",
            "neg_category_ids": [1],
            "not_exhaustive_category_ids": [2],
        }
        for i in range(NUM_IMAGES)
    ]
    categories = [{"id": i, "name": f"class {i}", "frequency": "rcf"[i - 1]} for i in (1, 2, 3)]
    path = tmp_path_factory.mktemp("shares") / "objects.json"
    path.write_text(json.dumps({"images": images, "annotations": annotations, "categories": categories}))
    return str(path), results


def dataset_of(kind, path, **more):
    return kind(path, [], classes=["class 1", "class 2", "class 3"], test_mode=True, **more)


def evaluate_in_shares(dataset, results, world, **options):
    """What the process has that all others send their shares to; each has each world-th image."""
    sent = []
    for rank in range(world):
        positions = range(rank, len(dataset), world)
        last = rank == world - 1

        def gather(share, last=last):
            sent.append(share)
            return sent if last else None

        share = results[rank::world]
        scores = evaluate_share(dataset, share, positions, gather, logger="silent", **options)
        assert (scores is not None) == last
    return scores


def proposals_of(results):
    return [np.concatenate(boxes) for boxes, _ in results]


@pytest.mark.parametrize("world", [1, 2, 3, NUM_IMAGES + 2])
@pytest.mark.parametrize("kind", [CocoDataset, LVISV1Dataset])
def test_boxes_and_masks_in_shares_have_the_numbers_of_the_whole(files, kind, world):
    path, results = files
    dataset = dataset_of(kind, path)
    metrics = ["bbox", "segm", "proposal"]
    whole = dataset.evaluate(results, metric=metrics, logger="silent")
    shared = evaluate_in_shares(dataset, results, world, metric=metrics)
    assert shared == whole
    assert list(shared) == list(whole)
    assert 0 < next(iter(whole.values())) < 1


@pytest.mark.parametrize("world", [1, 2])
def test_proposals_in_shares_have_the_numbers_of_the_whole(files, world):
    path, results = files
    dataset, found = dataset_of(CocoDataset, path), proposals_of(results)
    options = {"metric": "proposal", "metric_items": ["AR@100", "AR_m@1000"]}
    whole = dataset.evaluate(found, logger="silent", **options)
    assert evaluate_in_shares(dataset, found, world, **options) == whole
    assert 0 < whole["AR@100"] < 1


def test_a_changed_index_counts_in_shares(files):
    path, results = files
    dataset = dataset_of(CocoDataset, path)
    for annotation in dataset.coco.anns.values():
        annotation["iscrowd"] = 0
    assert evaluate_in_shares(dataset, results, 2) == dataset.evaluate(results, logger="silent")


def test_shares_without_detections_give_nothing(files):
    dataset = dataset_of(CocoDataset, files[0])
    nothing = [[np.zeros((0, 5), np.float32)] * NUM_CLASSES] * NUM_IMAGES
    assert evaluate_in_shares(dataset, nothing, 2) == {}


def test_results_without_masks_have_no_segm_in_shares_either(files):
    path, results = files
    with pytest.raises(KeyError, match="segm is not in results; this model yields bbox, proposal"):
        evaluate_in_shares(dataset_of(CocoDataset, path), [boxes for boxes, _ in results], 2, metric="segm")


def test_only_what_dataset_evaluate_does_itself_can_be_shared(files):
    class Own(CocoDataset):
        def evaluate(self, results, **options):
            return {"own": 1.0}

    class OwnMetric(CocoDataset):
        METRIC = "mine"

    path = files[0]
    dataset = dataset_of(CocoDataset, path)
    assert can_share(dataset)
    assert can_share(dataset_of(LVISV1Dataset, path), metric=["bbox", "segm"], classwise=True)
    assert not can_share(dataset, metric="proposal_fast")
    assert not can_share(dataset, jsonfile_prefix="out/results")
    assert not can_share(dataset_of(Own, path))
    assert not can_share(dataset_of(OwnMetric, path))
