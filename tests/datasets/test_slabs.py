"""Batches through shared memory that is used again."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from raydet.datasets import Container, IndexPlan, LoaderCarrier, collate, slabs, unload
from raydet.datasets.multi_image import MultiImageMixDataset
from raydet.structures import DataContainer

BATCHES = [
    {"img": torch.arange(24, dtype=torch.uint8).view(1, 2, 3, 4), "gt_labels": [torch.tensor([1, 2]), torch.zeros(0)]},
    {"img": torch.full((1, 1, 5, 7), 9, dtype=torch.uint8), "img_metas": [{"scale": (3, 4), "name": "ü"}]},
]


def test_batches_of_a_container_come_back_with_memory_of_their_own() -> None:
    buffer, index = Container().fill(BATCHES)
    first, second = unload(buffer, index)
    buffer[:] = 255
    assert torch.equal(first["img"], BATCHES[0]["img"])
    assert [len(each) for each in first["gt_labels"]] == [2, 0]
    assert second["img_metas"] == BATCHES[1]["img_metas"]
    second["img"].add_(1)
    assert (second["img"] == 10).all()


def test_container_is_filled_again() -> None:
    container = Container()
    container.fill(BATCHES * 3)
    buffer, index = container.fill(BATCHES[1:])
    (batch,) = unload(buffer, index)
    assert torch.equal(batch["img"], BATCHES[1]["img"])


def test_loader_fills_the_same_slabs_again(make_coco) -> None:
    dataset = make_coco()
    carrier = LoaderCarrier(dataset, IndexPlan.of(dataset, 1, seed=4), num_workers=1, prefetch=1)
    for epoch in range(8):
        assert len(list(carrier.iterate(epoch))) == 5
    assert len(carrier._post._slabs) <= 3
    assert not any(slab[0] for slab in carrier._post._slabs.values())
    carrier.close()


def test_epoch_left_early_frees_its_slabs(make_coco) -> None:
    dataset = make_coco()
    carrier = LoaderCarrier(dataset, IndexPlan.of(dataset, 1, seed=4), num_workers=1)
    for epoch in range(4):
        next(carrier.iterate(epoch))
    list(carrier.iterate(5))
    assert not any(slab[0] for slab in carrier._post._slabs.values())
    carrier.close()


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_batches_for_a_gpu_are_pinned(make_coco) -> None:
    dataset = make_coco()
    carrier = LoaderCarrier(dataset, IndexPlan.of(dataset, 2), num_workers=1)
    assert all(batch["img"].is_pinned() for batch in carrier.iterate(0))
    carrier.close()


class Odd:
    """A value that has no place in columns."""


def test_batch_with_a_field_of_a_users_own_arrives_as_it_is(make_coco, pipelines) -> None:
    def add_odd(sample: dict[str, Any]) -> dict[str, Any]:
        return {**sample, "odd": Odd()}

    dataset = make_coco([*pipelines.train(), add_odd])
    carrier = LoaderCarrier(dataset, IndexPlan.of(dataset, 2), num_workers=1)
    assert all(isinstance(each, Odd) for batch in carrier.iterate(0) for each in batch["odd"])
    carrier.close()


@pytest.mark.parametrize("num_workers", [0, 1])
def test_transform_that_is_switched_off_stays_off_from_the_next_epoch_on(make_coco, pipelines, num_workers) -> None:
    steps = pipelines.train()
    inner = make_coco(steps[:2])
    dataset = MultiImageMixDataset(inner, [{"type": "Mosaic", "img_scale": (32, 32)}, *steps[3:]])
    carrier = LoaderCarrier(dataset, IndexPlan.of(dataset, 1), num_workers=num_workers)
    assert {batch["img"].shape[-1] for batch in carrier.iterate(0)} == {64}
    dataset.update_skip_type_keys(["Mosaic"])
    assert {batch["img"].shape[-1] for batch in carrier.iterate(1)} == {
        32 * (-(-width // 32)) for width in widths(inner)
    }
    carrier.close()


def widths(dataset: Any) -> set[int]:
    return {info["width"] for info in dataset.data_infos}


def stacked(values, empty, key="img"):
    """A batch of images `(3, 4, 5)` as the pipelines leave them, one of each value."""
    images = [torch.full((4, 5, 3), value, dtype=torch.uint8).permute(2, 0, 1) for value in values]
    return collate([{"name": "x", key: DataContainer(image, stack=True)} for image in images], empty)


def test_images_are_stacked_where_they_travel() -> None:
    container = Container()
    buffer, index = container.fill(stacked([n, n + 1], container.empty) for n in range(0, 20, 2))
    batches = list(unload(buffer, index))
    assert [batch["img"][:, 2, 3, 4].tolist() for batch in batches] == [[n, n + 1] for n in range(0, 20, 2)]
    seen = []

    def watched():
        seen.append(stacked([7], container.empty))
        yield seen[0]

    buffer, _ = container.fill(watched())
    assert np.shares_memory(seen[0]["img"].numpy(), buffer)
    assert buffer[:60].tolist() == [7] * 60


def test_second_stacked_field_of_a_batch_does_not_cover_the_first() -> None:
    container = Container()

    def batches():
        for n in range(5):
            yield {**stacked([n, n], container.empty, "gt_semantic_seg"), **stacked([n + 50] * 2, container.empty)}

    for n, batch in enumerate(unload(*container.fill(batches()))):
        assert (batch["gt_semantic_seg"] == n).all()
        assert (batch["img"] == n + 50).all()


def test_slab_of_a_batch_that_cannot_travel_in_it_is_not_used_again(monkeypatch) -> None:
    monkeypatch.setattr(slabs, "get_worker_info", lambda: SimpleNamespace(id=0))
    writer = slabs.SlabWriter(slabs.SlabPost(), 1)
    odd = writer({**stacked([1], writer.empty), "own": Odd()})
    filled = writer(stacked([2], writer.empty))
    assert isinstance(filled, slabs.FilledSlab)
    assert (odd["img"] == 1).all()
