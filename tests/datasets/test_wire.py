from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from raydet.datasets import BatchReader, IndexPlan, NormSpec, pack, unpack
from raydet.structures import BitmapMasks, PolygonMasks


def same(one: Any, other: Any) -> bool:
    if isinstance(one, torch.Tensor):
        return one.dtype == other.dtype and torch.equal(one, other) and one.stride() == other.stride()
    if isinstance(one, np.ndarray):
        return one.dtype == other.dtype and np.array_equal(one, other)
    if isinstance(one, dict):
        return list(one) == list(other) and all(same(one[key], other[key]) for key in one)
    if isinstance(one, (list, tuple)):
        return type(one) is type(other) and all(same(a, b) for a, b in zip(one, other, strict=True))
    if isinstance(one, (BitmapMasks, PolygonMasks)):
        return type(one) is type(other) and np.array_equal(one.to_ndarray(), other.to_ndarray())
    return type(one) is type(other) and one == other


@pytest.mark.parametrize("poly2mask", [True, False])
def test_training_batch_comes_back_the_same(make_coco, pipelines, poly2mask: bool) -> None:
    steps = pipelines.train(masks=True)
    steps[1]["poly2mask"] = poly2mask
    dataset = make_coco(steps)
    batch = BatchReader(dataset)(IndexPlan.of(dataset, 3).draws(0, 0, 0))
    columns = pack(batch)
    assert all(column.ndim == 1 and column.dtype.kind in "biuf" for column in columns.values())
    assert same(unpack(columns), batch)


def test_test_time_batch_comes_back_the_same(make_coco, pipelines) -> None:
    dataset = make_coco(pipelines.test(flip=True), test_mode=True)
    batch = BatchReader(dataset)(IndexPlan.of(dataset, 2, order="sequential").draws(0, 0, 0)[:1])
    assert same(unpack(pack(batch)), batch)


@pytest.mark.parametrize(
    "value",
    [
        [torch.zeros(0, 4), torch.ones(2, 4)],
        [torch.zeros(0, 4)],
        [torch.tensor([1]), torch.zeros(2, 2)],
        [],
        torch.zeros(2, 0, 3),
        [BitmapMasks(np.zeros((0, 3, 4), np.uint8), 3, 4), BitmapMasks(np.ones((2, 5, 3), np.uint8), 5, 3)],
        [PolygonMasks([], 3, 4), PolygonMasks([[np.arange(6.0)], [np.arange(8.0), np.arange(6.0)]], 9, 9)],
        [{"a": np.float32(1).item(), "shape": (1, 2), "n": np.arange(3, dtype=np.int16), "none": None, "text": "é"}],
        NormSpec((1.0,), (2.0,), True, pad_value=(1.0, 2.0)),
        {1: "number as key"},
    ],
)
def test_odd_values_come_back_the_same(value: Any) -> None:
    assert same(unpack(pack({"x": value}))["x"], value)


def test_numpy_scalars_become_plain_numbers() -> None:
    assert unpack(pack({"x": [np.float64(0.5), np.bool_(True)]}))["x"] == [0.5, True]


def test_what_cannot_travel_is_named() -> None:
    with pytest.raises(TypeError, match=r"'x'.*object"):
        pack({"x": object()})


def test_unpacked_tensors_are_views_of_their_columns() -> None:
    columns = pack({"x": torch.zeros(3)})
    unpack(columns)["x"].add_(1)
    assert columns["x"].tolist() == [1, 1, 1]
