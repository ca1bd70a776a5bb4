from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from raydet.transforms import Pad, RandomCrop, RandomFlip, Resize, images
from raydet.transforms.crop import Window


def test_resize_keeps_the_ratio_within_the_scale(make_sample) -> None:
    sample = Resize(img_scale=(90, 80))(make_sample())
    assert sample["img_shape"] == sample["pad_shape"] == (60, 90, 3)
    assert sample["scale_factor"].tolist() == [1.5, 1.5, 1.5, 1.5]
    assert sample["gt_bboxes"][0].tolist() == [3, 6, 30, 36]
    assert sample["gt_masks"].masks.shape == (2, 60, 90)
    assert sample["gt_semantic_seg"].shape == (60, 90)


def test_resize_accepts_a_scale_written_as_a_list(make_sample) -> None:
    assert Resize(img_scale=[90, 80])(make_sample())["scale"] == (90, 80)


def test_resize_twice_without_override_raises(make_sample) -> None:
    resize = Resize(img_scale=(90, 80))
    with pytest.raises(ValueError, match="override=True"):
        resize(resize(make_sample()))


def test_resize_follows_the_seed_as_2x_does() -> None:
    resize = Resize(img_scale=[(1333, 640), (1333, 800)], multiscale_mode="range")
    np.random.seed(7)
    drawn = [resize.draw({}).scale for _ in range(3)]
    np.random.seed(7)
    expected = [(np.random.randint(1333, 1334), np.random.randint(640, 801)) for _ in range(3)]
    assert drawn == expected


def test_resize_by_value_says_which_scale_it_took(make_sample) -> None:
    scales = [(60, 30), (90, 60), (120, 80)]
    np.random.seed(0)
    sample = Resize(img_scale=scales, multiscale_mode="value")(make_sample())
    assert sample["scale"] == scales[sample["scale_idx"]]


def test_resize_by_pillow_is_close_to_cv2(make_sample) -> None:
    smooth = np.tile(np.linspace(0, 255, 60)[None, :, None], (40, 1, 3)).astype(np.uint8)
    by_cv2, by_pillow = (
        Resize(img_scale=(90, 60), backend=backend)(make_sample(img=smooth))["img"] for backend in ("cv2", "pillow")
    )
    assert np.abs(by_cv2.astype(int) - by_pillow).max() <= 2


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"img_scale": (1, 2, 3)}, "img_scale"),
        ({"img_scale": (9, 9), "multiscale_mode": "both"}, "multiscale_mode"),
        ({"img_scale": [(9, 9), (8, 8)], "ratio_range": (0.5, 1)}, "exactly one img_scale"),
        ({"img_scale": (9, 9), "interpolation": "box"}, "interpolation"),
        ({"img_scale": (9, 9), "backend": "tensor"}, "backend"),
    ],
)
def test_resize_with_wrong_arguments_raises(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Resize(**options)


@pytest.mark.parametrize(
    ("direction", "box"),
    [("horizontal", [40, 4, 58, 24]), ("vertical", [2, 16, 20, 36]), ("diagonal", [40, 16, 58, 36])],
)
def test_flip_moves_image_boxes_and_masks_together(make_sample, direction: str, box: list[int]) -> None:
    sample = RandomFlip(1.0, direction)(make_sample())
    assert sample["gt_bboxes"][0].tolist() == box
    x1, y1, x2, y2 = box
    assert sample["gt_masks"].masks[0, y1:y2, x1:x2].all()
    assert (sample["img"] == images.flip(make_sample()["img"], direction)).all()


def test_flip_twice_is_the_identity(make_sample) -> None:
    flip = RandomFlip(1.0, "diagonal")
    sample = flip(flip(make_sample()))
    assert (sample["img"] == make_sample()["img"]).all()
    assert (sample["gt_bboxes"] == make_sample()["gt_bboxes"]).all()


def test_flip_with_one_chance_per_direction_follows_them() -> None:
    flip = RandomFlip([0.2, 0.5], ["horizontal", "vertical"])
    np.random.seed(0)
    drawn = [flip.draw({}) for _ in range(2000)]
    assert [round(drawn.count(each) / 2000, 1) for each in ("horizontal", "vertical", None)] == [0.2, 0.5, 0.3]


def test_flip_without_ratio_and_without_preset_raises() -> None:
    with pytest.raises(ValueError, match="flip_ratio"):
        RandomFlip().draw({})


@pytest.mark.parametrize("options", [{"flip_ratio": 1.5}, {"flip_ratio": [0.5]}, {"direction": "sideways"}])
def test_flip_with_wrong_arguments_raises(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"flip_ratio|direction"):
        RandomFlip(**{"direction": ["horizontal", "vertical"], "flip_ratio": 0.5, **options})


def test_crop_keeps_what_is_inside_the_window(make_sample) -> None:
    crop = RandomCrop((20, 30))
    sample = crop.apply(make_sample(), Window(top=10, left=28, height=20, width=30))
    assert sample["gt_bboxes"].tolist() == [[2, 0, 22, 20]]
    assert sample["gt_labels"].tolist() == [1]
    assert sample["gt_masks"].masks.shape == (1, 20, 30)
    assert (sample["img"] == make_sample()["img"][10:30, 28:58]).all()


def test_crop_without_objects_gives_the_sample_up(make_sample) -> None:
    window = Window(top=0, left=52, height=5, width=5)
    assert RandomCrop((5, 5)).apply(make_sample(), window) is None
    kept = RandomCrop((5, 5), allow_negative_crop=True).apply(make_sample(), window)
    assert kept["gt_bboxes"].shape == (0, 4)


def test_crop_recomputes_boxes_from_masks(make_sample) -> None:
    sample = make_sample()
    sample["gt_masks"].masks[1, :, 40:] = 0
    cropped = RandomCrop((40, 60), recompute_bbox=True)(sample)
    assert cropped["gt_bboxes"][1].tolist() == [30, 10, 40, 36]


@settings(max_examples=25, deadline=None)
@given(
    kind=st.sampled_from(["absolute", "relative", "relative_range", "absolute_range"]),
    seed=st.integers(0, 2**31),
    height=st.integers(5, 60),
    width=st.integers(5, 60),
)
def test_crop_window_always_lies_inside_the_image(kind: str, seed: int, height: int, width: int) -> None:
    np.random.seed(seed)
    size = (0.3, 0.8) if kind.startswith("relative") else (7, 40)
    window = RandomCrop(size, kind).draw({"img": np.zeros((height, width, 3), np.uint8)})
    assert 0 <= window.top <= window.top + window.height <= height
    assert 0 <= window.left <= window.left + window.width <= width


@pytest.mark.parametrize(
    ("size", "kind"), [((0, 5), "absolute"), ((0.5, 1.5), "relative"), ((9, 5), "absolute_range"), ((5, 5), "round")]
)
def test_crop_with_wrong_arguments_raises(size: tuple[float, float], kind: str) -> None:
    with pytest.raises(ValueError, match="crop_"):
        RandomCrop(size, kind)


@pytest.mark.parametrize(
    ("options", "shape"),
    [
        ({"size": (50, 70)}, (50, 70)),
        ({"size_divisor": 32}, (64, 64)),
        ({"pad_to_square": True}, (60, 60)),
        ({"size": (10, 70)}, (40, 70)),
    ],
)
def test_pad_gives_image_masks_and_map_one_size(make_sample, options: dict[str, Any], shape: tuple[int, int]) -> None:
    sample = Pad(**options)(make_sample())
    assert sample["img"].shape[:2] == sample["pad_shape"][:2] == shape
    assert sample["gt_masks"].masks.shape[1:] == shape
    assert sample["gt_semantic_seg"].shape == shape
    assert sample["img_shape"] == (40, 60, 3)


def test_pad_writes_one_value_per_channel_and_255_into_the_map(make_sample) -> None:
    sample = Pad(size=(50, 70), pad_val={"img": (1, 2, 3)})(make_sample())
    assert sample["img"][45, 65].tolist() == [1, 2, 3]
    assert sample["gt_semantic_seg"][45, 65] == 255


def test_pad_with_two_targets_raises() -> None:
    with pytest.raises(ValueError, match="exactly one"):
        Pad(size=(5, 5), size_divisor=32)
