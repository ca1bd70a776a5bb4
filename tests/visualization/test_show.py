from __future__ import annotations

import json

import cv2
import numpy as np
import pytest
from pycocotools import mask as rle_tools

from raydet.datasets import CocoDataset
from raydet.visualization import draw_comparison, draw_ground_truth, show_result
from raydet.visualization.objects import objects_from_result

GRAY = np.full((60, 80, 3), 100, dtype=np.uint8)
BOX = np.array([[20, 30, 50, 55, 0.9]], dtype=np.float32)
NONE = np.zeros((0, 5), dtype=np.float32)
CLASSES = ("cat", "dog")


def square_mask():
    mask = np.zeros((60, 80), dtype=bool)
    mask[35:50, 25:45] = True
    return mask


def changed(picture):
    return (picture != GRAY).any(axis=2)


def test_show_result_of_boxes_draws_the_edges_and_leaves_the_inside():
    picture = show_result(CLASSES, GRAY, [NONE, BOX])
    assert changed(picture)[30, 25]
    assert changed(picture)[54:57, 40].any()
    assert not changed(picture)[40, 35]


def test_show_result_leaves_the_image_alone():
    image = GRAY.copy()
    show_result(CLASSES, image, [NONE, BOX])
    np.testing.assert_array_equal(image, GRAY)


@pytest.mark.parametrize("form", ["array", "rle", "scored"])
def test_show_result_of_masks_colours_their_inside_only(form):
    mask = square_mask() if form == "array" else rle_tools.encode(np.asfortranarray(square_mask().astype(np.uint8)))
    masks = [[], [mask]]
    result = ([NONE, BOX], (masks, [[], [0.5]]) if form == "scored" else masks)
    marks = changed(show_result(CLASSES, GRAY, result))
    assert marks[38:47, 28:42].all()
    assert not marks[38:47, 47:49].any()


def test_masks_without_boxes_get_boxes_around_them():
    nowhere = np.array([[0, 0, 0, 0, 0.9]], dtype=np.float32)
    found = objects_from_result(([NONE, nowhere], [[], [square_mask()]]))
    assert found.boxes.tolist() == [[25, 35, 45, 50]]


def test_show_result_of_proposals_draws_all_of_them():
    proposals = np.array([[5, 30, 30, 50], [40, 30, 70, 50]], dtype=np.float32)
    marks = changed(show_result(None, GRAY, proposals))
    assert marks[40, 5]
    assert marks[40, 40]


def test_show_result_below_the_threshold_draws_nothing():
    assert not changed(show_result(CLASSES, GRAY, [NONE, BOX], score_thr=0.95)).any()


def test_show_result_of_nothing_gives_the_image():
    np.testing.assert_array_equal(show_result(CLASSES, GRAY, ([NONE, NONE], [[], []])), GRAY)


def test_show_result_of_gray_image_gives_a_coloured_picture():
    picture = show_result(CLASSES, GRAY[..., 0], [NONE, BOX])
    assert picture.shape == (60, 80, 3)
    assert changed(picture).any()


@pytest.mark.parametrize("box", [[-20, -10, 30, 200, 0.9], [75, 0, 79, 3, 0.9]], ids=["beyond", "corner"])
def test_show_result_of_box_at_the_edge_stays_inside(box):
    picture = show_result(["a class with a name longer than the image is wide"], GRAY, [np.array([box])])
    assert picture.shape == GRAY.shape


def test_show_result_with_out_file_writes_it_into_a_new_folder(tmp_path):
    picture = show_result(CLASSES, GRAY, [NONE, BOX], out_file=tmp_path / "new" / "drawn.png")
    np.testing.assert_array_equal(cv2.imread(str(tmp_path / "new" / "drawn.png")), picture)


def test_show_result_with_min_size_enlarges_by_a_whole_factor():
    assert show_result(CLASSES, GRAY, ([NONE, BOX], [[], [square_mask()]]), min_size=100).shape == (120, 160, 3)


def test_show_result_with_palette_uses_its_colours():
    picture = show_result(CLASSES, GRAY, [NONE, BOX], palette=[(0, 0, 0), (250, 10, 20)], thickness=3)
    assert picture[40, 20].tolist() == [20, 10, 250]


@pytest.mark.parametrize("color", ["red", (0, 0, 255)])
def test_show_result_with_one_color_for_all_boxes_takes_it_in_the_way_of_2x(color):
    picture = show_result(CLASSES, GRAY, [NONE, BOX], bbox_color=color, thickness=3)
    assert picture[40, 20].tolist() == [0, 0, 255]


def test_show_result_with_unknown_color_is_refused():
    with pytest.raises(ValueError, match="'reddish'"):
        show_result(CLASSES, GRAY, [NONE, BOX], mask_color="reddish")


def test_show_result_with_mask_of_another_image_is_refused():
    with pytest.raises(ValueError, match="mask of 10 x 20 pixels on an image of 80 x 60"):
        show_result(CLASSES, GRAY, ([NONE, BOX], [[], [np.ones((20, 10), dtype=bool)]]))


@pytest.mark.parametrize("image", [GRAY.astype(np.float32), np.zeros((4, 4, 4), dtype=np.uint8)], ids=["float", "bgra"])
def test_show_result_on_another_kind_of_image_is_refused(image):
    with pytest.raises(ValueError, match="of uint8, got"):
        show_result(CLASSES, image, [NONE, BOX])


def test_show_result_of_empty_file_names_it(tmp_path):
    (tmp_path / "empty.png").touch()
    with pytest.raises(ValueError, match=r"empty\.png is not an image"):
        show_result(CLASSES, tmp_path / "empty.png", [NONE, BOX])


def test_show_result_of_something_else_is_refused():
    with pytest.raises(TypeError, match="got dict"):
        show_result(CLASSES, GRAY, {"boxes": []})


def test_show_result_of_missing_file_names_it(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"nowhere\.png"):
        show_result(CLASSES, tmp_path / "nowhere.png", [NONE, BOX])


def test_show_result_of_file_that_is_no_image_names_it(tmp_path):
    (tmp_path / "text.png").write_text("hello")
    with pytest.raises(ValueError, match=r"text\.png is not an image"):
        show_result(CLASSES, tmp_path / "text.png", [NONE, BOX])


def test_show_result_to_unknown_kind_of_file_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"'\.doc'"):
        show_result(CLASSES, GRAY, [NONE, BOX], out_file=tmp_path / "picture.doc")


def one_square(folder, with_masks=True):
    cv2.imwrite(str(folder / "0.png"), GRAY)
    square = [[20, 30, 50, 30, 50, 55, 20, 55]]
    content = {
        "images": [{"id": 1, "file_name": "0.png", "width": 80, "height": 60}],
        "categories": [{"id": 3, "name": "cat"}],
        "annotations": [
            {"id": 1, "image_id": 1, "category_id": 3, "bbox": [20, 30, 30, 25], "area": 750, "segmentation": square}
        ],
    }
    if not with_masks:
        content["annotations"][0].pop("segmentation")
    (folder / "truth.json").write_text(json.dumps(content))
    return CocoDataset(str(folder / "truth.json"), [], classes=["cat"], img_prefix=str(folder), test_mode=True)


def test_draw_ground_truth_draws_polygons_of_a_coco_data_set(tmp_path):
    marks = changed(draw_ground_truth(one_square(tmp_path), 0, tmp_path / "drawn.png"))
    assert marks[35:50, 25:45].all()
    assert not marks[40, 60]
    assert (tmp_path / "drawn.png").is_file()


def test_draw_comparison_puts_truth_left_and_result_right(tmp_path):
    dataset = one_square(tmp_path)
    picture = draw_comparison(dataset, 0, [NONE], tmp_path / "both.png")
    assert picture.shape == (60, 162, 3)
    assert (picture[40, 30] != GRAY[40, 30]).any()
    np.testing.assert_array_equal(picture[:, 82:], GRAY)


def test_draw_ground_truth_of_a_data_set_without_masks_draws_boxes_alone(tmp_path):
    marks = changed(draw_ground_truth(one_square(tmp_path, with_masks=False), 0, tmp_path / "drawn.png"))
    assert marks[30, 25]
    assert not marks[45, 35]
