from __future__ import annotations

from typing import Any

import pytest
import torch

from raydet.datasets import BatchReader, IndexPlan, RepeatDataset, plan_normalization, to_device, without_normalization
from raydet.datasets.wrappers import ConcatDataset
from raydet.transforms import Compose, Normalize


def both_ways(dataset: Any, samples: int = 3) -> tuple[dict[str, Any], dict[str, Any]]:
    """A batch normalised on the device, and on the CPU."""
    draws = IndexPlan.of(dataset, samples, order="shuffled", seed=1).draws(0, 0, 0)
    deferred = BatchReader(dataset)(draws)
    images = deferred["img"][0] if isinstance(deferred["img"], list) else deferred["img"]
    assert images.dtype == torch.uint8
    return to_device(deferred, "cpu"), BatchReader(dataset, defer_normalization=False)(draws)


@pytest.mark.parametrize(
    "pad",
    [
        {"size_divisor": 32},
        {"size": (96, 112), "pad_val": {"img": (1.5, -2.0, 300.0), "masks": 0, "seg": 255}},
        {"pad_to_square": True},
    ],
)
def test_training_batch_is_the_same_either_way(make_coco, pipelines, pad: dict[str, Any]) -> None:
    on_device, on_cpu = both_ways(make_coco(pipelines.train(**pad)))
    assert on_device["img"].shape == on_cpu["img"].shape
    assert torch.allclose(on_device["img"], on_cpu["img"], atol=1e-5)
    assert on_device["img"].is_contiguous()
    assert set(on_device) == set(on_cpu)


def test_padding_of_the_batch_takes_the_value_of_the_bundle(make_coco, pipelines) -> None:
    steps = pipelines.train()
    steps[-2] = {"type": "DefaultFormatBundle", "pad_val": {"img": 5.0, "masks": 0, "seg": 255}}
    on_device, on_cpu = both_ways(make_coco(steps), samples=5)
    assert (on_cpu["img"] == 5.0).any()
    assert torch.allclose(on_device["img"], on_cpu["img"], atol=1e-5)


def test_padding_before_normalisation_is_normalised(make_coco, pipelines) -> None:
    steps = pipelines.train()
    steps[4], steps[5] = steps[5], steps[4]
    on_device, on_cpu = both_ways(make_coco(steps))
    assert torch.allclose(on_device["img"], on_cpu["img"], atol=1e-5)


def test_flip_between_normalisation_and_padding_is_fine(make_coco, pipelines) -> None:
    steps = pipelines.train()
    steps[3], steps[4] = steps[4], steps[3]
    on_device, on_cpu = both_ways(make_coco(steps))
    assert torch.allclose(on_device["img"], on_cpu["img"], atol=1e-5)


def test_test_time_batch_is_the_same_either_way(make_coco, pipelines) -> None:
    dataset = make_coco(pipelines.test(flip=True), test_mode=True)
    on_device, on_cpu = both_ways(dataset, samples=1)
    assert len(on_device["img"]) == 2
    for one, other in zip(on_device["img"], on_cpu["img"], strict=True):
        assert torch.allclose(one, other, atol=1e-5)


def test_wrapped_data_sets_are_changed_inside_and_left_outside(make_coco) -> None:
    inner = make_coco()
    changed, spec = without_normalization(RepeatDataset(ConcatDataset([inner, inner]), 2))
    assert spec is not None
    assert spec.to_rgb
    assert any(isinstance(step, Normalize) for step in inner.pipeline.transforms)
    assert changed[0]["img"].data.dtype == torch.uint8


def test_parts_that_normalise_differently_stay_on_the_cpu(make_coco, pipelines) -> None:
    steps = pipelines.train()
    steps[4] = {**steps[4], "mean": [1.0, 2.0, 3.0]}
    dataset = ConcatDataset([make_coco(), make_coco(steps)])
    assert without_normalization(dataset) == (dataset, None)


def changed(steps: list[Any], case: str) -> list[Any]:
    if case == "float images":
        return [{**steps[0], "to_float32": True}, *steps[1:]]
    if case == "colour distortion":
        return [*steps[:2], {"type": "PhotoMetricDistortion"}, *steps[2:]]
    if case == "user's transform":
        return [*steps[:2], lambda sample: sample, *steps[2:]]
    if case == "crop after":
        return [*steps[:5], {"type": "RandomCrop", "crop_size": (40, 40)}, *steps[5:]]
    if case == "flip after padding":
        return [*steps[:3], *steps[4:6], steps[3], *steps[6:]]
    return [*steps[:5], steps[4], *steps[5:]]


@pytest.mark.parametrize(
    "case",
    ["float images", "colour distortion", "user's transform", "crop after", "flip after padding", "normalised twice"],
)
def test_pipelines_that_cannot_wait_stay_as_they_are(pipelines, case: str) -> None:
    pipeline = Compose(changed(pipelines.train(), case))
    assert plan_normalization(pipeline) == (pipeline, None)
