"""What a run asks of an autoscaler, and how it takes the answers."""

import importlib

import pytest

from raydet.distributed import autoscaler
from raydet.distributed.autoscaler import Demand, bring_nodes
from raydet.distributed.fault_tolerance import FaultTolerance
from raydet.distributed.request import Request
from raydet.distributed.resources import Capacity, NodeGroup, ResourcePlan

DEMAND = Demand([{"CPU": 1.0}], [{}], "1 worker of 1 CPU")


class Group:
    """A placement group that becomes ready at its n-th look."""

    def __init__(self, ready_at):
        self.looks = 0
        self.ready_at = ready_at
        self.removed = False

    def wait(self, _):
        self.looks += 1
        return self.looks >= self.ready_at


@pytest.fixture
def cluster(monkeypatch):
    """Stands for the cluster: the group it makes, whether it refuses, whether it is idle."""
    module = importlib.import_module("ray.util.placement_group")
    state = {"group": Group(10**9), "refuses": False, "idle": True}
    monkeypatch.setattr(module, "placement_group", lambda *_, **__: state["group"])
    monkeypatch.setattr(module, "remove_placement_group", lambda group: setattr(group, "removed", True))
    monkeypatch.setattr(autoscaler, "_refuses", lambda _: state["refuses"])
    monkeypatch.setattr(autoscaler, "_is_idle", lambda: state["idle"])
    return state


def bring(timeout=60.0, patience=0.0):
    said = []
    bring_nodes(DEMAND, timeout=timeout, say=said.append, interval=0.0, patience=patience)
    return said


def test_bring_nodes_that_are_free_says_nothing_and_gives_them_back(cluster):
    cluster["group"] = Group(ready_at=1)
    assert bring() == []
    assert cluster["group"].removed


def test_bring_nodes_that_come_later_says_so_once(cluster):
    cluster["group"] = Group(ready_at=5)
    assert len(bring()) == 1
    assert cluster["group"].removed


def test_bring_nodes_that_an_idle_autoscaler_refuses_raises(cluster):
    cluster["refuses"] = True
    with pytest.raises(ValueError, match=r"can never give 1 worker of 1 CPU.*max_workers"):
        bring()
    assert cluster["group"].removed


def test_bring_nodes_waits_while_others_use_a_full_cluster(cluster):
    cluster.update(refuses=True, idle=False)
    with pytest.raises(TimeoutError, match="at its limits while others use the cluster"):
        bring(timeout=0.01)


def test_bring_nodes_takes_no_for_an_answer_only_if_it_lasts(cluster):
    cluster.update(refuses=True, group=Group(ready_at=5))
    assert len(bring(patience=60.0)) == 1


def request(**more):
    options = {"num_workers": 2, "use_gpu": None, "resources_per_worker": None, "faults": FaultTolerance()}
    options |= {"carrier": "ray", "data_label_selector": {"pool": "data"}, "worker_label_selector": {"pool": "train"}}
    return Request(**{**options, "wait": 1.0, "say": print, **more})


def test_demand_holds_workers_and_data_actors_with_their_labels():
    demand = request()._demand(ResourcePlan(2, {"CPU": 1.0, "GPU": 1.0}, 2, 1.0))
    assert demand.bundles == [{"CPU": 1.0, "GPU": 1.0}] * 2 + [{"CPU": 1.0}] * 4
    assert demand.selectors == [{"pool": "train"}] * 2 + [{"pool": "data"}] * 4


def test_whether_to_use_gpus_must_be_said_where_nodes_are_yet_to_come():
    empty = Capacity([NodeGroup({"memory": 1.0})], growing=True)
    with pytest.raises(ValueError, match="say whether to use GPUs"):
        request()._gpus(empty)
    assert request(use_gpu=True)._gpus(empty)
    assert request()._gpus(Capacity([NodeGroup({"GPU": 1.0})], growing=True))
