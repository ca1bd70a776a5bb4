import logging

from raydet.distributed.failures import root_cause
from raydet.distributed.monitor import LineHandler, Startup


class Recorder:
    def __init__(self):
        self.sent = []

    def send(self, kind, value):
        self.sent.append((kind, value))


def test_startup_seconds_are_differences_in_order_of_end():
    startup = Startup(began=100.0)
    startup.mark("imports", 103.0)
    startup.mark("ray init", 102.0)
    startup.mark("imports", 109.0)
    assert startup.seconds() == {"ray init": 2.0, "imports": 1.0}
    assert str(startup) == "first step after 3.0 s: ray init 2.0 s, imports 1.0 s"


def test_line_handler_sends_formatted_records():
    recorder = Recorder()
    handler = LineHandler(recorder)
    handler.setFormatter(logging.Formatter("%(levelname)s %(message)s"))
    handler.handle(logging.LogRecord("raydet", logging.INFO, __file__, 1, "loss %.1f", (2.0,), None))
    assert recorder.sent == [("log", "INFO loss 2.0")]


def test_root_cause_looks_through_wrappers():
    inner = ValueError("x")
    outer = RuntimeError("wrapped")
    outer._base_exc = inner
    outermost = RuntimeError("again")
    outermost.cause = outer
    assert root_cause(outermost) is inner
