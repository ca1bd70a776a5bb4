"""Epochs that are divided anew in their middle, and workers that stand in for several ranks."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from raydet.datasets import IndexPlan
from raydet.datasets.lanes import LaneCarrier, LanePlan, lanes_of
from raydet.datasets.resharding import Cut, first_batch

ORDERS = ("grouped", "shuffled")


def plan_of(count, world_size, order="grouped", cuts=(), seed=5):
    flag = (np.arange(count) % 3 == 0).astype(np.uint8)
    return IndexPlan(flag, 2, world_size, seed=seed, order=order, cuts=tuple(Cut(*cut) for cut in cuts), cut_epoch=1)


def taken(plan, start, stop):
    """Samples of all ranks in some batches of the epoch that is cut."""
    return [
        draw.sample for rank in range(plan.world_size) for b in range(start, stop) for draw in plan.draws(1, rank, b)
    ]


@pytest.mark.parametrize("order", ORDERS)
def test_epoch_of_changing_workers_shows_every_sample_once(order):
    """2, then 1, then 4 ranks; the data set divides evenly, so that nothing has to be filled up."""
    plans = [plan_of(48, 2, order), plan_of(48, 1, order, [(2, 3)])]
    stop = first_batch(plans[1]) + 6
    plans.append(plan_of(48, 4, order, [(2, 3), (1, stop)]))
    shown = taken(plans[0], 0, 3) + taken(plans[1], first_batch(plans[1]), stop)
    shown += taken(plans[2], first_batch(plans[2]), plans[2].num_batches())
    assert sorted(shown) == list(range(48))


@settings(max_examples=60, deadline=None)
@given(st.data(), st.integers(9, 60), st.sampled_from(ORDERS))
def test_no_sample_is_left_out_and_none_comes_again_but_to_fill_up(data, count, order):
    worlds = data.draw(st.lists(st.integers(1, 4), min_size=2, max_size=4))
    cuts, start, shown = [], 0, []
    for number, world in enumerate(worlds):
        plan = plan_of(count, world, order, cuts)
        start = first_batch(plan) if cuts else 0
        last = number == len(worlds) - 1
        stop = plan.num_batches() if last else data.draw(st.integers(start, plan.num_batches()))
        seen_before = set(shown)
        now = taken(plan, start, stop)
        assert not seen_before & set(now)
        shown += now
        cuts.append((world, stop))
    assert set(shown) == set(range(count))
    filled = max(worlds) * 2 * 2 * len(worlds)  # less than a step for each of two groups, each time
    assert len(shown) - count <= filled


def test_workers_that_leave_before_their_first_batch_have_seen_nothing():
    """Their plan may be shorter than the epoch; what fills it up in front is no sample that was shown."""
    plan = plan_of(26, 1, cuts=[(1, 0), (2, first_batch(plan_of(26, 2, cuts=[(1, 0)])))])
    assert set(taken(plan, first_batch(plan), plan.num_batches())) == set(range(26))


def test_batches_of_the_rest_have_one_group_each_and_epochs_after_it_are_as_ever():
    plan, calm = plan_of(50, 2, cuts=[(3, 2)]), plan_of(50, 2)
    for rank in range(2):
        for batch in range(first_batch(plan), plan.num_batches()):
            assert len({plan.flag[draw.sample] for draw in plan.draws(1, rank, batch)}) == 1
        assert plan.batches(2, rank) == calm.batches(2, rank)
    assert plan.num_batches() == calm.num_batches()


def test_class_aware_rest_is_what_was_drawn_and_not_yet_shown():
    images = {0: [0, 1, 2], 1: [3, 4, 5, 6]}
    common = {"order": "class_aware", "images_of": images, "seed": 1, "cut_epoch": 1}
    whole = IndexPlan(np.zeros(24, np.uint8), 2, 2, **common)
    rest = IndexPlan(np.zeros(24, np.uint8), 2, 1, cuts=(Cut(2, 3),), **common)
    shown = taken(whole, 0, 3) + taken(rest, first_batch(rest), rest.num_batches())
    assert Counter(shown) == Counter(taken(whole, 0, whole.num_batches()))


def test_endless_order_has_no_epoch_to_divide():
    with pytest.raises(ValueError, match="'endless' order cannot be divided anew"):
        plan_of(10, 2, "endless", [(1, 1)])


@pytest.mark.parametrize("workers", [1, 2, 3, 4])
def test_lanes_of_all_workers_are_all_ranks_and_their_weighted_mean_is_that_over_ranks(workers):
    values = {rank: 10.0**rank for rank in range(4)}
    lanes = [lanes_of(worker, workers, 4) for worker in range(workers)]
    assert len({len(own) for own in lanes}) == 1
    assert sorted(lane.rank for own in lanes for lane in own if lane.weight) == [0, 1, 2, 3]
    mean = sum(lane.weight * values[lane.rank] for own in lanes for lane in own) / workers
    assert mean == pytest.approx(sum(values.values()) / 4)


def test_lanes_for_fewer_ranks_than_workers_are_refused():
    with pytest.raises(ValueError, match="a batch for 2 workers cannot be divided among 3"):
        lanes_of(0, 3, 2)


def test_lane_plan_shows_the_batches_of_the_ranks_it_stands_for():
    plan = plan_of(48, 4)
    half = LanePlan(plan, 2)
    for step in range(plan.num_batches()):
        for worker in range(2):
            own = [half.draws(0, worker, 2 * step + turn) for turn in range(2)]
            assert own == [plan.draws(0, rank, step) for rank in (worker, worker + 2)]
    assert half.num_batches(1) == 2 * plan.num_batches()


def test_lane_carrier_gives_a_step_at_a_time_from_any_position():
    class Numbers:
        dataset, counter = "data", None

        def __len__(self):
            return 6

        def iterate(self, epoch, start=0):
            return iter([{"n": number} for number in range(start, 6)])

    carrier = LaneCarrier(Numbers(), 2)
    assert len(carrier) == 3
    assert [(step["n"], step.others) for step in carrier.iterate(0, 1)] == [(3, [{"n": 2}]), (5, [{"n": 4}])]
