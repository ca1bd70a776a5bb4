"""The files that tell of a run: how it was launched, what happened when, its numbers, and how it stands.

The process that starts a run writes them into the run folder, so that they can be read without a cluster:

    launches/<time>.json   command, git state, packages, environment and seed of each launch, with <time>.diff
    timeline.jsonl         one event a line, such as a first step, a lost worker, a checkpoint
    metrics.jsonl          the numbers of rank 0, a line every few iterations and every evaluation; also as Parquet
    status.json            all of it added up; written anew every few seconds while the run lives
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pyarrow.fs as pafs

from raydet.distributed import provenance
from raydet.distributed.mirror import RunMirror
from raydet.distributed.standing import STATUS, TIMELINE, Standing, read_lines
from raydet.distributed.storage import RunFolder
from raydet.distributed.words import first_line

METRICS, TABLE = "metrics.jsonl", "metrics.parquet"
_logger = logging.getLogger("raydet.distributed")
HEARTBEAT = 10.0
"""Seconds between two signs of life in `status.json`; object storage gets them every `UPLOADS` seconds."""
UPLOADS = 15.0
_TICK = 1.0


class RunRecord:
    """Writes the record of one run; a run that goes on goes on in the same files.

    A record that cannot be written is said once, and does not end the run.

    Args:
        folder: of the run.
        facts: of this launch beside those of `provenance`, such as the config's name, workers and resources.
        best_by: metric that decides which evaluation was best; the first one when empty.
        on_event: called after each event with how the run stands.
    """

    def __init__(
        self,
        folder: RunFolder,
        facts: Mapping[str, Any],
        best_by: str = "",
        on_event: Callable[[Standing], None] | None = None,
    ) -> None:
        self._folder = folder
        self._facts = dict(facts)
        self._on_event = on_event
        self._place = folder.local or Path(tempfile.mkdtemp(prefix="raydet_record_"))
        self._mirror = None if folder.local else RunMirror(self._place, folder)
        self._place.mkdir(parents=True, exist_ok=True)
        if self._mirror is not None:
            self._fetch()
        for name in (TIMELINE, METRICS):
            _end_last_line(self._place / name)
        status = self._place / STATUS
        self.standing = Standing.from_dict(json.loads(status.read_text())) if status.exists() else Standing()
        self.standing.best_by = best_by
        self._lock = threading.Lock()
        self._complained = False
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._live, name="raydet-record", daemon=True)

    def __enter__(self) -> RunRecord:
        self.tell("launch", {"name": self._folder.name, **self._facts})
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: object) -> None:
        self._stop.set()
        self._thread.join()
        state = "finished" if kind is None else "failed" if issubclass(kind, Exception) else "interrupted"
        self.tell("end", {"state": state, **({"error": _cause(error)} if error is not None else {})})
        with self._forgiving():
            self._write_table()
        if self._mirror is not None:
            self._mirror.close()

    @contextlib.contextmanager
    def _forgiving(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            if not self._complained:
                _logger.warning("the record of the run in %s cannot be written: %s", self._folder, error)
            self._complained = True

    def tell(self, name: str, facts: Mapping[str, Any], at: float | None = None) -> None:
        """Take an event with its facts, or what a rank reports."""
        at = at or time.time()
        with self._lock, self._forgiving():
            if name == "report":
                self._report(facts, at)
            else:
                self._event(name, facts, at)
        if self._on_event is not None and name != "report":
            self._on_event(self.standing)

    def _event(self, name: str, facts: Mapping[str, Any], at: float) -> None:
        """Add an event to the timeline; at the end of an evaluation, its numbers go to the metrics as well."""
        self.standing.take_event(name, at, facts)
        self._append(TIMELINE, {"time": stamp(at), "event": name, **facts})
        if name == "evaluation":
            position = {"epoch": facts.get("epoch"), "iter": facts.get("iter")}
            self._append(METRICS, {"time": stamp(at), "mode": "val", **position, **facts["metrics"]})
        self._write_status()

    def _report(self, facts: Mapping[str, Any], at: float) -> None:
        self.standing.take_report(at, facts)
        if facts["rank"] == 0:
            numbers = {name: value for name, value in facts.items() if name not in ("rank", "seconds")}
            self._append(METRICS, {"time": stamp(at), "mode": "train", **numbers})

    def _live(self) -> None:
        """Write down the launch, then give signs of life until the end."""
        with self._forgiving():
            self._write_launch()
        written = sent = time.monotonic()
        while not self._stop.wait(_TICK):
            now = time.monotonic()
            if now - written >= HEARTBEAT:
                with self._lock, self._forgiving():
                    self.standing.updated = time.time()
                    self._write_status()
                written = now
            if self._mirror is not None and now - sent >= UPLOADS * min(max(1.0, self._size() / 2**20), 3.0):
                self._mirror.update()
                sent = now

    def _write_launch(self) -> None:
        folder = self._place / "launches"
        folder.mkdir(exist_ok=True)
        name = time.strftime("%Y%m%d_%H%M%S", time.localtime(self.standing.launched))
        here = Path.cwd()
        known = {
            **provenance.describe_command(),
            **self._facts,
            "source": provenance.describe_source(here),
            "packages": provenance.describe_packages(),
            "environment": provenance.describe_environment(),
        }
        (folder / f"{name}.json").write_text(json.dumps(known, indent=1, default=str))
        patch = provenance.changes(here)
        if patch:
            (folder / f"{name}.diff").write_text(patch)

    def _append(self, name: str, line: Mapping[str, Any]) -> None:
        with (self._place / name).open("a", encoding="utf-8") as file:
            file.write(json.dumps(provenance.masked(line), default=str) + "\n")

    def _write_status(self) -> None:
        fresh = self._place / f".{STATUS}"
        fresh.write_text(json.dumps(self.standing.to_dict(), default=str))
        os.replace(fresh, self._place / STATUS)

    def _write_table(self) -> None:
        path = self._place / METRICS
        if path.exists():
            write_table(read_lines(path.read_text()), self._place / TABLE)

    def _size(self) -> int:
        return sum(path.stat().st_size for path in self._place.iterdir() if path.is_file())

    def _fetch(self) -> None:
        """Bring what an earlier launch wrote, so that it can be added to."""
        for name in (TIMELINE, METRICS, STATUS):
            source = f"{self._folder.path}/{name}"
            if self._folder.filesystem.get_file_info(source).type is pafs.FileType.File:
                with self._folder.filesystem.open_input_stream(source) as stream:
                    (self._place / name).write_bytes(stream.read())


def stamp(at: float) -> str:
    """Seconds since 1970 as an ISO time in UTC, with milliseconds."""
    return datetime.fromtimestamp(at, timezone.utc).isoformat(timespec="milliseconds")


def write_table(lines: list[dict[str, Any]], path: Path) -> None:
    """Write lines with any keys as one Parquet table; a column that mixes numbers and text is text."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    names = list(dict.fromkeys(name for line in lines for name in line))
    columns = {}
    for name in names:
        values = [line.get(name) for line in lines]
        if any(isinstance(value, (str, list, dict)) for value in values):
            values = [value if value is None or isinstance(value, str) else json.dumps(value) for value in values]
        columns[name] = pa.array(values)
    fresh = path.with_name(f".{path.name}")
    pq.write_table(pa.table(columns), fresh)
    fresh.replace(path)


def _end_last_line(path: Path) -> None:
    """Let the next line stand alone, whatever a process that was killed left behind."""
    if path.exists() and not path.read_bytes().endswith(b"\n"):
        with path.open("ab") as file:
            file.write(b"\n")


def _cause(error: BaseException) -> str:
    text = first_line(error, 500) if isinstance(error, Exception) else ""
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
