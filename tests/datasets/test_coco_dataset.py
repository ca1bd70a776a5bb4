from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest

from raydet.datasets import CocoDataset, build_dataset


def test_coco_for_training_leaves_out_images_without_objects(make_coco) -> None:
    dataset = make_coco()
    assert dataset.img_ids == [2, 3, 4, 5, 6]
    assert dataset.flag.tolist() == [0, 1, 0, 0, 1]


def test_coco_for_tests_keeps_all_images(make_coco) -> None:
    assert make_coco(test_mode=True).img_ids == [1, 2, 3, 4, 5, 6]


def test_coco_labels_follow_the_order_of_the_file(make_coco) -> None:
    dataset = make_coco(classes=["dog", "cat"])
    assert dataset.cat_ids == [7, 3]
    assert dataset.cat2label == {7: 0, 3: 1}


def test_coco_of_one_class_keeps_images_that_show_it(make_coco) -> None:
    dataset = make_coco(classes=["dog"])
    assert dataset.img_ids == [3, 4, 5, 6]
    assert dataset.get_ann_info(0)["labels"].tolist() == [0]


def test_coco_annotation_separates_crowds(make_coco) -> None:
    info = make_coco().get_ann_info(4)
    assert info["bboxes"].dtype == np.float32
    assert info["bboxes"][1].tolist() == [7, 7, 20, 17]
    assert info["labels"].tolist() == [0, 1, 0, 1]
    assert info["bboxes_ignore"].tolist() == [[19, 13, 35, 23]]
    assert len(info["masks"]) == 4
    assert info["seg_map"] == "6.png"


def test_coco_masks_of_one_image_travel_without_those_of_others(make_coco) -> None:
    dataset = make_coco()
    masks = [dataset.get_ann_info(idx)["masks"] for idx in range(len(dataset))]
    assert sum(each._bytes.nbytes for each in masks) <= dataset._table.segmentations._bytes.nbytes
    assert pickle.loads(pickle.dumps(masks[4])) == list(masks[4])


def test_coco_category_ids_are_those_of_all_annotations(make_coco) -> None:
    assert make_coco().get_cat_ids(4) == [7, 3, 7, 3, 7]


def test_coco_images_by_class(make_coco) -> None:
    assert make_coco().get_cat2imgs() == {0: [0, 1, 2, 3, 4], 1: [1, 2, 3, 4]}


def test_coco_images_smaller_than_32_pixels_are_left_out(coco_content, write_coco) -> None:
    coco_content["images"][3]["height"] = 31
    dataset = CocoDataset(write_coco(coco_content), [], classes=["cat", "dog"])
    assert 4 not in dataset.img_ids


@pytest.mark.parametrize(
    "change",
    [
        {"bbox": [3, 5, 0.5, 10]},
        {"bbox": [3, 5, 12, 0]},
        {"bbox": [100, 5, 12, 10]},
        {"bbox": [float("nan"), 5, 12, 10]},
        {"bbox": [3, float("inf"), 12, 10]},
        {"area": 0},
    ],
)
def test_coco_box_that_makes_no_sense_is_dropped_and_counted_once(
    coco_content, write_coco, caplog, change: dict[str, Any]
) -> None:
    coco_content["annotations"][0].update(change)
    path = write_coco(coco_content)
    datasets = [CocoDataset(path, [], classes=["cat", "dog"], filter_empty_gt=False) for _ in range(2)]
    assert datasets[0].get_ann_info(1)["bboxes"].shape == (0, 4)
    said = [record.message for record in caplog.records if "1 of 15 boxes" in record.message]
    assert len(said) == 1


def test_coco_annotation_marked_as_ignored_is_left_out(coco_content, write_coco) -> None:
    coco_content["annotations"][0]["ignore"] = 1
    dataset = CocoDataset(write_coco(coco_content), [], classes=["cat", "dog"])
    assert len(dataset.get_ann_info(0)["bboxes"]) == 0


def test_coco_without_annotations_serves_for_tests(coco_content, write_coco) -> None:
    del coco_content["annotations"]
    dataset = CocoDataset(write_coco(coco_content), [], classes=["cat", "dog"], test_mode=True)
    assert len(dataset) == 6
    assert dataset.get_ann_info(0)["bboxes"].shape == (0, 4)


def test_coco_records_of_images_keep_what_the_file_says(make_coco) -> None:
    assert make_coco().data_infos[1] == {
        "id": 3,
        "file_name": "3.png",
        "width": 64,
        "height": 48,
        "filename": "3.png",
    }


def test_coco_class_that_the_file_lacks_is_named(make_coco, caplog) -> None:
    make_coco(classes=["cat", "horse"])
    assert "horse" in caplog.text


def test_coco_index_is_made_only_when_asked_for(make_coco) -> None:
    dataset = make_coco()
    assert dataset._index is None
    assert dataset.coco.get_ann_ids(img_ids=[2]) == [1]
    assert pickle.loads(pickle.dumps(dataset))._index is None


def test_coco_samples_are_the_same_after_pickling(make_coco) -> None:
    dataset = make_coco(pipeline=[{"type": "LoadAnnotations"}])
    copied = pickle.loads(pickle.dumps(dataset))
    assert (copied[2]["gt_bboxes"] == dataset[2]["gt_bboxes"]).all()


def test_coco_takes_another_sample_when_the_pipeline_gives_one_up(make_coco) -> None:
    given_up = []

    def refuse_first(sample: dict[str, Any]) -> Any:
        given_up.append(sample["img_info"]["id"])
        return None if len(given_up) == 1 else sample

    dataset = make_coco(pipeline=[refuse_first])
    np.random.seed(0)
    assert dataset[1]["img_info"]["id"] in (3, 6)
    assert given_up[0] == 3


def test_coco_results_become_rows(make_coco) -> None:
    dataset = make_coco(test_mode=True)
    nothing = np.zeros((0, 5), np.float32)
    results = [[nothing, nothing] for _ in range(5)] + [[nothing, np.array([[1, 2, 4, 8, 0.5]], np.float32)]]
    rows = dataset._det2json(results)
    assert rows == [{"image_id": 6, "bbox": [1.0, 2.0, 3.0, 6.0], "score": 0.5, "category_id": 3}]


def test_coco_results_of_too_many_classes_name_both_numbers(make_coco) -> None:
    dataset = make_coco(test_mode=True)
    with pytest.raises(ValueError, match="3 classes"):
        dataset._det2json([[np.zeros((0, 5))] * 3] * 6)


def test_coco_format_results_of_wrong_length_raises(make_coco) -> None:
    with pytest.raises(ValueError, match="6 images"):
        make_coco(test_mode=True).format_results([[]])


def test_coco_format_results_with_masks_writes_two_files(make_coco, tmp_path) -> None:
    dataset = make_coco(test_mode=True)
    box = np.array([[1, 2, 4, 8, 0.5]], np.float32)
    rle = {"size": [60, 40], "counts": b"abc"}
    files, folder = dataset.format_results([([box, box[:0]], [[rle], []])] * 6, str(tmp_path / "out"))
    assert folder is None
    assert set(files) == {"bbox", "proposal", "segm"}
    assert '"counts": "abc"' in (tmp_path / "out.segm.json").read_text()


def test_coco_evaluates_its_own_boxes_as_perfect(make_coco) -> None:
    dataset = make_coco(test_mode=True)
    results = []
    for i in range(len(dataset)):
        info = dataset.get_ann_info(i)
        rows = np.concatenate([info["bboxes"], np.ones((len(info["bboxes"]), 1), np.float32)], axis=1)
        results.append([rows[info["labels"] == label] for label in range(2)])
    assert dataset.evaluate(results, logger="silent")["bbox_mAP"] == 1.0


def test_data_root_is_put_before_relative_paths(coco_content, write_coco, tmp_path) -> None:
    write_coco(coco_content)
    cfg = {"type": "CocoDataset", "ann_file": "instances.json", "pipeline": [], "classes": ["cat", "dog"]}
    dataset = build_dataset({**cfg, "data_root": str(tmp_path), "img_prefix": "images", "seg_prefix": "/seg"})
    assert dataset.img_prefix == str(tmp_path / "images")
    assert dataset.seg_prefix == "/seg"
