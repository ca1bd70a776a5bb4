"""What workers tell the driver while they train: log lines, phases of the start, bad samples, events, numbers."""

from __future__ import annotations

import contextlib
import itertools
import logging
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from raydet.distributed.cluster import this_node

if TYPE_CHECKING:
    from raydet.distributed.run_record import RunRecord
    from raydet.distributed.signs import Sign
    from raydet.distributed.watch import Watch

POLL_SECONDS = 0.5
FIRST_STEP = "first step"


@dataclass(frozen=True)
class Event:
    """One thing told.

    A "log" line of rank 0, a "note" for the user, a "phase" by name, the record of a "bad_sample", a "mistake" that
    ends the run, a "failure" that does not, or what is "told" for the record of the run: a name with its facts.
    """

    kind: str
    value: Any
    time: float


class EventBox:
    """Actor in which workers leave events and signs of life, and the driver collects them and leaves orders."""

    def __init__(self) -> None:
        self._events: list[Event] = []
        self._signs: dict[tuple[str, int], Sign] = {}
        self._order: str | None = None
        self._ordered: str | None = None

    def push(self, events: list[Event]) -> None:
        self._events += events

    def drain(self) -> list[Event]:
        events, self._events = self._events, []
        return events

    def sign(self, sign: Sign) -> str | None:
        """Take a sign of life; returns the order that is in force."""
        self._signs[sign.group, sign.rank] = replace(sign, at=time.time())
        return self._order if self._ordered in (None, sign.group) else None

    def signs(self) -> list[Sign]:
        """The last sign of every worker there was."""
        return list(self._signs.values())

    def order(self, order: str | None, group: str | None = None) -> None:
        """Leave an order for the workers of a group, or for all; None takes it back."""
        self._order, self._ordered = order, group


class Reporter:
    """The worker's end: sends events without waiting for an answer."""

    def __init__(self, box: Any) -> None:
        self.box = box

    def send(self, kind: str, value: Any) -> None:
        if self.box is not None:
            self.box.push.remote([Event(kind, value, time.time())])

    def tell(self, name: str, facts: Mapping[str, Any]) -> None:
        """Tell the record of the run of an event, or with the name "report" numbers; see `run_record`."""
        self.send("told", (name, dict(facts)))

    def phase(self, name: str) -> None:
        """Say that the start has got as far as the end of phase `name`."""
        self.send("phase", name)


class LineHandler(logging.Handler):
    """Logging handler that sends each formatted record as a line."""

    def __init__(self, reporter: Reporter) -> None:
        super().__init__(logging.INFO)
        self._reporter = reporter

    def emit(self, record: logging.LogRecord) -> None:
        self._reporter.send("log", self.format(record))


@dataclass
class Startup:
    """When each phase of the start ended, in seconds since `began`; the first report of a phase counts."""

    began: float = field(default_factory=time.time)
    ends: dict[str, float] = field(default_factory=dict)

    def mark(self, phase: str, at: float | None = None) -> None:
        self.ends.setdefault(phase, (at or time.time()) - self.began)

    def seconds(self) -> dict[str, float]:
        """Duration of each phase in the order in which they ended."""
        durations, last = {}, 0.0
        for phase, end in sorted(self.ends.items(), key=lambda item: item[1]):
            durations[phase], last = end - last, end
        return durations

    def __str__(self) -> str:
        parts = ", ".join(f"{phase} {seconds:.1f} s" for phase, seconds in self.seconds().items())
        return f"first step after {max(self.ends.values(), default=0.0):.1f} s: {parts}"


class Monitor:
    """The driver's end: a thread that prints log lines once and keeps phases and bad samples.

    Args:
        startup: gets the phases that workers report.
        say: prints a line.
        lines: print the log lines of rank 0.
        record: of the run.
    """

    def __init__(
        self,
        startup: Startup,
        say: Callable[[str], None],
        lines: bool = True,
        record: RunRecord | None = None,
    ) -> None:
        import ray

        # Elsewhere it could be lost with its node.
        self.box = ray.remote(num_cpus=0, label_selector=this_node())(EventBox).remote()
        self.bad_samples: list[dict[str, Any]] = []
        self.mistake: tuple[int, BaseException, str] | None = None
        self.watch: Watch | None = None
        self._startup = startup
        self.say = say
        self._lines = lines
        self._record = record
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._run, name="raydet-monitor", daemon=True)

    def __enter__(self) -> Monitor:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        import ray

        self._stop.set()
        self._thread.join()
        ray.kill(self.box)

    def _run(self) -> None:
        for number in itertools.count():
            if self._stop.wait(POLL_SECONDS):
                break
            self.collect()
            if number % 2:  # workers give a sign once a second
                self._look()
        self.collect()
        self._look()

    def _look(self) -> None:
        import ray

        with contextlib.suppress(ray.exceptions.RayError, OSError):  # the run's own error says what happened
            if self.watch is not None:
                self.watch.look()

    def tell(self, name: str, facts: Mapping[str, Any]) -> None:
        """Add an event to the record of the run."""
        if self._record is not None:
            self._record.tell(name, facts)

    def collect(self) -> None:
        """Fetch and handle what has been sent so far."""
        import ray

        with self._lock:  # the thread and the end of a run may come at the same time
            try:
                events = ray.get(self.box.drain.remote(), timeout=30)
            except ray.exceptions.RayError:
                return  # the run's own error says what became of the cluster
            for event in events:
                self._take(event)

    def _take(self, event: Event) -> None:
        if event.kind == "note" or (event.kind == "log" and self._lines):
            self.say(event.value)
        elif event.kind == "failure":
            self.say(f"raydet: worker failure ({event.value}); going on from the last checkpoint if tries are left")
            if self.watch is not None:
                self.watch.note(event.value, event.time)
        elif event.kind == "bad_sample":
            self.bad_samples.append(event.value)
        elif event.kind == "mistake":
            self.mistake = event.value
        elif event.kind == "told" and self._record is not None:
            name, facts = event.value
            self._record.tell(name, facts, at=event.time)
        elif event.kind == "phase" and event.value not in self._startup.ends:
            self._startup.mark(event.value, event.time)
            if event.value == FIRST_STEP:
                self.say(str(self._startup))
