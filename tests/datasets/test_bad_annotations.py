"""Every fault of a sample under every policy, and on two ranks."""

from __future__ import annotations

import json
import logging
import pickle
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from raydet.datasets import BadSamplePolicy, BatchReader, CocoDataset, CustomDataset, IndexPlan, build_carrier
from raydet.datasets.bad_samples import BAD_SAMPLES
from raydet.transforms import BadSampleError

GOOD = {"bboxes": np.array([[5, 5, 25, 25]], np.float32), "labels": np.array([0]), "masks": [[[5, 5, 25, 5, 25, 25]]]}
RLE = {"size": [40, 60], "counts": [2000, 400]}
FAULTS: dict[str, tuple[dict[str, Any], str]] = {
    "zero-size box": ({"bboxes": np.array([[5, 5, 5, 25]], np.float32)}, "1 of 1 boxes have no area"),
    "box outside": ({"bboxes": np.array([[70, 5, 90, 25]], np.float32)}, "1 of 1 boxes lie outside the image"),
    "NaN": ({"bboxes": np.array([[5, np.nan, 25, 25]], np.float32)}, "1 of 1 boxes are NaN or infinite"),
    "unknown category": ({"labels": np.array([2])}, "label 2, there are 2 classes"),
    "RLE of another size": ({"masks": [{**RLE, "size": [60, 40]}]}, r"size \[60, 40\]"),
    "RLE with too few pixels": ({"masks": [{**RLE, "counts": [2000, 300]}]}, "2300 pixels, the image has 2400"),
    "RLE that is no RLE": ({"masks": [{**RLE, "counts": "~~"}]}, "broken"),
    "polygon with NaN": ({"masks": [[[5, 5, 25, 5, 25, float("nan")]]]}, "NaN"),
    "missing": ({}, "does not exist|cannot be read"),
    "truncated": ({}, "is cut short"),
}
PIPELINE = [
    {"type": "LoadImageFromFile"},
    {"type": "LoadAnnotations", "with_mask": True},
    {"type": "DefaultFormatBundle"},
    {"type": "Collect", "keys": ["img", "gt_bboxes", "gt_labels", "gt_masks"], "meta_keys": ["ori_filename"]},
]
BAD = 2
"""Index of the bad one of the six images."""


@pytest.fixture
def make(tmp_path: Path):
    """A data set of six images with one object each, of which one is bad."""

    def build(fault: str) -> CustomDataset:
        records = []
        for i in range(6):
            ann = {**GOOD, **(FAULTS[fault][0] if i == BAD else {})}
            records.append({"filename": f"{i}.png", "width": 60, "height": 40, "ann": ann})
            cv2.imwrite(str(tmp_path / f"{i}.png"), np.full((40, 60, 3), 10 * i + 1, np.uint8))
        path = tmp_path / f"{BAD}.png"
        if fault == "missing":
            path.unlink()
        if fault == "truncated":
            path.write_bytes(path.read_bytes()[:60])
        (tmp_path / "records.pkl").write_bytes(pickle.dumps(records))
        return CustomDataset(str(tmp_path / "records.pkl"), PIPELINE, classes=("cat", "dog"), img_prefix=str(tmp_path))

    return build


@pytest.mark.parametrize("fault", FAULTS)
def test_fail_says_what_is_wrong_with_which_file(make, fault) -> None:
    with pytest.raises(BadSampleError, match=FAULTS[fault][1]) as error:
        BatchReader(make(fault))([(BAD, 1)])
    assert "2.png" in str(error.value)
    assert "data.bad_samples" in str(error.value)


@pytest.mark.parametrize("fault", FAULTS)
def test_skip_takes_a_good_sample_and_records_the_bad_one(make, fault) -> None:
    batch = BatchReader(make(fault), BadSamplePolicy("skip"))([(BAD, 1), (0, 2)])
    assert batch["img_metas"][0]["ori_filename"] != "2.png"
    assert len(batch["gt_bboxes"][0]) == 1
    [record] = batch[BAD_SAMPLES]
    assert record["index"] == BAD
    assert record["file"].endswith("2.png")


@pytest.mark.parametrize("fault", FAULTS)
def test_placeholder_is_black_and_without_objects(make, fault) -> None:
    batch = BatchReader(make(fault), BadSamplePolicy("placeholder"))([(BAD, 1)])
    assert batch["img_metas"][0]["ori_filename"] == "2.png"
    assert batch["img"].shape[-2:] == (40, 60) or batch["img"].shape[1:3] == (40, 60)
    assert not batch["img"].any()
    assert len(batch["gt_bboxes"][0]) == len(batch["gt_masks"][0]) == 0
    assert len(batch[BAD_SAMPLES]) == 1


@pytest.mark.parametrize("kind", ["skip", "placeholder"])
def test_two_ranks_replace_as_one_would_and_stay_in_step(make, tmp_path, kind) -> None:
    dataset = make("truncated")
    data = {
        "samples_per_gpu": 1,
        "workers_per_gpu": 0,
        "bad_samples": {"policy": kind, "quota": 0.5},
    }
    run = tmp_path / "run"
    options = {"world_size": 2, "seed": 3, "work_dir": str(run)}
    ranks = [build_carrier(dataset, data, rank=rank, **options) for rank in (0, 1)]
    shown = [[batch["img_metas"][0]["ori_filename"] for batch in carrier.iterate(0)] for carrier in ranks]
    assert len(shown[0]) == len(shown[1]) == 3

    plan = IndexPlan.of(dataset, 1, world_size=2, seed=3, order="grouped")
    reader = BatchReader(dataset, BadSamplePolicy(kind))
    draws = [[plan.draws(0, rank, batch) for batch in range(3)] for rank in (0, 1)]
    expected = [[reader(each)["img_metas"][0]["ori_filename"] for each in of_rank] for of_rank in draws]
    assert shown == expected

    files = [run / "bad_samples.jsonl", run / "bad_samples.rank1.jsonl"]
    records = [json.loads(line) for path in files if path.exists() for line in path.read_text().splitlines()]
    bad_draws = sum(draw[0] == BAD for of_rank in draws for [draw] in of_rank)
    assert [record["index"] for record in records] == [BAD] * bad_draws
    assert bad_draws >= 1


def test_run_ends_when_more_than_the_quota_is_bad(make, tmp_path) -> None:
    dataset = make("NaN")
    for i in (0, 1, 3):
        (tmp_path / f"{i}.png").unlink()
    data = {"samples_per_gpu": 1, "workers_per_gpu": 0, "bad_samples": {"policy": "placeholder", "quota": 0.1}}
    carrier = build_carrier(dataset, data, seed=0, work_dir=str(tmp_path / "run"))
    with pytest.raises(BadSampleError, match=r"samples are bad, data\.bad_samples\.quota allows 10\.00%"):
        list(carrier.iterate(0))
    assert (tmp_path / "run" / "bad_samples.jsonl").is_file()


def test_coco_leaves_unusable_boxes_out_as_2x_does_and_says_so(coco_content, write_coco, caplog) -> None:
    first, second, third = coco_content["annotations"][1:4]
    first["bbox"], second["bbox"], third["bbox"] = [5, 5, 0, 9], [500, 5, 9, 9], [5, float("nan"), 9, 9]
    with caplog.at_level(logging.WARNING, "raydet"):
        dataset = CocoDataset(write_coco(coco_content), [], classes=("cat", "dog"))
    assert "3 of 15 boxes are not used" in caplog.text
    assert all(np.isfinite(dataset.get_ann_info(i)["bboxes"]).all() for i in range(len(dataset)))


def test_coco_file_with_an_unknown_category_is_refused_as_a_whole(coco_content, write_coco) -> None:
    coco_content["annotations"][0]["category_id"] = 99
    with pytest.raises(ValueError, match=r"instances\.json: annotation 1 has category_id 99"):
        CocoDataset(write_coco(coco_content), [])
