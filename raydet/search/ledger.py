"""The ledger of a sweep: one line for each thing that happened, in order, from which everything else can be rebuilt."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from raydet.search.records import Decision, Report, State, TrialRecord

LEDGER = "ledger.jsonl"
PATIENCE = 10.0
"""Seconds that a driver waits for the ledger."""
_OF_CONFIGS = ("params", "options")
_TUPLE = "__tuple__"  # how a tuple of a config, which JSON does not know, is written


class Event(msgspec.Struct, frozen=True, tag_field="event"):
    """Something that happened to the trial `number` at `time` (seconds since the epoch)."""

    number: int
    time: float


class Drawn(Event, frozen=True, tag="drawn"):
    """The sampler chose a point.

    Args:
        params: see `TrialRecord`, like `options`, `seed` and `folder`.
        options: see there.
        seed: see there.
        folder: see there.
        facts: see there.
        notes: what the sampler needs to find when it looks back, see `raydet.search.study`.
        rejected: why the point is none: it breaks a constraint, or an expression has no value; else empty.
    """

    params: dict[str, Any]
    options: dict[str, Any]
    seed: int
    folder: str
    facts: dict[str, float]
    notes: dict[str, Any]
    rejected: str = ""


class Started(Event, frozen=True, tag="started"):
    """A run of the trial began, anew or from its checkpoint."""


class Reported(Event, frozen=True, tag="reported"):
    """The trial was evaluated and judged."""

    report: Report
    decision: Decision


class HandedBack(Event, frozen=True, tag="handed back"):
    """The trial waits for the others of its population."""


class Moved(Event, frozen=True, tag="moved"):
    """The trial goes on from the weights of another one, with other options.

    Args:
        step: at which the population met.
        donor: the other trial.
        params: from here on, like `options`.
        options: see there.
        folder: of the run from here on.
        source: folder of the donor's run.
    """

    step: int
    donor: int
    params: dict[str, Any]
    options: dict[str, Any]
    folder: str
    source: str


class Ended(Event, frozen=True, tag="ended"):
    """The trial is over."""

    state: State
    values: tuple[float, ...] | None = None
    reason: str = ""


AnyEvent = Drawn | Started | Reported | HandedBack | Moved | Ended


class Header(msgspec.Struct, frozen=True, tag="sweep", tag_field="event"):
    """The first line: what must be the same when a sweep goes on.

    Args:
        name: of the sweep.
        identity: of all that decides which trials there are, as `identity_of` makes it.
        version: of raydet.
    """

    name: str
    identity: dict[str, Any]
    version: str


def apply_event(records: dict[int, TrialRecord], event: AnyEvent) -> TrialRecord:
    """Bring the record of the event's trial up to date and return it."""
    if isinstance(event, Drawn):
        records[event.number] = _new_record(event)
    record = records[event.number]
    if isinstance(event, Started):
        record.state, record.attempts = "running", record.attempts + 1
        record.started = record.started or event.time
    elif isinstance(event, Reported):
        record.reports.append(event.report)
        record.decisions.append(event.decision)
    elif isinstance(event, HandedBack):
        record.state = "waiting"
    elif isinstance(event, Moved):
        record.params, record.options, record.folder = event.params, event.options, event.folder
        record.source, record.source_step = event.source, event.step
    elif isinstance(event, Ended):
        record.state, record.values, record.reason, record.ended = event.state, event.values, event.reason, event.time
    return record


def _new_record(event: Drawn) -> TrialRecord:
    record = TrialRecord(event.number, event.params, event.options, event.seed, reports=[], decisions=[])
    record.folder, record.facts = event.folder, event.facts
    if event.rejected:
        record.state, record.reason, record.ended = "rejected", event.rejected, event.time
    return record


class Ledger:
    """The ledger of a sweep that runs; only one process at a time writes it.

    Args:
        folder: of the sweep; made when it does not exist.
        header: of a new ledger; an old one must have the same identity.

    Attributes:
        events: what the ledger held when it was opened.

    Raises:
        ValueError: the ledger is of another sweep, damaged, or in use.
    """

    def __init__(self, folder: Path, header: Header) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.path = folder / LEDGER
        self._file = open(self.path, "ab")  # noqa: SIM115  (open as long as the sweep runs)
        _lock(self._file, self.path, PATIENCE)
        drop_torn_line(self.path)
        lines = _read_lines(self.path)
        earlier = next(lines, None)
        if earlier is None:
            self._write(msgspec.json.encode(header))
        else:
            _check_same(_decode(earlier, Header, self.path, 1), header, self.path)
        self.events = [_decode(line, AnyEvent, self.path, number) for number, line in enumerate(lines, 2)]

    def append(self, event: AnyEvent) -> None:
        """Write an event to the disk before anything else may build on it."""
        fields = {name: getattr(event, name) for name in _OF_CONFIGS if hasattr(event, name)}
        line = {**msgspec.to_builtins(event), **{name: _without_tuples(value) for name, value in fields.items()}}
        self._write(msgspec.json.encode(line))

    def _write(self, line: bytes) -> None:
        self._file.write(line + b"\n")
        self._file.flush()
        os.fsync(self._file.fileno())

    def close(self) -> None:
        self._file.close()


def read_ledger(folder: str | Path) -> list[TrialRecord]:
    """The trials of a sweep, in the order of their numbers; also of one that runs.

    Raises:
        FileNotFoundError: the folder holds no ledger.
        ValueError: a line other than the last is damaged.
    """
    records: dict[int, TrialRecord] = {}
    for event in read_events(folder):
        apply_event(records, event)
    return [records[number] for number in sorted(records)]


def read_events(folder: str | Path) -> Iterator[AnyEvent]:
    """What happened in a sweep, in order; see `read_ledger`."""
    path = Path(folder) / LEDGER
    if not path.is_file():
        raise FileNotFoundError(f"{folder} is no sweep folder: it holds no {LEDGER}; give the folder of a sweep")
    lines = _read_lines(path)
    next(lines, None)
    for number, line in enumerate(lines, 2):
        yield _decode(line, AnyEvent, path, number)


def drop_torn_line(path: Path) -> None:
    """Cut off what a killed process left behind the last whole line."""
    with path.open("r+b") as file:
        content = file.read()
        if content and not content.endswith(b"\n"):
            file.truncate(content.rfind(b"\n") + 1)


def _read_lines(path: Path) -> Iterator[bytes]:
    """Whole lines; what a writer is just writing, or left torn, is none."""
    with path.open("rb") as file:
        yield from (line for line in file if line.endswith(b"\n"))


def _decode(line: bytes, kind: Any, path: Path, number: int) -> Any:
    try:
        fields = msgspec.json.decode(line)
        fields.update({name: _with_tuples(fields[name]) for name in _OF_CONFIGS if name in fields})
        return msgspec.convert(fields, kind)
    except msgspec.DecodeError as error:
        raise ValueError(f"{path}:{number}: the ledger is damaged ({error}); restore the file from a copy") from error


def _check_same(earlier: Header, header: Header, path: Path) -> None:
    """A sweep goes on only as the sweep that it was."""
    for key, value in msgspec.json.decode(msgspec.json.encode(header.identity)).items():
        if earlier.identity.get(key) != value:
            raise ValueError(
                f"{path} is of a sweep with {key} {earlier.identity.get(key)!r}, and now {key} is {value!r}; resume "
                "with the same sweep file, or start another sweep with a new name"
            )


def _lock(file: Any, path: Path, patience: float) -> None:
    """Keep others from writing; what a killed process had started may hold its lock a little longer than itself."""
    import fcntl

    deadline = time.monotonic() + patience
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            if time.monotonic() > deadline:
                message = f"{path} is in use: another process runs this sweep; wait for it or end it first"
                raise ValueError(message) from None
            time.sleep(0.2)
        except OSError:
            return  # a file system without locks


def _without_tuples(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _without_tuples(item) for key, item in value.items()}
    if isinstance(value, tuple):
        return {_TUPLE: [_without_tuples(item) for item in value]}
    return [_without_tuples(item) for item in value] if isinstance(value, list) else value


def _with_tuples(value: Any) -> Any:
    if isinstance(value, dict):
        if value.keys() == {_TUPLE}:
            return tuple(_with_tuples(item) for item in value[_TUPLE])
        return {key: _with_tuples(item) for key, item in value.items()}
    return [_with_tuples(item) for item in value] if isinstance(value, list) else value
