"""Loaders and carriers from the `data` part of a config."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader

from raydet.datasets import samplers
from raydet.datasets.bad_samples import BadSamplePolicy, list_in
from raydet.datasets.carrier import LoaderCarrier
from raydet.datasets.collate import collate
from raydet.datasets.lanes import LanePlan
from raydet.datasets.plan import IndexPlan, Plan
from raydet.datasets.ranks import rank_and_world

SPLITS = ("train", "val", "test")


def loader_settings(data: Mapping[str, Any], split: str) -> dict[str, Any]:
    """Batch size, workers and the like of one split.

    `data.<split>_dataloader` goes before `data.samples_per_gpu` and `data.workers_per_gpu`, the older spelling, of
    which the first only holds for training. Training keeps its workers between epochs unless `persistent_workers` is
    False. The engine sets `endless` for an IterBasedRunner, whose plan knows no epochs, and `ranks`, `cuts` and
    `cut_epoch` for runs whose number of workers changes.

    Raises:
        ValueError: the same setting stands in both places.
    """
    if split not in SPLITS:
        raise ValueError(f"split must be one of {SPLITS}, got {split!r}")
    own = dict(data.get(f"{split}_dataloader") or {})
    inherited = _OF_TRAINING if split == "train" else ("workers_per_gpu",)
    common = {key: data[key] for key in inherited if key in data}
    twice = sorted(set(own) & set(common))
    if twice:
        raise ValueError(f"{twice} stand both in data and in data.{split}_dataloader; keep the latter")
    settings = {"samples_per_gpu": 2 if split == "train" else 1, "workers_per_gpu": 2}
    return {**settings, "persistent_workers": split == "train", **common, **own}


_OF_TRAINING = ("samples_per_gpu", "workers_per_gpu", "persistent_workers", "endless", "ranks", "cuts", "cut_epoch")


def make_plan(
    dataset: Any, settings: Mapping[str, Any], split: str, world_size: int = 1, seed: int | None = None
) -> Plan:
    """The plan of one split.

    Args:
        dataset: the data set.
        settings: from `loader_settings`.
        split: "train" shuffles in groups of one aspect ratio; the others go through the samples once, in order.
        world_size: number of ranks.
        seed: the same on all ranks.
    """
    size = settings["samples_per_gpu"]
    options: dict[str, Any] = {"world_size": world_size, "seed": seed or 0, "order": "grouped"}
    if split != "train" or not settings.get("shuffle", True):
        options["order"] = "sequential"
    elif settings.get("endless"):
        options["order"] = "endless"
    class_aware = settings.get("class_aware_sampler")
    if class_aware is not None and split == "train":
        options.update(order="class_aware", samples_per_class=class_aware.get("num_sample_class", 1))
    options.update({key: settings[key] for key in ("cuts", "cut_epoch") if key in settings})
    ranks = settings.get("ranks", world_size)
    plan = IndexPlan.of(dataset, size, **{**options, "world_size": ranks})
    return plan if ranks == world_size else LanePlan(plan, world_size)


def bad_sample_policy(data: Mapping[str, Any], split: str) -> BadSamplePolicy:
    """What `data.bad_samples` says for one split.

    Outside training nothing may take the place of an image, so "skip" becomes "placeholder" there.
    """
    policy = BadSamplePolicy.from_config(data.get("bad_samples"))
    if policy.kind == "skip" and split != "train":
        return BadSamplePolicy("placeholder", policy.quota)
    return policy


def build_carrier(
    dataset: Any,
    data: Mapping[str, Any],
    split: str = "train",
    *,
    rank: int = 0,
    world_size: int = 1,
    seed: int | None = None,
    work_dir: str | None = None,
) -> LoaderCarrier:
    """The carrier of one split through a torch `DataLoader`.

    Args:
        dataset: the built data set.
        data: the config's `data`; its own keys here are `bad_samples` and `device_normalize`.
        split: "train", "val" or "test".
        rank: this process.
        world_size: number of processes.
        seed: the same in all of them.
        work_dir: where bad samples are listed.
    """
    settings = loader_settings(data, split)
    return LoaderCarrier(
        dataset,
        make_plan(dataset, settings, split, world_size, seed),
        rank,
        num_workers=settings["workers_per_gpu"],
        prefetch=settings.get("prefetch_factor", 2),
        persistent=settings["persistent_workers"],
        bad_samples=bad_sample_policy(data, split),
        on_bad_samples=None if work_dir is None else list_in(work_dir, rank),
        defer_normalization=data.get("device_normalize", True),
    )


def build_dataloader(
    dataset: Any,
    samples_per_gpu: int,
    workers_per_gpu: int,
    num_gpus: int = 1,
    dist: bool = True,
    shuffle: bool = True,
    seed: int | None = None,
    runner_type: str = "EpochBasedRunner",
    persistent_workers: bool = False,
    class_aware_sampler: Mapping[str, Any] | None = None,
    **kwargs: Any,
) -> DataLoader[Any]:
    """A torch `DataLoader` with the 2.x samplers; its batches are those of `raydet.datasets.collate`.

    Args:
        dataset: the data set.
        samples_per_gpu: batch size of one device.
        workers_per_gpu: worker processes for one device.
        num_gpus: devices that share one loader; only without `dist`.
        dist: every process reads its own part.
        shuffle: False keeps the order.
        seed: of the order, and of the workers.
        runner_type: "IterBasedRunner" gets endless batches.
        persistent_workers: keep workers between epochs.
        class_aware_sampler: `dict(num_sample_class=...)` draws classes evenly.
        kwargs: other arguments of `DataLoader`.
    """
    rank, world_size = rank_and_world() if dist else (0, 1)
    batch_size, workers = samples_per_gpu, workers_per_gpu
    if not dist:
        batch_size, workers = num_gpus * samples_per_gpu, num_gpus * workers_per_gpu
    seed_of = None if seed is None else partial(worker_init_fn, num_workers=workers, rank=rank, seed=seed)
    common: dict[str, Any] = {
        "num_workers": workers,
        "collate_fn": collate,
        "pin_memory": kwargs.pop("pin_memory", False),
        "worker_init_fn": seed_of,
        "persistent_workers": persistent_workers and workers > 0,
        **kwargs,
    }
    if runner_type == "IterBasedRunner" and shuffle and class_aware_sampler is None:
        stream = samplers.InfiniteGroupBatchSampler(dataset, batch_size, world_size, rank, seed=seed)
        return DataLoader(dataset, batch_sampler=stream, **common)
    if runner_type == "IterBasedRunner" and class_aware_sampler is None:
        stream = samplers.InfiniteBatchSampler(dataset, batch_size, world_size, rank, seed=seed, shuffle=False)
        return DataLoader(dataset, batch_sampler=stream, **common)
    sampler = _epoch_sampler(dataset, samples_per_gpu, (rank, world_size), dist, shuffle, seed, class_aware_sampler)
    return DataLoader(dataset, batch_size=batch_size, sampler=sampler, **common)


def _epoch_sampler(
    dataset: Any,
    samples_per_gpu: int,
    place: tuple[int, int],
    dist: bool,
    shuffle: bool,
    seed: int | None,
    class_aware: Mapping[str, Any] | None,
) -> Any:
    rank, world_size = place
    if class_aware is not None:
        count = class_aware.get("num_sample_class", 1)
        return samplers.ClassAwareSampler(dataset, samples_per_gpu, world_size, rank, seed, count)
    if dist and shuffle:
        return samplers.DistributedGroupSampler(dataset, samples_per_gpu, world_size, rank, seed)
    if dist:
        return samplers.DistributedSampler(dataset, world_size, rank, shuffle=False, seed=seed)
    return samplers.GroupSampler(dataset, samples_per_gpu) if shuffle else None


def worker_init_fn(worker_id: int, num_workers: int, rank: int, seed: int) -> None:
    """Give every worker of every rank a seed of its own."""
    import random

    worker_seed = num_workers * rank + worker_id + seed
    np.random.seed(worker_seed)
    random.seed(worker_seed)
    torch.manual_seed(worker_seed)
