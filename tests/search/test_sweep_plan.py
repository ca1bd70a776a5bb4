"""What trials take of a cluster, and how many run at a time."""

import pytest

from raydet.distributed.resources import Capacity, NodeGroup
from raydet.search.plan import plan_sweep
from raydet.search.settings import TrialSettings


def cluster(count, **resources):
    return Capacity([NodeGroup(resources, count)])


def planned(settings, capacity, data_actors=1, num_trials=100, alone=False):
    plan = plan_sweep(TrialSettings(**settings), capacity, data_actors=data_actors, num_trials=num_trials, alone=alone)
    return plan.concurrent, plan.bundles[0]


def test_as_many_trials_run_as_fit_with_their_data_actors():
    assert planned({}, cluster(1, CPU=8)) == (4, {"CPU": 1.0})
    assert planned({}, cluster(1, CPU=8), data_actors=3) == (2, {"CPU": 1.0})
    assert planned({}, cluster(1, CPU=8), data_actors=0) == (8, {"CPU": 1.0})
    assert planned({}, cluster(1, CPU=8), num_trials=3) == (3, {"CPU": 1.0})
    assert planned({"gpus": 0.5}, cluster(2, CPU=32, GPU=4)) == (16, {"CPU": 1.0, "GPU": 0.5})


def test_trials_that_are_asked_for_at_a_time_share_what_there_is():
    assert planned({"concurrent": 2}, cluster(1, CPU=2)) == (2, {"CPU": 0.5})
    assert planned({"concurrent": 2}, cluster(1, CPU=8)) == (2, {"CPU": 1.0})
    assert planned({"concurrent": 1}, cluster(1, CPU=8), alone=True) == (1, {"CPU": 7.0})


def test_workers_of_a_trial_take_their_resources_themselves():
    assert planned({"num_workers": 4}, cluster(4, CPU=16, GPU=4)) == (4, {"memory": 1.0})
    assert planned({"num_workers": 2, "concurrent": 4}, cluster(1, CPU=4))[0] == 1


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"gpus": 2.0}, r"needs 1 worker of 1 CPU, 2 GPU.*at most 16 CPU, 4 GPU, but only 0 such workers fit"),
        ({"num_workers": 5, "use_gpu": True}, r"needs 5 workers.*5 GPU.*at most 16 CPU, 4 GPU"),
    ],
)
def test_trial_that_can_never_fit_is_refused_with_the_numbers(settings, message):
    with pytest.raises(ValueError, match=message):
        planned(settings, cluster(4, CPU=4, GPU=1))
