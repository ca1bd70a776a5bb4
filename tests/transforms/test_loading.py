from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from pycocotools import mask as coco_mask

from raydet.structures import BitmapMasks, PolygonMasks
from raydet.transforms import (
    BadSampleError,
    FilterAnnotations,
    LoadAnnotations,
    LoadImageFromFile,
    LoadProposals,
    decode_image,
)

IMAGE = np.random.default_rng(0).integers(0, 255, (30, 40, 3), np.uint8)


def encoded(suffix: str) -> bytes:
    return cv2.imencode(suffix, IMAGE)[1].tobytes()


def record(path: Path) -> dict:
    return {"img_info": {"filename": path.name}, "img_prefix": str(path.parent)}


def test_load_image_of_png_gives_its_pixels_and_shapes(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(encoded(".png"))
    sample = LoadImageFromFile()(record(tmp_path / "a.png"))
    assert (sample["img"] == IMAGE).all()
    assert sample["img_shape"] == sample["ori_shape"] == (30, 40, 3)
    assert sample["ori_filename"] == "a.png"


def test_load_image_in_rgb_order_swaps_channels(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(encoded(".png"))
    sample = LoadImageFromFile(channel_order="rgb", to_float32=True)(record(tmp_path / "a.png"))
    assert sample["img"].dtype == np.float32
    assert (sample["img"] == IMAGE[..., ::-1]).all()


def test_load_image_that_is_missing_names_the_file(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"nowhere\.jpg"):
        LoadImageFromFile()(record(tmp_path / "nowhere.jpg"))


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp"])
@pytest.mark.parametrize("kept", [0.5, 0.99])
def test_decode_of_a_file_cut_short_raises(suffix: str, kept: float) -> None:
    content = encoded(suffix)
    with pytest.raises(BadSampleError, match=r"x\.img is cut short"):
        decode_image(content[: int(len(content) * kept)], name="x.img")


def test_decode_of_a_progressive_jpeg_cut_between_scans_raises() -> None:
    content = cv2.imencode(".jpg", IMAGE, [cv2.IMWRITE_JPEG_PROGRESSIVE, 1])[1].tobytes()
    scans = [i for i in range(len(content) - 1) if content[i : i + 2] == b"\xff\xda"]
    with pytest.raises(BadSampleError, match="cut short"):
        decode_image(content[: scans[1]])


def test_decode_of_a_jpeg_with_trailing_bytes_is_accepted() -> None:
    assert decode_image(encoded(".jpg") + b"\0" * 100).shape == (30, 40, 3)


@pytest.mark.parametrize("content", [b"", b"<html>not found</html>"])
def test_decode_of_no_image_raises(content: bytes) -> None:
    with pytest.raises(BadSampleError, match="an image"):
        decode_image(content, name="a.jpg")


def test_load_image_by_uri_reads_the_same_file(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(encoded(".png"))
    sample = LoadImageFromFile()({"img_info": {"filename": "a.png"}, "img_prefix": tmp_path.as_uri()})
    assert (sample["img"] == IMAGE).all()


def test_load_image_by_uri_that_is_missing_names_it(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"file://.*b\.png"):
        LoadImageFromFile()({"img_info": {"filename": "b.png"}, "img_prefix": tmp_path.as_uri()})


def test_load_image_from_a_missing_folder_names_the_folder(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"the folder .*nofolder does not exist"):
        LoadImageFromFile()({"img_info": {"filename": "b.png"}, "img_prefix": str(tmp_path / "nofolder")})


def test_load_with_unknown_backend_names_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="disk"):
        LoadImageFromFile(file_client_args={"backend": "memcached"})(record(tmp_path / "a.png"))


SQUARE = [5.0, 5.0, 15.0, 5.0, 15.0, 15.0, 5.0, 15.0]


def annotated(masks: list) -> dict:
    count = len(masks)
    ann = {"bboxes": np.ones((count, 4), np.float32), "labels": np.zeros(count, np.int64), "masks": masks}
    return {
        "img_info": {"filename": "a.jpg", "height": 20, "width": 30},
        "ann_info": ann,
        "bbox_fields": [],
        "mask_fields": [],
        "seg_fields": [],
    }


def forms_of_a_square() -> list:
    bitmap = np.zeros((20, 30), np.uint8, order="F")
    bitmap[5:15, 5:15] = 1
    compressed = coco_mask.encode(bitmap)
    runs = np.flatnonzero(np.diff(np.concatenate([[0], bitmap.ravel("F"), [0]]))).tolist()
    counts = np.diff([0, *runs, bitmap.size]).tolist()
    return [
        pytest.param([SQUARE], id="polygon"),
        pytest.param({"size": [20, 30], "counts": counts}, id="uncompressed"),
        pytest.param(compressed, id="compressed"),
    ]


@pytest.mark.parametrize("form", forms_of_a_square())
def test_load_masks_of_any_coco_form_gives_the_same_bitmap(form: object) -> None:
    sample = LoadAnnotations(with_mask=True)(annotated([form]))
    assert isinstance(sample["gt_masks"], BitmapMasks)
    assert sample["gt_masks"].masks[0].sum() == 100
    assert sample["gt_masks"].masks[0, 5:15, 5:15].all()
    assert sample["mask_fields"] == ["gt_masks"]


def test_load_polygons_leaves_out_those_with_two_points() -> None:
    sample = LoadAnnotations(with_mask=True, poly2mask=False)(annotated([[SQUARE, [1, 2, 3, 4]]]))
    assert isinstance(sample["gt_masks"], PolygonMasks)
    assert [len(polygons) for polygons in sample["gt_masks"].masks] == [1]


def test_load_polygons_refuses_nan() -> None:
    with pytest.raises(BadSampleError, match=r"a\.jpg.*NaN"):
        LoadAnnotations(with_mask=True, poly2mask=False)(annotated([[[0, 0, 1, 0, 1, float("nan")]]]))


@pytest.mark.parametrize(("mask", "message"), [(None, "polygons or an RLE"), ({"size": [3, 3], "counts": [9]}, "size")])
def test_load_mask_that_is_wrong_names_the_image(mask: object, message: str) -> None:
    with pytest.raises(BadSampleError, match=message) as caught:
        LoadAnnotations(with_mask=True)(annotated([mask]))
    assert "a.jpg" in str(caught.value)


def test_load_annotations_copies_boxes() -> None:
    sample = annotated([[SQUARE]])
    loaded = LoadAnnotations()(sample)
    loaded["gt_bboxes"] += 1
    assert (sample["ann_info"]["bboxes"] == 1).all()


def test_load_labels_of_an_empty_list_gives_integers() -> None:
    sample = annotated([])
    sample["ann_info"]["labels"] = []
    assert LoadAnnotations()(sample)["gt_labels"].dtype == np.int64


def test_load_proposals_when_there_are_none_gives_one_empty_box() -> None:
    sample = {"proposals": np.zeros((0, 5), np.float32), "bbox_fields": []}
    assert LoadProposals()(sample)["proposals"].tolist() == [[0, 0, 0, 0]]


@pytest.mark.parametrize(("keep_empty", "given_up"), [(True, True), (False, False)])
def test_filter_annotations_that_removes_all(make_sample, keep_empty: bool, given_up: bool) -> None:
    result = FilterAnnotations(min_gt_bbox_wh=(100, 100), keep_empty=keep_empty)(make_sample())
    assert (result is None) == given_up


def test_filter_annotations_by_mask_keeps_boxes_labels_and_masks_together(make_sample) -> None:
    result = FilterAnnotations(min_gt_mask_area=400, by_box=False, by_mask=True)(make_sample())
    assert len(result["gt_bboxes"]) == len(result["gt_masks"]) == 1
    assert result["gt_labels"].tolist() == [1]
