from __future__ import annotations

import random
import time
from typing import Any

import numpy as np
import pytest
import torch

from raydet.datasets import (
    Carrier,
    IndexPlan,
    LoaderCarrier,
    bad_sample_policy,
    build_carrier,
    build_dataloader,
    drawn_from,
    loader_settings,
)


def images_of(carrier: LoaderCarrier, epoch: int, start: int = 0) -> list[torch.Tensor]:
    return [batch["img"].clone() for batch in carrier.iterate(epoch, start)]


def test_batches_do_not_depend_on_the_number_of_workers(make_coco) -> None:
    dataset = make_coco()
    plan = IndexPlan.of(dataset, 2, seed=4)
    with_workers = LoaderCarrier(dataset, plan, num_workers=2)
    alone = LoaderCarrier(dataset, plan, num_workers=0)
    for epoch in (0, 1):
        for one, other in zip(images_of(with_workers, epoch), images_of(alone, epoch), strict=True):
            assert torch.equal(one, other)
    with_workers.close()
    assert isinstance(alone, Carrier)


def test_iterating_from_a_position_gives_the_rest_of_the_epoch(make_coco) -> None:
    dataset = make_coco()
    carrier = LoaderCarrier(dataset, IndexPlan.of(dataset, 1, seed=4), num_workers=0)
    whole = images_of(carrier, 3)
    rest = images_of(carrier, 3, start=3)
    assert len(whole) == len(carrier) == 5
    assert len(rest) == 2
    assert all(torch.equal(a, b) for a, b in zip(whole[3:], rest, strict=True))


def test_epoch_left_early_does_not_disturb_the_next_one(make_coco) -> None:
    dataset = make_coco()
    plan = IndexPlan.of(dataset, 1, seed=4)
    carrier = LoaderCarrier(dataset, plan, num_workers=1)
    next(carrier.iterate(0))
    alone = LoaderCarrier(dataset, plan, num_workers=0)
    for one, other in zip(images_of(carrier, 1), images_of(alone, 1), strict=True):
        assert torch.equal(one, other)
    carrier.close()


def test_epochs_differ_in_order_and_in_draws(make_coco) -> None:
    dataset = make_coco()
    carrier = LoaderCarrier(dataset, IndexPlan.of(dataset, 1, seed=4), num_workers=0)
    shapes = [[tuple(image.shape) for image in images_of(carrier, epoch)] for epoch in (0, 1)]
    assert shapes[0] != shapes[1]


def test_reading_leaves_the_random_state_of_training_alone(make_coco) -> None:
    dataset = make_coco()
    carrier = LoaderCarrier(dataset, IndexPlan.of(dataset, 2), num_workers=0)
    torch.manual_seed(0)
    expected = torch.rand(3)
    torch.manual_seed(0)
    np.random.seed(0)
    next(iter(carrier.iterate(0)))
    assert torch.equal(torch.rand(3), expected)


def test_draws_inside_follow_the_seed_and_end_with_it() -> None:
    random.seed(5)
    expected = random.random()
    random.seed(5)
    values = []
    for _ in range(2):
        with drawn_from(9):
            values.append((random.random(), np.random.rand(), torch.rand(1).item()))
    assert values[0] == values[1]
    assert random.random() == expected


def test_closed_carrier_says_so(make_coco) -> None:
    dataset = make_coco()
    carrier = LoaderCarrier(dataset, IndexPlan.of(dataset, 2), num_workers=0)
    carrier.close()
    with pytest.raises(RuntimeError, match="closed"):
        next(carrier.iterate(0))


def test_settings_of_a_split_go_before_the_common_ones() -> None:
    data = {"samples_per_gpu": 4, "workers_per_gpu": 3, "val_dataloader": {"samples_per_gpu": 8}}
    assert loader_settings(data, "train")["samples_per_gpu"] == 4
    assert loader_settings(data, "val")["samples_per_gpu"] == 8
    assert loader_settings(data, "test")["samples_per_gpu"] == 1
    assert loader_settings(data, "test")["workers_per_gpu"] == 3


def test_setting_given_twice_raises() -> None:
    with pytest.raises(ValueError, match=r"samples_per_gpu.*train_dataloader"):
        loader_settings({"samples_per_gpu": 4, "train_dataloader": {"samples_per_gpu": 2}}, "train")


def test_carrier_of_a_config_shuffles_for_training_only(make_coco, tmp_path) -> None:
    data = {"samples_per_gpu": 2, "workers_per_gpu": 0, "bad_samples": {"policy": "skip"}}
    train = build_carrier(make_coco(), data, "train", seed=3, work_dir=str(tmp_path))
    val = build_carrier(make_coco(), data, "val", rank=1, world_size=2)
    assert train.plan.order == "grouped"
    assert val.plan.indices(0, 1).tolist() == [1, 3]
    assert len(train) == 3


@pytest.mark.parametrize(("split", "kind"), [("train", "skip"), ("val", "placeholder"), ("test", "placeholder")])
def test_nothing_takes_the_place_of_an_image_outside_training(split: str, kind: str) -> None:
    assert bad_sample_policy({"bad_samples": {"policy": "skip"}}, split).kind == kind


def test_carrier_with_class_aware_sampling(make_coco) -> None:
    data = {"workers_per_gpu": 0, "train_dataloader": {"class_aware_sampler": {"num_sample_class": 1}}}
    assert build_carrier(make_coco(), data, "train").plan.order == "class_aware"


def test_workers_read_ahead_while_the_model_computes(make_coco, pipelines, tmp_path) -> None:
    def leave_a_trace(sample: dict[str, Any]) -> dict[str, Any]:
        (tmp_path / f"read {sample['img_info']['filename']}").touch()
        return sample

    dataset = make_coco([leave_a_trace, *pipelines.train()])
    carrier = LoaderCarrier(dataset, IndexPlan.of(dataset, 1), num_workers=1, prefetch=3)
    batches = carrier.iterate(0)
    next(batches)
    end = time.monotonic() + 60
    while len(list(tmp_path.glob("read *"))) < 4:  # the one that was asked for, and three ahead
        assert time.monotonic() < end
        time.sleep(0.01)
    carrier.close()


def test_settings_of_a_loader_reach_the_carrier(make_coco) -> None:
    data = {"train_dataloader": {"workers_per_gpu": 1, "persistent_workers": False, "prefetch_factor": 3}}
    loader = build_carrier(make_coco(), data, "train")._loader
    assert (loader.num_workers, loader.persistent_workers, loader.prefetch_factor) == (1, False, 3)
    assert build_carrier(make_coco(), {}, "train")._loader.persistent_workers
    assert not build_carrier(make_coco(), {}, "val")._loader.persistent_workers


def test_training_by_iterations_gets_an_endless_plan_unless_classes_decide(make_coco) -> None:
    data = {"workers_per_gpu": 0, "endless": True}
    assert build_carrier(make_coco(), data, "train").plan.order == "endless"
    assert build_carrier(make_coco(), data, "val").plan.order == "sequential"
    balanced = {**data, "train_dataloader": {"class_aware_sampler": {"num_sample_class": 1}}}
    assert build_carrier(make_coco(), balanced, "train").plan.order == "class_aware"


@pytest.mark.parametrize(("dist", "shuffle"), [(True, True), (True, False), (False, True), (False, False)])
def test_dataloader_of_2x_gives_all_samples(make_coco, dist: bool, shuffle: bool) -> None:
    loader = build_dataloader(make_coco(), 2, 0, dist=dist, shuffle=shuffle, seed=0)
    names = {meta["ori_filename"] for batch in loader for meta in batch["img_metas"]}
    assert names == {f"{i}.png" for i in range(2, 7)}


def test_dataloader_for_iterations_has_no_end(make_coco) -> None:
    loader = build_dataloader(make_coco(), 2, 0, seed=0, runner_type="IterBasedRunner")
    stream = iter(loader)
    assert sum(len(next(stream)["img_metas"]) for _ in range(10)) == 20
