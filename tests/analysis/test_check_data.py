from __future__ import annotations

import json
import pickle
import re

import numpy as np
import pytest
from pycocotools import mask as rle_tools

from raydet.analysis import KINDS, Report, check_config_data, html_page, scan, text_report
from raydet.config import Config

NAN = float("nan")
GOOD = {"size": [40, 60], "counts": [2395, 5]}


def test_good_data_has_no_findings(spoilt) -> None:
    spoilt.add(segmentation=GOOD, category_id=9)
    report = spoilt.scan()
    assert report.counts == {}
    assert (report.num_images, report.num_objects) == (3, 4)
    assert report.classes == {"cat": 3, "dog": 1}
    assert report.box_sizes == {"16-32": 4}


@pytest.mark.parametrize(
    ("change", "kind", "message"),
    [
        ({"bbox": [10, 10, 0, 20]}, "zero-size box", "10, 10, 10, 30"),
        ({"bbox": [10, 10, -5, 20]}, "zero-size box", "10, 10, 5, 30"),
        ({"bbox": [60, 10, 20, 20]}, "box outside", "60 x 40"),
        ({"bbox": [-30, 10, 20, 20]}, "box outside", "-30"),
        ({"bbox": [50, 10, 20, 20]}, "box beyond edge", "70"),
        ({"bbox": [NAN, 10, 20, 20]}, "not finite", "nan"),
        ({"bbox": [1, 2, 3, float("inf")]}, "not finite", "inf"),
        ({"bbox": [1, 2, 3]}, "broken record", "1, 2, 3"),
        ({"category_id": 8}, "unknown category", "category 8"),
        ({"image_id": 5}, "unknown image", "annotation 4 has image_id 5"),
        ({"id": 1}, "duplicate id", "annotation have the id 1"),
        ({"iscrowd": 1}, "crowd", "10, 10, 30, 30"),
        ({"segmentation": [[1, 2, 3, 4]]}, "wrong mask", "three points"),
        ({"segmentation": [[1, 2, 3, 4, NAN, 6]]}, "not finite", "NaN"),
        ({"segmentation": {**GOOD, "size": [60, 40]}}, "wrong mask", r"size \[60, 40\]"),
        ({"segmentation": {**GOOD, "counts": [2395, 6]}}, "wrong mask", "add up to 2401 pixels, the image has 2400"),
        ({"segmentation": {**GOOD, "counts": "abc é"}}, "wrong mask", "broken"),
        ({"segmentation": {**GOOD, "counts": "P"}}, "wrong mask", "end within a number"),
        ({"segmentation": "nothing"}, "wrong mask", "'nothing'"),
    ],
)
def test_fault_of_an_annotation_is_found(spoilt, change, kind, message) -> None:
    spoilt.add(**change)
    report = spoilt.scan()
    assert report.counts[kind] == 1
    assert re.search(message, report.examples[kind][0].message)
    assert set(report.counts) <= {kind, "data set"}


def test_fault_of_an_image_is_found(spoilt) -> None:
    first, second, third = (spoilt.folder / f"{i}.jpg" for i in (1, 2, 3))
    first.unlink()
    second.write_bytes(second.read_bytes()[:300])
    third.write_bytes(b"no image at all")
    report = spoilt.scan()
    assert report.counts == {"missing image": 1, "truncated image": 1, "undecodable image": 1}
    assert report.examples["truncated image"][0].image.endswith("2.jpg")


def test_wrong_size_and_empty_image_are_found(spoilt) -> None:
    spoilt.content["images"][1].update(width=40, height=60)
    del spoilt.content["annotations"][0]
    report = spoilt.scan()
    assert report.counts == {"wrong size": 1, "empty image": 1}
    assert report.examples["wrong size"][0].message == "60 x 40 pixels, annotated as 40 x 60"


def test_categories_that_are_not_used_are_noted(spoilt) -> None:
    report = spoilt.scan(classes=["dog"])
    assert report.counts == {"unused class": 3}
    assert report.num_errors == 0


def test_images_of_a_data_set_that_cannot_be_built_are_scanned_all_the_same(spoilt) -> None:
    spoilt.content["images"][1]["id"] = 1
    (spoilt.folder / "3.jpg").unlink()
    report = spoilt.scan()
    assert report.counts["data set"] == 1
    assert report.counts["duplicate id"] == 1
    assert report.counts["missing image"] == 1


@pytest.mark.parametrize("change", [{"images": [{"id": 1}]}, {"annotations": [{"id": 1, "image_id": 2}]}])
def test_records_without_the_needed_keys_are_found(spoilt, change) -> None:
    spoilt.content.update(change)
    assert spoilt.scan().counts["broken record"] == 1


def test_missing_annotation_file_is_one_error(spoilt) -> None:
    report = Report("x")
    scan({**spoilt.section(), "ann_file": "nowhere.json"}, report)
    assert report.counts == {"data set": 1}
    assert "nowhere.json" in report.examples["data set"][0].message


def test_any_data_set_is_scanned_through_its_public_interface(spoilt) -> None:
    boxes = np.array([[1, 1, 9, 9], [5, 5, 5, 9], [70, 1, 90, 9], [NAN, 1, 2, 3]], np.float32)
    record = {"filename": "1.jpg", "width": 60, "height": 40}
    records = [
        {**record, "ann": {"bboxes": boxes, "labels": np.array([0, 1, 0, 7])}},
        {**record, "filename": "2.jpg", "ann": {"labels": np.zeros(0, int)}},
    ]
    (spoilt.folder / "middle.pkl").write_bytes(pickle.dumps(records))
    report = spoilt.scan(type="CustomDataset", ann_file="middle.pkl")
    assert report.counts == {"zero-size box": 1, "box outside": 1, "not finite": 1, "broken record": 1}
    assert report.num_images == 2


def test_data_sets_of_other_files_that_keep_the_columns_of_coco_are_scanned_whole(spoilt) -> None:
    labels = spoilt.folder / "labels"
    labels.mkdir()
    for i, line in enumerate(("0 0.5 0.5 0.2 0.2", "0 0.5 0.5 0 0.2", ""), 1):
        (labels / f"{i}.txt").write_text(line)
    spoilt.scan()
    report = Report("yolo")
    folder = str(spoilt.folder)
    scan({"type": "YOLODataset", "ann_file": str(labels), "img_prefix": folder, "classes": ["cat"]}, report)
    assert report.counts == {"zero-size box": 1, "empty image": 1}
    assert report.classes == {"cat": 2}


def test_annotations_alone_are_scanned_without_images(spoilt) -> None:
    (spoilt.folder / "1.jpg").unlink()
    report = Report("x")
    scan(spoilt.section(), report, decode=False)
    assert report.counts == {}


def test_examples_are_few_and_counts_complete(spoilt) -> None:
    for number in range(4, 24):
        spoilt.add(id=number, bbox=[1, 1, 0, 0])
    report = spoilt.scan()
    assert report.counts["zero-size box"] == 20
    assert len(report.examples["zero-size box"]) == 5


def test_compressed_and_plain_run_lengths_of_real_masks_are_right(spoilt) -> None:
    random = np.random.default_rng(0)
    for number in range(4, 30):
        mask = random.random((40, 60)) > number / 30
        code = rle_tools.encode(np.asfortranarray(mask, np.uint8))
        spoilt.add(id=number, segmentation={"size": [40, 60], "counts": code["counts"].decode()})
    assert spoilt.scan().counts == {}


def test_config_with_wrappers_and_lists_gives_a_report_for_each_file(spoilt) -> None:
    section = spoilt.section()
    wrapped = {"type": "RepeatDataset", "times": 3, "dataset": {**section, "ann_file": ["instances.json"] * 2}}
    cfg = Config({"data": {"train": [wrapped, section], "val": section}})
    reports = check_config_data(cfg, ["train", "val"], num_workers=1)
    assert [each.num_images for each in reports] == [3, 3, 3, 3]
    with pytest.raises(ValueError, match=r"no data\.test"):
        check_config_data(cfg, ["test"])


def test_reports_as_text_json_and_page(spoilt) -> None:
    spoilt.add(bbox=[10, 10, 0, 20])
    (spoilt.folder / "2.jpg").unlink()
    spoilt.content["categories"][0]["name"] = "<cat>"
    report = spoilt.scan(classes=["<cat>"])
    text = text_report(report)
    assert "X zero-size box: 1" in text
    assert "X missing image: 1" in text
    plain = json.loads(json.dumps(report.as_dict()))
    assert plain["errors"] == 2
    assert plain["findings"]["zero-size box"]["examples"][0]["image"].endswith("3.jpg")
    page = html_page([report])
    assert page.count("data:image/jpeg;base64") == 1  # the missing image has none
    assert "&lt;cat&gt;" in page
    assert "<cat>" not in page
    assert not re.search(r"(src|href)='(?!data:)", page)


def test_every_kind_that_is_found_is_explained() -> None:
    assert all(KINDS.values())
