"""How often a run starts again in ways that Ray Train does not count; and what its controller says of failures."""

import pytest

from raydet.distributed.failures import FailureHandler, root_cause
from raydet.distributed.fault_tolerance import FaultTolerance
from raydet.distributed.launch import ControllerLost, TrainingFailed, _Tries
from raydet.distributed.signs import PREEMPTION, RESIZE, STOP
from raydet.distributed.stopping import Stopped
from raydet.engine.interruption import Interrupted


def test_results_end_a_run_and_interruptions_start_it_again():
    tries = _Tries(FaultTolerance(max_preemption_failures=1))
    assert not tries.again({"bbox_mAP": 0.5})
    assert not tries.again(None)
    assert all(tries.again(Interrupted(RESIZE, 5)) for _ in range(9))
    assert tries.again(Interrupted(PREEMPTION, 5))
    with pytest.raises(TrainingFailed, match=r"a node is about to go after iteration 7, for the 2\. time.* allows 1"):
        tries.again(Interrupted(PREEMPTION, 7))


def test_lost_controllers_have_a_limit_of_their_own():
    tries = _Tries(FaultTolerance(controller_failure_limit=1, max_failures=0))
    assert tries.again(ControllerLost("the controller was lost"))
    with pytest.raises(TrainingFailed, match="allows 1"):
        tries.again(ControllerLost("the controller was lost"))


def test_request_to_stop_ends_the_program():
    with pytest.raises(Stopped) as caught:
        _Tries(FaultTolerance()).again(Interrupted(STOP, 3))
    assert (caught.value.iteration, caught.value.code) == (3, 143)


class Listener:
    box = None

    def __init__(self):
        self.sent, self.told = [], []

    def send(self, kind, value):
        self.sent.append((kind, value))

    def tell(self, name, facts):
        self.told.append(name)


@pytest.fixture
def handler(monkeypatch):
    waits, now = [], [0.0]
    monkeypatch.setattr("time.sleep", lambda seconds: waits.append(seconds))
    monkeypatch.setattr("time.monotonic", lambda: now[0])

    def fail(after=100.0, error=None):
        now[0] += after
        made.after_exception(None, {0: error or ConnectionError("reset")})

    made = FailureHandler(Listener(), FaultTolerance(back_off=5, max_back_off=15), None)
    return made, fail, waits


def test_restarts_without_a_checkpoint_wait_longer_and_longer(handler):
    made, fail, waits = handler
    for _ in range(5):
        fail()
    assert waits == [5, 10, 15, 15]
    made.after_report(None, [{}], checkpoint=None)
    fail()
    made.after_report(None, [{}], checkpoint="one")
    fail()
    assert waits == [5, 10, 15, 15, 15]


def test_an_error_that_is_told_with_every_poll_counts_once(handler):
    made, fail, waits = handler
    for _ in range(4):
        fail(after=0.5)
    assert made._reporter.told == ["failure"]
    assert not waits


def test_mistakes_end_the_run_at_once(handler):
    _, fail, _ = handler
    with pytest.raises(KeyError, match="zebra"):
        fail(error=KeyError("zebra"))


def test_root_cause_is_what_the_health_check_met():
    class FailedError(Exception):
        health_check_failure = MemoryError("killed")

    assert isinstance(root_cause(FailedError()), MemoryError)
