"""Nodes that vanish, come back, or say beforehand that they go."""

from __future__ import annotations

import time

import pytest
from harness import INTERVAL, assert_equal, wait_for, weights

pytestmark = [pytest.mark.ray, pytest.mark.chaos, pytest.mark.slow]
CLOSE = "equal to 1e-3: sums have another order"
TWO = {"elastic": {"batch": "keep", "workers": 2}}
ONE_CPU = {"resources_per_worker": {"CPU": 1}}


@pytest.fixture(scope="module")
def calm_two(coco, environment, tmp_path_factory):
    """The weights of the undisturbed run with the batch of two workers, made by one process."""
    from harness import Chaos

    two = Chaos(tmp_path_factory.mktemp("calm_two"), coco, [], "")
    return weights(two.train(two.config(**TWO), local=True))


def drain(node_id, seconds):
    """What a cloud's notice does: the node goes in so many seconds."""
    import ray
    from ray.core.generated import autoscaler_pb2

    client = ray._raylet.GcsClient(address=ray.get_runtime_context().gcs_address)
    deadline = int((time.time() + seconds) * 1000)
    reason = autoscaler_pb2.DrainNodeReason.Value("DRAIN_NODE_REASON_PREEMPTION")
    accepted, message = client.drain_node(node_id, reason, "the spot price rose", deadline)
    assert accepted, message


def lose(cluster, nodes, node_id):
    """Kill the raylet of a node, and with it all that runs there."""
    (node,) = [each for each in nodes if each.node_id == node_id]
    cluster.remove_node(node, allow_graceful=False)


def test_lost_node_with_a_spare_one(nodes, chaos, calm_two):
    cluster, added = nodes(3)
    run = chaos.in_background(chaos.config("wait_a_while", at=8, pace=0.3), num_workers=2, **ONE_CPU)
    wait_for(lambda: chaos.hurt(8))
    lose(cluster, added, chaos.node(8))
    result = run.result()
    assert [restart.workers for restart in result.restarts] == [2]
    assert result.restarts[0].iteration >= INTERVAL
    chaos.assert_same_batches_again()
    assert_equal(weights(result), calm_two, close=True)
    chaos.row("3 lost node", "SIGKILL of the raylet of a node, a spare one is there", "the run", result.restarts, CLOSE)


def test_lost_node_then_half_the_workers_then_the_node_comes_back(nodes, chaos, calm_two):
    cluster, added = nodes(2)
    faults = {"resize_interval": 2, "back_off": 1}
    cfg = chaos.config("wait_a_while", at=(7, 12), pace=1.0, fault_tolerance=faults, **TWO)
    run = chaos.in_background(cfg, num_workers="1:2", **ONE_CPU)
    wait_for(lambda: chaos.hurt(7))
    lose(cluster, added, chaos.node(7))
    wait_for(lambda: chaos.hurt(12))
    cluster.add_node(num_cpus=1, object_store_memory=80 * 1024**2)
    result = run.result(400)
    lost, grown = result.restarts
    assert (lost.workers, grown.workers) == (1, 2)
    assert grown.lost_iterations == 0
    assert_equal(weights(result), calm_two, close=True)
    assert max(number for number, *_ in chaos.iterations()) == 20
    chaos.row(
        "3 lost node", "one of two nodes lost, num_workers=1:2", "the run with one worker", [lost], "equal to 1e-3"
    )
    chaos.row("4 node comes back", "room for a second worker", "the run with two workers", [grown], "equal to 1e-3")


def test_node_that_says_it_goes(nodes, chaos, calm_two):
    cluster, added = nodes(3)
    run = chaos.in_background(chaos.config("wait_a_while", at=8, pace=0.3), num_workers=2, **ONE_CPU)
    wait_for(lambda: chaos.hurt(8))
    going = chaos.node(8)
    drain(going, 60)
    wait_for(lambda: chaos.said("a node is about to go"))
    wait_for(lambda: chaos.said("starting again from the last checkpoint"))
    lose(cluster, added, going)
    result = run.result()
    assert [restart.lost_iterations for restart in result.restarts] == [0]
    chaos.assert_same_batches_again()
    assert_equal(weights(result), calm_two, close=True)
    chaos.row("8 notice", "a node is drained, 60 s before it goes", "the run, on another node", result.restarts, CLOSE)


def test_node_that_goes_sooner_than_a_checkpoint_takes(nodes, chaos, calm_two):
    cluster, added = nodes(3)
    cfg = chaos.config("wait_a_while", at=8, pace=1.0, fault_tolerance={"notice_interval": 60, "back_off": 1})
    run = chaos.in_background(cfg, num_workers=2, **ONE_CPU)
    wait_for(lambda: chaos.hurt(8))
    going = chaos.node(8)
    drain(going, 1)
    time.sleep(1)
    lose(cluster, added, going)
    result = run.result()
    assert result.restarts[0].iteration % INTERVAL == 0
    chaos.assert_same_batches_again()
    assert_equal(weights(result), calm_two, close=True)
    chaos.row("8 notice", "a node goes 1 s after the notice", "the run, from a checkpoint", result.restarts, CLOSE)
