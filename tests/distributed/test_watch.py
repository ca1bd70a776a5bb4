"""What the driver does about signs of life: without a cluster, on signs that are made up."""

import time

import pytest

from raydet.distributed.fault_tolerance import FaultTolerance
from raydet.distributed.monitor import EventBox
from raydet.distributed.resources import ResourcePlan
from raydet.distributed.signs import RESIZE, STOP, Sign, newest_group
from raydet.distributed.watch import Watch


class Box:
    """Stands in for the actor: calls answer at once."""

    def __init__(self):
        self.given, self.orders = [], []
        self.signs = self.order = self

    def remote(self, *order):
        if order:
            self.orders.append(order)
        return self.given


@pytest.fixture
def box(monkeypatch):
    monkeypatch.setattr("ray.get", lambda value, timeout=None: value)
    return Box()


def watch_of(box, most=2, **faults):
    lines, told = [], []
    plan = ResourcePlan(1, {"CPU": 1.0}, 0, 0.0, most=most)
    watch = Watch(
        box, FaultTolerance(**faults), plan, None, lines.append, lambda name, facts: told.append((name, facts))
    )
    return watch, lines, told


def sign(group="a", started=1.0, rank=0, world_size=1, iteration=None, first=None, idle=0.0, at=None):
    return Sign(group, started, rank, world_size, "node", 1, iteration, first, idle, at or time.time())


def test_restart_says_what_was_lost(box):
    watch, lines, told = watch_of(box)
    now = time.time()
    for given in (
        sign(iteration=12, first=0, at=now),
        sign("b", 2.0),
        sign("b", 2.0, iteration=11, first=10, at=now + 9),
    ):
        box.given = [given]
        watch.note("a killed worker", now + 1.5)
        watch.look()
    (restart,) = watch.restarts
    assert (restart.iteration, restart.lost_iterations, restart.seconds, restart.noticed) == (10, 2, 9.0, 1.5)
    assert lines == [
        "raydet: went on after a killed worker: from iteration 10 with 1 worker; 2 iterations and 9.0 s were lost"
    ]
    assert told == [("restart", vars(restart))]


def test_signs_of_workers_that_are_gone_do_not_count():
    signs = [sign(iteration=3), sign(rank=1, iteration=3), sign("b", 2.0, rank=1), sign("b", 2.0)]
    assert [(each.group, each.rank) for each in newest_group(signs)] == [("b", 0), ("b", 1)]
    assert newest_group([]) == []


@pytest.mark.parametrize("on_hang", ["restart", "report"])
def test_hang_saves_stacks_once_and_names_the_silent_ranks(box, monkeypatch, on_hang):
    saved = []
    monkeypatch.setattr(
        "raydet.distributed.watch.save_stacks", lambda signs, folder, kill: saved.append(kill) or "hangs/now"
    )
    watch, lines, told = watch_of(box, hang_timeout=10, on_hang=on_hang)
    box.given = [sign(world_size=2, iteration=5, first=0, idle=1.0), sign(rank=1, world_size=2, iteration=5, idle=20.0)]
    watch.look()
    watch.look()
    assert saved == [on_hang == "restart"]
    assert "no progress for 20 s on rank 1" in lines[0]
    assert told == [("hang", {"ranks": [1], "stacks": "hangs/now", "action": on_hang})]


def test_room_for_more_workers_is_used_when_it_is_seen_twice(box, monkeypatch):
    rooms = iter([1, 0, 1, 5, 5, 5])
    monkeypatch.setattr("raydet.distributed.watch.free_slots", lambda bundle: next(rooms))
    watch, lines, _ = watch_of(box, most=3, resize_interval=1e-6)
    box.given = [sign(iteration=4, first=0)]
    for _ in range(6):
        time.sleep(0.001)
        watch.look()
    assert box.orders == [(RESIZE, "a")]  # once, since saving a checkpoint takes its time
    assert lines == ["raydet: there is room for 3 workers instead of 1; saving a checkpoint first"]


def test_stop_goes_before_everything(box):
    watch, _, _ = watch_of(box)
    box.given = [sign(iteration=4, first=0)]
    watch.stopping = True
    watch.look()
    assert box.orders == [(STOP,)]


def test_order_for_a_group_is_not_for_the_next_one():
    box = EventBox()
    box.order(RESIZE, "a")
    assert [box.sign(sign()), box.sign(sign("b"))] == [RESIZE, None]
    box.order(STOP)
    assert [box.sign(sign()), box.sign(sign("b"))] == [STOP, STOP]
