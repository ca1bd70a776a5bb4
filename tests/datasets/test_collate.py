from __future__ import annotations

import numpy as np
import pytest
import torch

from raydet.datasets import collate
from raydet.structures import DataContainer as Container


def image(height: int, width: int, value: int = 1) -> torch.Tensor:
    return torch.full((height, width, 3), value, dtype=torch.uint8).permute(2, 0, 1)


def test_collate_pads_images_at_the_right_and_bottom() -> None:
    samples = [{"img": Container(image(*size), stack=True, padding_value=7)} for size in [(2, 5), (4, 3)]]
    batch = collate(samples)["img"]
    assert batch.shape == (2, 3, 4, 5)
    assert batch.dtype == torch.uint8
    assert batch[0, 0].tolist() == [[1] * 5, [1] * 5, [7] * 5, [7] * 5]
    assert batch[1, 0, 0].tolist() == [1, 1, 1, 7, 7]


def test_collate_leaves_the_memory_layout_of_images() -> None:
    batch = collate([{"img": Container(image(4, 5), stack=True)}] * 2)["img"]
    assert batch.is_contiguous(memory_format=torch.channels_last)
    floats = collate([{"img": Container(image(4, 5).float().contiguous(), stack=True)}] * 2)["img"]
    assert floats.is_contiguous()


def test_collate_makes_lists_of_what_does_not_stack() -> None:
    samples = [
        {"img_metas": Container({"n": i}, cpu_only=True), "gt_bboxes": Container(torch.zeros(i, 4))} for i in range(3)
    ]
    batch = collate(samples)
    assert batch["img_metas"] == [{"n": 0}, {"n": 1}, {"n": 2}]
    assert [len(boxes) for boxes in batch["gt_bboxes"]] == [0, 1, 2]


def test_collate_of_augmentations_gives_one_entry_for_each() -> None:
    samples = [
        {"img": [image(4, 4), image(8, 8)], "img_metas": [Container({"i": i}, cpu_only=True)] * 2} for i in range(3)
    ]
    batch = collate(samples)
    assert [tuple(each.shape) for each in batch["img"]] == [(3, 3, 4, 4), (3, 3, 8, 8)]
    assert batch["img_metas"] == [[{"i": 0}, {"i": 1}, {"i": 2}]] * 2


@pytest.mark.parametrize(
    ("pad_dims", "shapes"), [(1, [(2, 5), (2, 3)]), (2, [(2, 1), (1, 5)]), (3, [(2, 2, 5), (1, 3, 4)])]
)
def test_collate_pads_as_many_dimensions_as_told(pad_dims: int, shapes: list[tuple[int, ...]]) -> None:
    batch = collate([{"x": Container(torch.zeros(shape), stack=True, pad_dims=pad_dims)} for shape in shapes])
    assert batch["x"].shape == (2, *np.max(shapes, axis=0))


def test_collate_without_padding_refuses_different_shapes() -> None:
    with pytest.raises(ValueError, match=r"x: cannot stack shapes \[\(1, 5\), \(1, 3\)\]"):
        collate([{"x": Container(torch.zeros(1, n), stack=True, pad_dims=None)} for n in (5, 3)])


def test_collate_of_different_types_raises() -> None:
    with pytest.raises(ValueError, match="img: cannot stack tensors of different types"):
        collate([{"img": Container(each, stack=True)} for each in (image(2, 2), image(2, 2).float())])


def test_collate_of_samples_with_different_fields_raises() -> None:
    with pytest.raises(ValueError, match="different fields"):
        collate([{"a": 1}, {"b": 1}])


def test_collate_of_plain_values() -> None:
    batch = collate([{"n": 1, "name": "a", "array": np.zeros(2)}, {"n": 2, "name": "b", "array": np.ones(2)}])
    assert batch["n"].tolist() == [1, 2]
    assert batch["name"] == ["a", "b"]
    assert batch["array"].tolist() == [[0, 0], [1, 1]]
