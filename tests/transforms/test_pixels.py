from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from raydet.structures import DataContainer
from raydet.transforms import (
    Collect,
    Compose,
    DefaultFormatBundle,
    ImageToTensor,
    MultiScaleFlipAug,
    Normalize,
    PhotoMetricDistortion,
    to_tensor,
)

MEAN, STD = [123.675, 116.28, 103.53], [58.395, 57.12, 57.375]


def test_normalize_swaps_channels_before_subtracting(make_sample) -> None:
    image = np.zeros((2, 2, 3), np.uint8)
    image[..., 2] = 200
    sample = Normalize(MEAN, STD)(make_sample(img=image))
    expected = (np.array([200, 0, 0]) - MEAN) / STD
    assert np.allclose(sample["img"][0, 0], expected, atol=1e-6)
    assert sample["img_norm_cfg"]["to_rgb"] is True
    assert image[0, 0, 2] == 200


def test_normalize_accepts_an_image_whose_channels_were_permuted(make_sample) -> None:
    image = make_sample()["img"]
    permuted = Normalize(MEAN, STD)({"img": image[..., np.array([2, 0, 1])]})["img"]
    expected = (image[..., [1, 0, 2]] - np.array(MEAN)) / STD
    assert np.allclose(permuted, expected, atol=1e-5)


def test_normalize_with_zero_deviation_raises() -> None:
    with pytest.raises(ValueError, match="std"):
        Normalize([0, 0, 0], [1, 0, 1])


def test_photometric_distortion_draws_the_same_for_the_same_seed(make_sample) -> None:
    outputs = []
    for _ in range(2):
        np.random.seed(3)
        outputs.append(PhotoMetricDistortion()(make_sample())["img"])
    assert outputs[0].dtype == np.float32
    assert (outputs[0] == outputs[1]).all()


def test_photometric_distortion_applies_a_drawn_brightness_alone(make_sample) -> None:
    transform = PhotoMetricDistortion()
    sample = make_sample(img=np.full((4, 4, 3), 100, np.uint8))
    np.random.seed(0)
    drawn = transform.draw(sample)._replace(brightness=10.0, contrast=None, saturation=None, hue=None, channels=None)
    assert np.allclose(transform.apply(sample, drawn)["img"], 110, atol=1e-3)


def test_format_bundle_makes_tensors_and_says_how_they_join(make_sample) -> None:
    sample = DefaultFormatBundle()(make_sample())
    assert sample["img"].data.shape == (3, 40, 60)
    assert sample["img"].data.dtype == torch.float32
    assert sample["img"].stack
    assert sample["gt_masks"].cpu_only
    assert sample["gt_semantic_seg"].padding_value == 255
    assert sample["gt_semantic_seg"].data.shape == (1, 40, 60)


def test_collect_that_misses_a_field_names_it(make_sample) -> None:
    with pytest.raises(KeyError, match="gt_heat"):
        Collect(keys=["gt_heat"], meta_keys=["filename"])(make_sample())


@pytest.mark.parametrize(
    ("value", "expected"), [(3, torch.tensor([3])), (0.5, torch.tensor([0.5])), ([1, 2], torch.tensor([1, 2]))]
)
def test_to_tensor_of_plain_values(value: Any, expected: torch.Tensor) -> None:
    assert torch.equal(to_tensor(value), expected)


def test_to_tensor_of_text_raises() -> None:
    with pytest.raises(TypeError, match="str"):
        to_tensor("abc")


def test_test_time_augmentation_gives_every_scale_unflipped_and_flipped(make_sample) -> None:
    steps = [
        {"type": "Resize"},
        {"type": "RandomFlip"},
        ImageToTensor(["img"]),
        Collect(["img"], ["img_shape", "flip"]),
    ]
    sample = MultiScaleFlipAug(steps, img_scale=[(60, 40), (90, 60)], flip=True)(make_sample())
    metas = [meta.data for meta in sample["img_metas"]]
    assert [meta["flip"] for meta in metas] == [False, True, False, True]
    assert [meta["img_shape"][0] for meta in metas] == [40, 40, 60, 60]
    assert torch.equal(sample["img"][0].flip(2), sample["img"][1])


def test_test_time_augmentation_needs_one_kind_of_scale() -> None:
    with pytest.raises(ValueError, match="exactly one"):
        MultiScaleFlipAug([], img_scale=(1, 1), scale_factor=1.0)


def test_compose_stops_when_a_sample_is_given_up() -> None:
    def fail(sample: Any) -> Any:
        raise AssertionError

    assert Compose([lambda sample: None, fail])({}) is None


def test_compose_runs_a_users_own_transform_beside_ours(make_sample) -> None:
    def mark(sample: dict[str, Any]) -> dict[str, Any]:
        return {**sample, "marked": sample["gt_bboxes"].copy()}

    sample = Compose([{"type": "RandomFlip", "flip_ratio": 0.0}, mark])(make_sample())
    assert sample["marked"].shape == (2, 4)


def test_compose_of_what_is_not_callable_raises() -> None:
    with pytest.raises(TypeError, match="callables"):
        Compose([3])


def test_container_of_unknown_padding_raises() -> None:
    with pytest.raises(ValueError, match="pad_dims"):
        DataContainer(1, pad_dims=7)
