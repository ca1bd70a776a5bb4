from __future__ import annotations

import json
import zipfile
from pathlib import Path

import cv2
import numpy as np
import pytest

from raydet.datasets.coco_panoptic import CocoPanopticDataset
from raydet.structures import ids_from_rgb, rgb_from_ids

DATA = Path(__file__).resolve().parents[2].parent / "shared" / "data"
CLASSES = ("cat", "dog", "sky", "grass")
SIZE = (40, 50)
# id, category, box, crowd
SEGMENTS = {
    1: [(70000, 7, (0, 0, 10, 10), 0), (9, 20, (10, 0, 40, 20), 0), (300, 21, (0, 20, 50, 20), 0)],
    2: [(300, 7, (5, 5, 20, 20), 1), (301, 8, (30, 10, 10, 10), 0), (9, 20, (0, 30, 50, 10), 0)],
    3: [(5, 21, (0, 0, 50, 40), 0)],
}


def segment_map(image: int) -> np.ndarray:
    ids = np.zeros(SIZE, np.int32)
    for number, _, (x, y, w, h), _ in SEGMENTS[image]:
        ids[y : y + h, x : x + w] = number
    return ids


def segment(number, category, box, crowd):
    return {"id": number, "category_id": category, "bbox": box, "area": box[2] * box[3], "iscrowd": crowd}


@pytest.fixture
def content() -> dict:
    names = {7: ("cat", 1), 8: ("dog", 1), 20: ("sky", 0), 21: ("grass", 0)}
    return {
        "images": [{"id": i, "file_name": f"{i}.jpg", "height": SIZE[0], "width": SIZE[1]} for i in SEGMENTS],
        "annotations": [
            {"image_id": i, "file_name": f"{i}.png", "segments_info": [segment(*each) for each in segments]}
            for i, segments in SEGMENTS.items()
        ],
        "categories": [{"id": key, "name": name, "isthing": thing} for key, (name, thing) in names.items()],
    }


@pytest.fixture
def make(tmp_path: Path, content: dict):
    for image in SEGMENTS:
        cv2.imwrite(str(tmp_path / f"{image}.png"), rgb_from_ids(segment_map(image))[..., ::-1])

    def build(**options):
        (tmp_path / "panoptic.json").write_text(json.dumps(content))
        return CocoPanopticDataset(
            "panoptic.json", [], data_root=str(tmp_path), seg_prefix=".", classes=CLASSES, **options
        )

    return build


def test_annotation_has_things_crowds_and_every_segment(make) -> None:
    info = make().get_ann_info(1)
    np.testing.assert_array_equal(info["bboxes"], [[30, 10, 40, 20]])
    np.testing.assert_array_equal(info["labels"], [1])
    np.testing.assert_array_equal(info["bboxes_ignore"], [[5, 5, 25, 25]])
    assert info["masks"] == [
        {"id": 300, "category": 0, "is_thing": False},
        {"id": 301, "category": 1, "is_thing": True},
        {"id": 9, "category": 2, "is_thing": False},
    ]
    assert info["seg_map"] == "2.png"


def test_images_without_things_are_left_out_of_training_only(make) -> None:
    assert make().img_ids == [1, 2]
    assert make(filter_empty_gt=False).img_ids == make(test_mode=True).img_ids == [1, 2, 3]


def test_categories_without_isthing_are_things_by_the_names_of_coco(make, content) -> None:
    for category in content["categories"]:
        del category["isthing"]
    dataset = make()
    assert [dataset.is_thing(each) for each in dataset.cat_ids] == [True, True, False, False]


def test_a_file_without_annotations_names_the_maps_after_the_images(make, content) -> None:
    del content["annotations"]
    assert [each["segm_file"] for each in make(test_mode=True).data_infos] == ["1.png", "2.png", "3.png"]


def test_segments_of_other_classes_are_left_out(make, tmp_path) -> None:
    make()
    dataset = CocoPanopticDataset(str(tmp_path / "panoptic.json"), [], classes=("dog", "sky"))
    assert dataset.img_ids == [2]
    assert [each["category"] for each in dataset.get_ann_info(0)["masks"]] == [0, 1]


def test_images_by_class_do_not_mix_up_images_that_share_segment_ids(make) -> None:
    dataset = make()
    assert dataset.get_cat_ids(0) == [7, 20, 20, 21, 7]  # as in 2.x: id 9 and id 300 also stand in image 2
    assert dataset.get_cat2imgs() == {0: [0, 1], 1: [1], 2: [0, 1], 3: [0]}


def test_segment_map_has_the_ids_of_the_file(make) -> None:
    np.testing.assert_array_equal(make().segment_map(0), segment_map(1))


@pytest.fixture
def results() -> list[dict[str, np.ndarray]]:
    """A cat (instance 1) and sky, a dog and nothing, sky over the whole image."""
    cat_and_sky = np.full(SIZE, 2)
    cat_and_sky[:10, :10] = 1000
    dog = np.full(SIZE, 4)  # 4 = number of classes: no segment
    dog[10:20, 30:40] = 1001
    return [{"pan_results": each} for each in (cat_and_sky, dog, np.full(SIZE, 2))]


def test_results_become_json_and_png_and_stay_as_they_are(make, results, tmp_path) -> None:
    before = [each["pan_results"].copy() for each in results]
    files, folder = make(test_mode=True).format_results(results, str(tmp_path / "out" / "r"))
    assert folder is None
    first, second, _ = json.loads(Path(files["panoptic"]).read_text())["annotations"]
    assert first == {
        "image_id": 1,
        "file_name": "1.png",
        "segments_info": [
            {"id": 2, "category_id": 20, "isthing": 0, "area": 1900},
            {"id": 1000, "category_id": 7, "isthing": 1, "area": 100},
        ],
    }
    assert [each["id"] for each in second["segments_info"]] == [1001]
    pixels = ids_from_rgb(cv2.imread(str(tmp_path / "out" / "panoptic" / "2.png"))[..., ::-1])
    assert set(np.unique(pixels)) == {0, 1001}
    assert all(np.array_equal(each["pan_results"], old) for each, old in zip(results, before, strict=True))


def test_class_0_as_stuff_is_not_taken_for_void(make, results, tmp_path) -> None:
    results[2]["pan_results"] = np.zeros(SIZE, int)
    files, _ = make(test_mode=True).format_results(results, str(tmp_path / "r"))
    assert json.loads(Path(files["panoptic"]).read_text())["annotations"][2]["segments_info"] == [
        {"id": 4, "category_id": 7, "isthing": 1, "area": 2000}
    ]


def test_submission_packs_json_and_maps(make, results, tmp_path) -> None:
    name = "panoptic_test-dev2017_mine_results"
    files, _ = make(test_mode=True).format_results(results, str(tmp_path / "r"), submission=name)
    with zipfile.ZipFile(files["submission"]) as archive:
        assert sorted(archive.namelist()) == [f"{name}.json", *(f"{name}/{i}.png" for i in (1, 2, 3))]


def test_result_with_a_label_that_is_no_class_is_refused(make, results) -> None:
    results[0]["pan_results"][0, 0] = 5
    with pytest.raises(ValueError, match="label 5, the annotations have 4 classes"):
        make(test_mode=True).format_results(results)


@pytest.mark.parametrize("name", ["panopticapi_sample", "coco_mini"])
def test_real_maps_agree_with_their_lists(name: str) -> None:
    root = DATA / name
    if not root.exists():
        pytest.skip(f"{name} is not at hand")
    stem = "panoptic_examples" if name == "panopticapi_sample" else "panoptic_val"
    dataset = CocoPanopticDataset(str(root / f"{stem}.json"), [], seg_prefix=str(root / stem))
    assert len(dataset.cat_ids) == len(dataset.CLASSES) == len(dataset.PALETTE) == 133
    for index in range(0, len(dataset), 7):
        segments = dataset.segments(index)
        ids, areas = np.unique(dataset.segment_map(index), return_counts=True)
        listed = dict(zip(segments["ids"].tolist(), segments["areas"].tolist(), strict=True))
        assert {key: area for key, area in zip(ids.tolist(), areas.tolist(), strict=True) if key} == listed
