from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from raydet.datasets import (
    ClassAwareSampler,
    DistributedGroupSampler,
    GroupSampler,
    IndexPlan,
    InfiniteBatchSampler,
    InfiniteGroupBatchSampler,
)

FLAG = np.array([0, 1, 1, 0, 1, 0, 0, 1, 1, 1, 0, 0, 1], np.uint8)


class Flagged:
    CLASSES = ("x", "y", "z")

    def __init__(self, flag: np.ndarray = FLAG) -> None:
        self.flag = flag

    def __len__(self) -> int:
        return len(self.flag)

    def get_cat2imgs(self) -> dict[int, list[int]]:
        return {0: [0, 1, 2], 1: [], 2: [5, 6]}


@pytest.mark.parametrize(("world_size", "epoch"), [(1, 0), (2, 0), (2, 3), (4, 7)])
def test_grouped_plan_is_the_stream_of_2x(world_size: int, epoch: int) -> None:
    plan = IndexPlan(FLAG, samples_per_batch=2, world_size=world_size, seed=5)
    for rank in range(world_size):
        sampler = DistributedGroupSampler(Flagged(), 2, world_size, rank, seed=5)
        sampler.set_epoch(epoch)
        assert plan.indices(epoch, rank).tolist() == list(sampler)


@settings(max_examples=25, deadline=None)
@given(
    flag=st.lists(st.integers(0, 1), min_size=1, max_size=40),
    batch=st.integers(1, 5),
    world=st.integers(1, 4),
    order=st.sampled_from(["grouped", "shuffled"]),
    epoch=st.integers(0, 100),
)
def test_training_plan_loses_no_sample_and_is_equally_long_everywhere(
    flag: list[int], batch: int, world: int, order: str, epoch: int
) -> None:
    plan = IndexPlan(np.array(flag, np.uint8), batch, world, seed=1, order=order)
    batches = [plan.batches(epoch, rank) for rank in range(world)]
    assert {len(each) for each in batches} == {plan.num_batches()}
    assert {len(each) for rank in batches for each in rank} == {batch}
    seen = {index for rank in batches for each in rank for index in each}
    assert seen == set(range(len(flag)))
    if order == "grouped":
        assert all(len({flag[i] for i in each}) == 1 for rank in batches for each in rank)


@settings(max_examples=25, deadline=None)
@given(count=st.integers(0, 50), batch=st.integers(1, 5), world=st.integers(1, 4))
def test_sequential_plan_sees_every_sample_exactly_once(count: int, batch: int, world: int) -> None:
    plan = IndexPlan(np.zeros(count, np.uint8), batch, world, order="sequential")
    seen = Counter(i for rank in range(world) for each in plan.batches(0, rank) for i in each)
    assert seen == Counter(range(count))
    assert plan.indices(0, 0).tolist() == list(range(0, count, world))


def test_class_aware_plan_draws_classes_evenly() -> None:
    plan = IndexPlan.of(Flagged(), 4, order="class_aware", seed=2)
    drawn = [i in (0, 1, 2) for i in plan.indices(0, 0)]
    assert len(drawn) == 16
    assert sum(drawn) == 8


def test_class_aware_plan_is_the_stream_of_the_sampler() -> None:
    plan = IndexPlan.of(Flagged(), 2, order="class_aware", seed=2, world_size=2)
    sampler = ClassAwareSampler(Flagged(), 2, 2, 1, seed=2)
    sampler.set_epoch(4)
    assert plan.indices(4, 1).tolist() == list(sampler)


def test_plan_of_another_epoch_or_seed_is_another_one() -> None:
    orders = [IndexPlan(FLAG, 2, seed=seed).indices(epoch, 0).tolist() for seed, epoch in [(0, 0), (0, 1), (9, 0)]]
    assert orders[0] != orders[1] != orders[2]


def test_draws_of_a_batch_do_not_depend_on_the_batches_before() -> None:
    first, second = IndexPlan(FLAG, 2, seed=3), IndexPlan(FLAG, 2, seed=3)
    for batch in range(4):
        first.draws(2, 0, batch)
    assert first.draws(2, 0, 4) == second.draws(2, 0, 4)


def test_draws_of_all_samples_of_an_epoch_have_different_seeds() -> None:
    plan = IndexPlan(FLAG, 2, world_size=2)
    draws = [d for rank in range(2) for b in range(plan.num_batches()) for d in plan.draws(0, rank, b)]
    assert len({draw.seed for draw in draws}) == len(draws)


@pytest.mark.parametrize(
    ("options", "message"), [({"order": "random"}, "order"), ({"samples_per_batch": 0}, "samples_per_batch")]
)
def test_plan_with_wrong_arguments_raises(options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        IndexPlan(FLAG, **{"samples_per_batch": 2, **options})


def test_plan_to_train_on_nothing_raises() -> None:
    with pytest.raises(ValueError, match="no samples"):
        IndexPlan(np.zeros(0, np.uint8), 2)


def test_plan_of_a_rank_that_does_not_exist_raises() -> None:
    with pytest.raises(ValueError, match="rank"):
        IndexPlan(FLAG, 2).indices(0, 1)


def test_group_sampler_follows_the_global_seed_as_2x_does() -> None:
    np.random.seed(1)
    drawn = list(GroupSampler(Flagged(np.array([0, 0, 0], np.uint8)), 2))
    np.random.seed(1)
    members = np.arange(3)
    np.random.shuffle(members)
    members = np.concatenate([members, np.random.choice(members, 1)])
    assert drawn == members.reshape(2, 2)[np.random.permutation(2)].ravel().tolist()


def test_infinite_sampler_goes_on_and_covers_everything() -> None:
    stream = iter(InfiniteBatchSampler(Flagged(), 13, 1, 0, seed=0))
    assert sorted(next(stream)) == sorted(next(stream)) == list(range(13))


def test_infinite_sampler_knows_no_epochs() -> None:
    with pytest.raises(NotImplementedError):
        InfiniteGroupBatchSampler(Flagged(), 2, 1, 0).set_epoch(1)


@pytest.mark.parametrize(("world_size", "samples"), [(1, 2), (2, 3), (3, 1)])
def test_endless_plan_is_the_stream_of_2x(world_size: int, samples: int) -> None:
    plan = IndexPlan(FLAG, samples, world_size, seed=5, order="endless")
    for rank in range(world_size):
        stream = iter(InfiniteGroupBatchSampler(Flagged(), samples, world_size, rank, seed=5))
        for epoch in range(4):
            batches = plan.batches(epoch, rank)
            assert len(batches) == plan.num_batches(rank)
            assert batches == [next(stream) for _ in batches]
