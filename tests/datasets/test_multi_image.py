from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from raydet.datasets import (
    BadSamplePolicy,
    BatchReader,
    Draw,
    IndexPlan,
    LoaderCarrier,
    MultiImageMixDataset,
    RepeatDataset,
    build_dataset,
    to_device,
    without_normalization,
)
from raydet.registry import TRANSFORMS
from raydet.transforms import BadSampleError

LOADING = [{"type": "LoadImageFromFile"}, {"type": "LoadAnnotations"}]
MIXING = [
    {"type": "Mosaic", "img_scale": (40, 48), "pad_val": 114.0},
    {"type": "RandomAffine", "border": (-20, -24)},
    {"type": "MixUp", "img_scale": (40, 48), "ratio_range": (0.8, 1.6)},
    {"type": "YOLOXHSVRandomAug"},
    {"type": "RandomFlip", "flip_ratio": 0.5},
]
FORMATTING = [
    {"type": "Pad", "pad_to_square": True, "pad_val": {"img": (114.0, 114.0, 114.0)}},
    {"type": "DefaultFormatBundle"},
    {"type": "Collect", "keys": ["img", "gt_bboxes", "gt_labels"]},
]


@pytest.fixture
def mix(make_coco) -> Callable[..., MultiImageMixDataset]:
    """A data set that mixes the images of `make_coco`."""

    def make(pipeline: Any = None, loading: Any = LOADING, **options: Any) -> MultiImageMixDataset:
        steps = [*MIXING, *FORMATTING] if pipeline is None else pipeline
        return MultiImageMixDataset(make_coco(loading), steps, **options)

    return make


def test_mixed_sample_holds_objects_of_several_images(mix) -> None:
    dataset = mix([MIXING[0]])
    np.random.seed(0)
    sample = dataset[0]
    assert sample["img"].shape == (80, 96, 3)
    assert len(sample["gt_bboxes"]) == len(sample["gt_labels"]) > len(dataset.get_ann_info(0)["bboxes"])
    assert "mix_results" not in sample


def test_types_are_skipped_until_told_otherwise(mix) -> None:
    dataset = mix([MIXING[0], MIXING[4]], skip_type_keys=["Mosaic"])
    assert dataset[1]["img_shape"] == dataset.dataset[1]["img_shape"]
    dataset.update_skip_type_keys([])
    assert dataset[1]["img_shape"] == (80, 96, 3)


def test_carrier_notices_skipped_types_at_the_next_epoch(mix) -> None:
    dataset = mix([MIXING[0], MIXING[4], *FORMATTING])
    carrier = LoaderCarrier(dataset, IndexPlan.of(dataset, 1, seed=1), num_workers=1)
    assert next(carrier.iterate(0))["img"].shape[-1] == 96
    dataset.update_skip_type_keys(["Mosaic"])
    assert next(carrier.iterate(1))["img"].shape[-1] < 96
    carrier.close()


def test_batches_depend_on_the_plan_alone(mix) -> None:
    dataset = mix()
    plan = IndexPlan.of(dataset, 2, seed=4)
    carriers = [LoaderCarrier(dataset, plan, num_workers=workers) for workers in (0, 2)]
    for one, other in zip(*(carrier.iterate(0) for carrier in carriers), strict=True):
        assert torch.equal(one["img"], other["img"])
        assert all(torch.equal(a, b) for a, b in zip(one["gt_bboxes"], other["gt_bboxes"], strict=True))
    for carrier in carriers:
        carrier.close()


NORMALIZE = {"type": "Normalize", "mean": [123.0, 116.0, 103.0], "std": [58.0, 57.0, 57.0], "to_rgb": True}


@pytest.mark.parametrize("more", [[], [NORMALIZE]])
def test_images_travel_as_bytes_and_arrive_as_the_same_numbers(mix, more: list[Any]) -> None:
    dataset = mix([*MIXING, *more, *FORMATTING])
    draws = IndexPlan.of(dataset, 3, order="shuffled", seed=2).draws(0, 0, 0)
    deferred = BatchReader(dataset)(draws)
    assert deferred["img"].dtype == torch.uint8
    on_cpu = BatchReader(dataset, defer_normalization=False)(draws)
    assert torch.allclose(to_device(deferred, "cpu")["img"], on_cpu["img"], atol=1e-5)
    assert deferred["img_metas"][0].keys() == on_cpu["img_metas"][0].keys()


@pytest.mark.parametrize(
    ("loading", "pipeline"),
    [
        ([*LOADING, {"type": "Pad", "size": (96, 96)}], [NORMALIZE, {"type": "Pad", "size_divisor": 32}]),
        ([{"type": "LoadImageFromFile", "to_float32": True}, LOADING[1]], MIXING[:1]),
        ([*LOADING, NORMALIZE], MIXING[:1]),
    ],
)
def test_images_that_cannot_travel_as_bytes_do_not(mix, loading: Any, pipeline: Any) -> None:
    dataset = mix([*pipeline, MIXING[4], *FORMATTING[1:]], loading)
    assert without_normalization(dataset) == (dataset, None)


def test_mixing_inside_and_around_other_wrappers(make_coco) -> None:
    inner = {"type": "RepeatDataset", "times": 2, "dataset": make_coco(LOADING)}
    mixed = build_dataset({"type": "MultiImageMixDataset", "dataset": inner, "pipeline": [*MIXING, *FORMATTING]})
    outer = RepeatDataset(mixed, 3)
    assert len(outer) == 6 * len(inner["dataset"])
    assert outer.flag.shape == (len(outer),)
    assert BatchReader(outer)([Draw(len(outer) - 1, 3)])["img"].dtype == torch.uint8


def test_transform_of_a_user_may_ask_for_samples_too(mix) -> None:
    class Beside:
        def get_indexes(self, dataset: Any) -> int:
            return len(dataset) - 1

        def __call__(self, sample: dict[str, Any]) -> dict[str, Any]:
            return {**sample, "beside": sample["mix_results"][0]["ori_filename"]}

    TRANSFORMS.register_module(name="BesideForTest", force=True)(Beside)
    assert mix([{"type": "BesideForTest"}])[0]["beside"] == "6.png"


def test_transform_that_gives_up_is_tried_again(mix) -> None:
    class Reluctant:
        tries = 0

        def __call__(self, sample: dict[str, Any]) -> dict[str, Any] | None:
            Reluctant.tries += 1
            return sample if Reluctant.tries % 3 == 0 else None

    TRANSFORMS.register_module(name="ReluctantForTest", force=True)(Reluctant)
    assert mix([{"type": "ReluctantForTest"}])[0]["ori_filename"] == "2.png"
    assert Reluctant.tries == 3
    with pytest.raises(RuntimeError, match="gave the sample up 2 times"):
        mix([{"type": "ReluctantForTest"}], max_refetch=2)[0]


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"dynamic_scale": (640, 640)}, RuntimeError),
        ({"pipeline": [lambda sample: sample]}, TypeError),
        ({"skip_type_keys": [3]}, TypeError),
    ],
)
def test_wrong_arguments_raise(mix, options: dict[str, Any], error: type[Exception]) -> None:
    with pytest.raises(error):
        mix(**options)


def test_file_that_cannot_be_read_is_named_or_replaced_by_black(mix, image_folder) -> None:
    dataset = mix()
    (image_folder / "2.png").write_bytes(b"")
    with pytest.raises(BadSampleError, match=r"2\.png"):
        BatchReader(dataset)([Draw(0, 1)])
    batch = BatchReader(dataset, BadSamplePolicy("placeholder"))([Draw(0, 1)])
    assert len(batch["gt_bboxes"][0]) == 0
    assert batch["bad_samples"][0]["file"].endswith("2.png")
