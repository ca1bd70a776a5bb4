import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from raydet.distributed.resources import (
    Capacity,
    NodeGroup,
    check_data_nodes,
    check_resources,
    plan_resources,
    wait_for_resources,
)


def machine(cpus, gpus=0):
    return Capacity([NodeGroup({"CPU": cpus, "GPU": gpus})])


@pytest.mark.parametrize(
    ("cpus", "workers", "wanted", "worker", "actors", "data"),
    [
        (2, 2, 2, 0.5, 1, 0.5),
        (2, 1, 2, 1.0, 1, 1.0),
        (8, 2, 2, 1.0, 2, 1.0),
        (1, 1, 4, 0.5, 1, 0.5),
        (4, 2, 4, 1.0, 1, 1.0),
        (2, 2, 0, 1.0, 0, 1.0),
    ],
)
def test_plan_resources_on_one_machine_leaves_cpus_for_data(cpus, workers, wanted, worker, actors, data):
    plan = plan_resources(machine(cpus), workers, use_gpu=False, data_actors=wanted)
    assert (plan.worker["CPU"], plan.data_actors, plan.data_cpus) == (worker, actors, data)
    check_resources(plan, machine(cpus))


@settings(max_examples=25)
@given(st.integers(1, 64), st.integers(1, 16), st.integers(0, 8))
def test_plan_resources_of_cpu_runs_always_fits(cpus, workers, wanted):
    plan = plan_resources(machine(cpus), workers, use_gpu=False, data_actors=wanted)
    assert plan.needs()["CPU"] <= cpus + 1e-6
    assert plan.data_actors == 0 or plan.data_cpus > 0


def test_plan_resources_with_given_cpus_shares_the_rest():
    plan = plan_resources(machine(4), 2, use_gpu=False, resources_per_worker={"CPU": 1.5}, data_actors=2)
    assert (plan.worker["CPU"], plan.data_actors, plan.data_cpus) == (1.5, 1, 0.5)


@pytest.mark.parametrize(
    ("cpus", "workers", "alone", "worker", "threads"),
    [(2, 1, True, 1.0, 2), (2, 2, True, 0.5, 1), (16, 2, True, 6.0, 8), (16, 2, False, 1.0, 3), (1, 1, True, 0.5, 1)],
)
def test_plan_resources_gives_idle_cpus_of_the_own_machine_to_training(cpus, workers, alone, worker, threads):
    plan = plan_resources(machine(cpus), workers, use_gpu=False, data_actors=2, alone=alone)
    assert (plan.worker["CPU"], plan.num_threads) == (worker, threads)
    check_resources(plan, machine(cpus))


def test_num_threads_leave_out_data_actors_on_other_nodes():
    plan = plan_resources(machine(8), 2, use_gpu=False, data_actors=4, separate_data_nodes=True)
    assert plan.num_threads == 1


def test_check_resources_without_enough_gpus_gives_numbers_and_remedy():
    capacity = machine(8, gpus=1)
    plan = plan_resources(capacity, 4, use_gpu=True)
    with pytest.raises(ValueError, match=r"4 GPU.*at most .*1 GPU.*use_gpu=False"):
        check_resources(plan, capacity)


def test_check_resources_counts_what_the_autoscaler_may_add():
    capacity = Capacity([NodeGroup({"CPU": 0})], [NodeGroup({"CPU": 8, "GPU": 1}, 4)])
    check_resources(plan_resources(capacity, 4, use_gpu=True), capacity)


def test_check_resources_with_unbounded_autoscaler_accepts():
    capacity = Capacity([], [NodeGroup({"CPU": 8}, math.inf)])
    check_resources(plan_resources(capacity, 100, use_gpu=False), capacity)


def test_check_resources_with_bundle_larger_than_any_node_refuses():
    capacity = Capacity([NodeGroup({"CPU": 4})] * 4)
    plan = plan_resources(capacity, 2, use_gpu=False, resources_per_worker={"CPU": 6})
    with pytest.raises(ValueError, match=r"only 0 such workers fit.*largest has 4 CPU"):
        check_resources(plan, capacity)


def test_check_resources_with_nothing_left_for_data_refuses():
    plan = plan_resources(machine(2), 2, use_gpu=False, resources_per_worker={"CPU": 1})
    with pytest.raises(ValueError, match="nothing is left for the data actors"):
        check_resources(plan, machine(2))


def test_wait_for_resources_while_busy_says_so_once_then_returns():
    plan = plan_resources(machine(2), 1, use_gpu=False)
    free = iter([{"CPU": 0}, {"CPU": 1}, {"CPU": 2}])
    said = []
    wait_for_resources(plan, lambda: next(free), timeout=60, say=said.append, interval=0)
    assert len(said) == 1
    assert "0 CPU is free" in said[0]


def test_wait_for_resources_beyond_timeout_raises_with_numbers():
    plan = plan_resources(machine(2), 1, use_gpu=False)
    with pytest.raises(TimeoutError, match="needs 2 CPU and 0 CPU is free"):
        wait_for_resources(plan, lambda: {}, timeout=0, say=lambda _: None)


def test_check_data_nodes_without_labelled_nodes_refuses():
    plan = plan_resources(machine(8), 2, use_gpu=False, data_actors=2, separate_data_nodes=True)
    with pytest.raises(ValueError, match=r"need 4 CPU on nodes labelled \{'pool': 'data'\}, and these have 0"):
        check_data_nodes(plan, Capacity([]), {"pool": "data"})


def test_plan_on_a_cluster_with_unknown_autoscaler_is_not_refused_or_shrunk():
    capacity = Capacity([NodeGroup({"memory": 1.0})], growing=True)
    plan = plan_resources(capacity, 4, use_gpu=True, data_actors=3)
    assert (plan.worker, plan.data_actors, plan.data_cpus) == ({"CPU": 1.0, "GPU": 1.0}, 3, 1.0)
    check_resources(plan, capacity)
