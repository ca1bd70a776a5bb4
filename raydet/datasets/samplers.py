"""The 2.x samplers: index streams for a torch DataLoader."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np
from torch.utils.data import Sampler

from raydet.datasets import order
from raydet.datasets.ranks import rank_and_world


class GroupSampler(Sampler[int]):
    """Batches of one aspect ratio each, drawn from the global `numpy.random` state, for a single process."""

    def __init__(self, dataset: Any, samples_per_gpu: int = 1) -> None:
        self.dataset = dataset
        self.samples_per_gpu = samples_per_gpu
        self.flag = order.flags_of(dataset).astype(np.int64)
        self.group_sizes = np.bincount(self.flag)
        self.num_samples = int(-(-self.group_sizes // samples_per_gpu).sum() * samples_per_gpu)

    def __iter__(self) -> Iterator[int]:
        parts = [np.empty(0, np.int64)]
        for group in np.flatnonzero(self.group_sizes):
            members = np.flatnonzero(self.flag == group)
            np.random.shuffle(members)
            missing = -len(members) % self.samples_per_gpu
            parts += [members, np.random.choice(members, missing)]
        batches = np.concatenate(parts).reshape(-1, self.samples_per_gpu)
        return iter(batches[np.random.permutation(len(batches))].ravel().tolist())

    def __len__(self) -> int:
        return self.num_samples


class _EpochSampler(Sampler[int]):
    """A stream that depends on seed and epoch; every rank gets `num_samples`."""

    num_samples: int

    def __init__(self, dataset: Any, num_replicas: int | None, rank: int | None, seed: int | None) -> None:
        own_rank, world_size = rank_and_world()
        self.dataset = dataset
        self.rank = own_rank if rank is None else rank
        self.num_replicas = world_size if num_replicas is None else num_replicas
        self.seed = 0 if seed is None else seed
        self.epoch = 0

    @property
    def total_size(self) -> int:
        """Samples of all ranks together."""
        return self.num_samples * self.num_replicas

    def set_epoch(self, epoch: int) -> None:
        """Say which epoch comes next."""
        self.epoch = epoch

    def _own_part(self, indices: np.ndarray) -> Iterator[int]:
        return iter(indices[self.rank * self.num_samples : (self.rank + 1) * self.num_samples].tolist())

    def __len__(self) -> int:
        return self.num_samples


class DistributedGroupSampler(_EpochSampler):
    """Batches of one aspect ratio each; every rank has as many of each group."""

    def __init__(
        self,
        dataset: Any,
        samples_per_gpu: int = 1,
        num_replicas: int | None = None,
        rank: int | None = None,
        seed: int | None = 0,
    ) -> None:
        super().__init__(dataset, num_replicas, rank, seed)
        self.samples_per_gpu = samples_per_gpu
        self.flag = order.flags_of(dataset)
        _, self.group_sizes = np.unique(self.flag, return_counts=True)
        batches = -(-self.group_sizes // (samples_per_gpu * self.num_replicas))
        self.num_samples = int(batches.sum() * samples_per_gpu)

    def __iter__(self) -> Iterator[int]:
        generator = order.generator_of(self.epoch + self.seed)
        return self._own_part(order.grouped_order(self.flag, self.samples_per_gpu, self.num_replicas, generator))


class DistributedSampler(_EpochSampler):
    """Every `num_replicas`-th sample."""

    def __init__(
        self,
        dataset: Any,
        num_replicas: int | None = None,
        rank: int | None = None,
        shuffle: bool = True,
        seed: int | None = 0,
    ) -> None:
        super().__init__(dataset, num_replicas, rank, seed)
        self.shuffle = shuffle
        self.num_samples = -(-len(dataset) // self.num_replicas)

    def __iter__(self) -> Iterator[int]:
        generator = order.generator_of(self.epoch + self.seed) if self.shuffle else None
        indices = order.plain_order(len(self.dataset), self.num_replicas, generator)
        return iter(indices[self.rank :: self.num_replicas].tolist())


class ClassAwareSampler(_EpochSampler):
    """Draws classes evenly, then images that show them (arXiv:1512.05830).

    Args:
        dataset: must have `get_cat2imgs`.
        samples_per_gpu: batch size.
        num_replicas: number of ranks.
        rank: this one.
        seed: the same on all ranks.
        num_sample_class: images for each class drawn.
    """

    def __init__(
        self,
        dataset: Any,
        samples_per_gpu: int = 1,
        num_replicas: int | None = None,
        rank: int | None = None,
        seed: int | None = 0,
        num_sample_class: int = 1,
    ) -> None:
        super().__init__(dataset, num_replicas, rank, seed)
        if num_sample_class < 1:
            raise ValueError(f"num_sample_class must be 1 at least, got {num_sample_class}")
        self.samples_per_gpu = samples_per_gpu
        self.num_sample_class = num_sample_class
        self.cat_dict = dataset.get_cat2imgs()
        self.num_samples = -(-len(dataset) // (self.num_replicas * samples_per_gpu)) * samples_per_gpu

    def __iter__(self) -> Iterator[int]:
        generator = order.generator_of(self.epoch + self.seed)
        return self._own_part(order.class_aware_order(self.cat_dict, self.total_size, self.num_sample_class, generator))


class InfiniteGroupBatchSampler(Sampler[list[int]]):
    """Endless batches of one aspect ratio each, for iteration-based training.

    Args:
        dataset: its `flag` groups the samples.
        batch_size: samples in a batch.
        world_size: number of ranks.
        rank: this one.
        seed: the same on all ranks.
        shuffle: False goes through the samples in order.
    """

    def __init__(
        self,
        dataset: Any,
        batch_size: int = 1,
        world_size: int | None = None,
        rank: int | None = None,
        seed: int | None = 0,
        shuffle: bool = True,
    ) -> None:
        own_rank, size = rank_and_world()
        self.rank = own_rank if rank is None else rank
        self.world_size = size if world_size is None else world_size
        self.dataset = dataset
        self.batch_size = batch_size
        self.seed = 0 if seed is None else seed
        self.shuffle = shuffle
        self.size = len(dataset)
        self.flag = self._groups()

    def _groups(self) -> np.ndarray:
        return order.flags_of(self.dataset)

    def __iter__(self) -> Iterator[list[int]]:
        waiting: dict[int, list[int]] = {int(group): [] for group in np.unique(self.flag)}
        stream = order.infinite_order(self.size, self.seed, self.shuffle)
        for index in itertools.islice(stream, self.rank, None, self.world_size):
            group = waiting[int(self.flag[index])]
            group.append(index)
            if len(group) == self.batch_size:
                yield group.copy()
                group.clear()

    def __len__(self) -> int:
        return self.size

    def set_epoch(self, epoch: int) -> None:
        """There are no epochs in an endless stream."""
        raise NotImplementedError("an endless sampler knows no epochs; use it with IterBasedRunner")


class InfiniteBatchSampler(InfiniteGroupBatchSampler):
    """Endless batches, without regard to aspect ratios."""

    def _groups(self) -> np.ndarray:
        return np.zeros(self.size, np.uint8)
