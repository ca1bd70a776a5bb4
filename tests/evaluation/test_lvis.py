"""LVIS: what was not looked for does not count, and what was not marked completely is not wrong."""

from __future__ import annotations

import contextlib
import io
import json
from pathlib import Path

import numpy as np
import pytest
from pycocotools import mask as rle_tools
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from raydet.datasets import CocoDataset, LVISV1Dataset
from raydet.evaluation import evaluate_lvis

RARE, COMMON, FREQUENT = 1, 2, 3
SIZE = 100
NONE = np.zeros((0, 5), np.float32)
HERE, ELSEWHERE = [10, 10, 50, 50], [60, 60, 90, 90]


def write(path, marked, absent=(), partial=()):
    """One image of `marked` objects, (category, xyxy)."""
    image = {
        "id": 1,
        "width": SIZE,
        "height": SIZE,
        "coco_url": "http://images.cocodataset.org/val2017/1.jpg",
        "file_name": "1.jpg",
        "neg_category_ids": list(absent),
        "not_exhaustive_category_ids": list(partial),
    }
    annotations = []
    for number, (category, (x1, y1, x2, y2)) in enumerate(marked, 1):
        box = [x1, y1, x2 - x1, y2 - y1]
        polygon = [x1, y1, x2, y1, x2, y2, x1, y2]
        common = {"id": number, "image_id": 1, "category_id": category, "iscrowd": 0}
        annotations.append({**common, "bbox": box, "area": box[2] * box[3], "segmentation": [polygon]})
    categories = [{"id": k, "name": f"c{k}", "frequency": f} for k, f in ((RARE, "r"), (COMMON, "c"), (FREQUENT, "f"))]
    (path / "lvis.json").write_text(
        json.dumps({"images": [image], "annotations": annotations, "categories": categories})
    )
    return LVISV1Dataset(str(path / "lvis.json"), [], test_mode=True)


def found(**by_class):
    """One result; boxes and scores by `rare`, `common` and `frequent`."""
    classes = [by_class.get(name, []) for name in ("rare", "common", "frequent")]
    return [[np.array([[*box, score] for box, score in each], np.float32).reshape(-1, 5) for each in classes]]


def ap(dataset, result, **options):
    return evaluate_lvis(dataset, result, logger="silent", **options)


def test_each_frequency_is_averaged_for_itself(tmp_path):
    dataset = write(tmp_path, [(RARE, HERE), (COMMON, HERE)])
    scores = ap(dataset, found(rare=[(HERE, 0.9)]))
    assert (scores["bbox_AP"], scores["bbox_APr"], scores["bbox_APc"], scores["bbox_APf"]) == (0.5, 1.0, 0.0, -1.0)
    assert (scores["bbox_AP50"], scores["bbox_APm"], scores["bbox_APs"]) == (0.5, 0.5, -1.0)
    assert scores["bbox_mAP_copypaste"].startswith("AP:0.5000 AP50:0.5000 AP75:0.5000")


@pytest.mark.parametrize(
    ("other", "expected"),
    [
        ({}, 0.5),
        ({"absent": [COMMON]}, 0.5),
        ({"partial": [RARE]}, 1.0),
    ],
)
def test_unmarked_detection_is_wrong_unless_the_class_is_marked_in_part(tmp_path, other, expected):
    dataset = write(tmp_path, [(RARE, HERE)], **other)
    assert ap(dataset, found(rare=[(ELSEWHERE, 0.9), (HERE, 0.8)]))["bbox_AP"] == expected


def test_classes_that_nobody_looked_for_do_not_count(tmp_path):
    marked = [(RARE, HERE), (COMMON, HERE)]
    result = found(rare=[(HERE, 0.9)], common=[(HERE, 0.9)], frequent=[(HERE, 0.9)])
    assert ap(write(tmp_path, marked), result)["bbox_AP"] == 1.0
    assert ap(write(tmp_path, marked, absent=[FREQUENT]), result)["bbox_AP"] == 1.0  # no object to measure it by


def test_only_the_best_300_of_an_image_count(tmp_path):
    dataset = write(tmp_path, [(RARE, HERE), (COMMON, HERE)], partial=[COMMON])
    crowd = [(ELSEWHERE, 0.5)] * 299
    assert ap(dataset, found(rare=[(HERE, 0.4)], common=crowd))["bbox_APr"] == 1.0
    assert ap(dataset, found(rare=[(HERE, 0.4)], common=[*crowd, (ELSEWHERE, 0.5)]))["bbox_APr"] == 0.0


def test_completely_marked_images_give_the_numbers_of_coco(tmp_path):
    random = np.random.default_rng(0)
    boxes = random.integers(0, 50, (12, 2))
    boxes = np.concatenate([boxes, boxes + random.integers(8, 50, (12, 2))], axis=1)
    kinds = random.integers(1, 4, 12)
    dataset = write(tmp_path, list(zip(kinds.tolist(), boxes.tolist(), strict=True)), absent=[1, 2, 3])
    moved = boxes + random.integers(-4, 5, boxes.shape)
    rows = np.concatenate([moved, random.random((12, 1))], axis=1).astype(np.float32)
    result = [[rows[kinds == k] for k in (1, 2, 3)]]
    coco = CocoDataset(dataset.ann_file, [], classes=dataset.CLASSES, test_mode=True)
    expected = coco.evaluate(result, logger="silent")
    scores = ap(dataset, result)
    assert 0 < scores["bbox_AP"] < 1
    assert [scores[f"bbox_AP{k}"] for k in ("", "50", "75", "s", "m", "l")] == [
        expected[f"bbox_mAP{k}"] for k in ("", "_50", "_75", "_s", "_m", "_l")
    ]


def test_masks_are_compared_and_files_are_written(tmp_path):
    dataset = write(tmp_path, [(RARE, HERE)])
    mask = np.zeros((SIZE, SIZE), np.uint8, order="F")
    mask[10:50, 10:50] = 1
    result = [(found(rare=[(ELSEWHERE, 0.9)])[0], [[rle_tools.encode(mask)], [], []])]
    scores = ap(dataset, result, metric=["bbox", "segm"], jsonfile_prefix=str(tmp_path / "out"))
    assert (scores["bbox_AP"], scores["segm_AP"]) == (0.0, 1.0)
    assert json.loads((tmp_path / "out.segm.json").read_text())[0]["category_id"] == RARE


def test_proposals_are_recalled_whatever_their_class(tmp_path):
    dataset = write(tmp_path, [(RARE, HERE), (FREQUENT, ELSEWHERE)])
    proposals = [np.array([[*HERE, 0.9]], np.float32)]
    scores = ap(dataset, proposals, metric=["proposal", "proposal_fast"])
    assert (scores["AR@300"], scores["AR@100"]) == (0.5, 0.5)
    assert (scores["ARs@300"], scores["ARm@300"], scores["ARl@300"]) == (0.0, 1.0, -1.0)


def test_classwise_table_and_single_items(tmp_path, capsys):
    dataset = write(tmp_path, [(RARE, HERE)])
    scores = evaluate_lvis(dataset, found(rare=[(HERE, 0.9)]), classwise=True, metric_items=["APr"])
    assert set(scores) == {"bbox_APr", "bbox_mAP_copypaste"}
    assert "c1" in capsys.readouterr().out


def test_nothing_found_and_unknown_names(tmp_path):
    dataset = write(tmp_path, [(RARE, HERE)])
    assert ap(dataset, found()) == {}
    with pytest.raises(KeyError, match="metric mAP is not supported"):
        ap(dataset, found(), metric="mAP")
    with pytest.raises(ValueError, match="2 results for a data set of 1 images"):
        ap(dataset, found() * 2)
    with pytest.raises(KeyError, match="segm is not in results"):
        ap(dataset, found(), metric="segm")


def oracle(dataset, rows):
    """The same by pycocotools: a crowd over the whole image takes what is left over where a class is marked in part."""
    truth = json.loads(Path(dataset.ann_file).read_text())
    images = {image["id"]: image for image in truth["images"]}
    present = {(each["image_id"], each["category_id"]) for each in truth["annotations"]}
    asked = present | {(i, k) for i, image in images.items() for k in image["neg_category_ids"]}
    whole = {"bbox": [-1000, -1000, 3000, 3000], "area": 9e6, "iscrowd": 1}
    for i, image in images.items():
        for k in image["not_exhaustive_category_ids"]:
            truth["annotations"].append({"id": len(truth["annotations"]) + 1, "image_id": i, "category_id": k, **whole})
    ground_truth = COCO()
    ground_truth.dataset = truth
    with contextlib.redirect_stdout(io.StringIO()):
        ground_truth.createIndex()
        found = ground_truth.loadRes([row for row in rows if (row["image_id"], row["category_id"]) in asked])
        engine = COCOeval(ground_truth, found, "bbox")
        engine.params.maxDets = [300]
        engine.evaluate()
        engine.accumulate()
    precision = engine.eval["precision"][:, :, :, 0, 0]
    return round(float(precision[precision > -1].mean()), 4)


@pytest.mark.parametrize("seed", range(5))
def test_many_images_give_what_pycocotools_gives_with_crowds(tmp_path, seed):
    random = np.random.default_rng(seed)
    images, annotations = [], []
    for i in range(1, 13):
        absent, partial = (random.choice([1, 2, 3], random.integers(0, 3), replace=False).tolist() for _ in range(2))
        images.append(
            {
                "id": i,
                "width": SIZE,
                "height": SIZE,
                "coco_url": f"http://images.cocodataset.org/val2017/{i}.jpg",
                "neg_category_ids": absent,
                "not_exhaustive_category_ids": partial,
            }
        )
        for _ in range(random.integers(1, 8)):
            box = [*random.integers(0, 60, 2).tolist(), *random.integers(4, 40, 2).tolist()]
            more = {"image_id": i, "category_id": int(random.integers(1, 4)), "iscrowd": 0, "segmentation": []}
            annotations.append({"id": len(annotations) + 1, "bbox": box, "area": box[2] * box[3], **more})
    categories = [{"id": k, "name": f"c{k}", "frequency": "r"} for k in (1, 2, 3)]
    path = tmp_path / "many.json"
    path.write_text(json.dumps({"images": images, "annotations": annotations, "categories": categories}))
    dataset = LVISV1Dataset(str(path), [], test_mode=True)
    results = [[NONE, NONE, NONE] for _ in images]
    for each in annotations * 2:
        x, y, w, h = np.array(each["bbox"]) + random.integers(-3, 4, 4)
        row = np.array([[x, y, x + w, y + h, random.random()]], np.float32)
        label = each["category_id"] - 1 if random.random() < 0.8 else int(random.integers(0, 3))
        classes = results[each["image_id"] - 1]
        classes[label] = np.concatenate([classes[label], row])
    assert ap(dataset, results)["bbox_AP"] == oracle(dataset, dataset._det2json(results))
