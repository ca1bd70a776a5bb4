"""One case of the chaos suite: a run that is hurt, and what is known of it afterwards."""

from __future__ import annotations

import csv
import os
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import torch
from tiny import tiny_config

from raydet.checkpoint import load
from raydet.distributed import train

TABLE = Path(__file__).parents[2] / "docs" / "numbers" / "chaos.csv"
ITERATIONS = 20
INTERVAL = 5


@dataclass
class Row:
    """A line of the table.

    Attributes:
        case: its number in the list of faults that detectors' users meet.
        fault: what happened.
        survived: what came out of it.
        lost_iterations: done twice; empty where nothing restarts.
        seconds: from the last iteration before the fault to the first one after it.
        noticed: from the last iteration before the fault to when it was noticed; the hook waits 2 s between the two.
        parameters: at the end, compared with an undisturbed run.
        load: of the machine, the mean number of busy processes in the last minute.
        test: that shows it.
    """

    case: str
    fault: str
    survived: str
    lost_iterations: int | str = ""
    seconds: float | str = ""
    noticed: float | str = ""
    parameters: str = ""
    load: float | str = ""
    test: str = ""


class Chaos:
    """Runs of a tiny detector that are hurt.

    Args:
        folder: of this case.
        coco: annotations and images.
        rows: where the table's lines go.
        test: name of the test.
    """

    def __init__(self, folder: Path, coco: tuple[str, str], rows: list[Row], test: str) -> None:
        self.folder = folder
        self.lines: list[str] = []
        self._coco = coco
        self._rows = rows
        self._test = test

    def config(
        self, fault: str = "", at: tuple[int, ...] | int = (), rank: int = 0, pace: float = 0.0, **more: Any
    ) -> Any:
        """Twenty iterations with a checkpoint after every fifth; a fault after some of them."""
        hook = {"type": "ChaosHook", "folder": str(self.folder), "fault": fault, "rank": rank, "pace": pace}
        values = {
            "custom_imports": {"imports": ["faults"], "allow_failed_imports": False},
            "custom_hooks": [{**hook, "at": (at,) if isinstance(at, int) else at}],
            "runner": {"type": "IterBasedRunner", "max_iters": ITERATIONS},
            "checkpoint_config": {"interval": INTERVAL, "by_epoch": False},
            "evaluation": None,
            "fault_tolerance": {"back_off": 1},
        }
        cfg = tiny_config(*self._coco, **{**values, **more})
        cfg.data.workers_per_gpu = 0
        return cfg

    def train(self, cfg: Any, name: str = "run", **options: Any) -> Any:
        """Train on the cluster that is there, and keep what is said."""
        options = {"carrier": "torch", "storage": str(self.folder), "say": self.lines.append, **options}
        return train(cfg, name=name, **options)

    def in_background(self, cfg: Any, **options: Any) -> Background:
        """Train in a thread, so that this one can hurt the cluster."""
        return Background(lambda: self.train(cfg, **options))

    def said(self, *words: str) -> bool:
        return any(all(word in line for word in words) for line in self.lines)

    def hurt(self, at: int) -> bool:
        """Whether the fault has happened."""
        return (self.folder / f"fault_{at}").exists()

    def node(self, at: int) -> str:
        """The node of the worker that the fault of an iteration happened on."""
        return (self.folder / f"fault_{at}").read_text()

    def iterations(self) -> list[tuple[int, int, tuple[str, ...]]]:
        """Number, workers and images of rank 0 of every iteration, in the order in which they were made."""
        lines = (self.folder / "iterations").read_text().splitlines()
        parts = [line.split() for line in lines]
        return [(int(number), int(workers), tuple(names)) for number, workers, *names in parts]

    def assert_same_batches_again(self) -> None:
        """An iteration that was made twice saw the same images."""
        seen: dict[int, tuple[str, ...]] = {}
        for number, _, names in self.iterations():
            assert seen.setdefault(number, names) == names, f"iteration {number}"
        assert sorted(seen) == list(range(1, ITERATIONS + 1))

    def row(self, case: str, fault: str, survived: str, restarts: Any = (), parameters: str = "equal") -> None:
        """Add a line to the table."""
        lost = sum(each.lost_iterations for each in restarts) if restarts else ""
        seconds = max(each.seconds for each in restarts) if restarts else ""
        noticed = max(each.noticed for each in restarts) if restarts else ""
        load = round(os.getloadavg()[0], 1)
        self._rows.append(Row(case, fault, survived, lost, seconds, noticed, parameters, load, self._test))


class Background:
    """A run in a thread; its result or error is asked for later."""

    def __init__(self, work: Callable[[], Any]) -> None:
        self._result: Any = None
        self._error: BaseException | None = None
        self._work = work
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            self._result = self._work()
        except BaseException as error:  # raised again where the result is asked for
            self._error = error

    def result(self, timeout: float = 240.0) -> Any:
        self._thread.join(timeout)
        assert not self._thread.is_alive(), f"the run did not end within {timeout:g} s"
        if self._error is not None:
            raise self._error
        return self._result

    @property
    def ended(self) -> bool:
        return not self._thread.is_alive()


def wait_for(condition: Callable[[], bool], seconds: float = 240.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"nothing happened within {seconds:g} s"
        time.sleep(0.1)


def weights(result: Any) -> dict[str, torch.Tensor]:
    assert result.checkpoint is not None
    return load(result.checkpoint)["state_dict"]


def assert_equal(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor], close: bool = False) -> None:
    """Bit by bit; or, where sums have another order, closely."""
    assert one.keys() == other.keys()
    for key, value in one.items():
        tolerance = {"rtol": 1e-3, "atol": 1e-5} if close else {"rtol": 0, "atol": 0}
        torch.testing.assert_close(value, other[key], **tolerance, msg=lambda text, key=key: f"{key}: {text}")


def write_table(rows: list[Row], path: Path = TABLE) -> None:
    """Write the lines, by case; those of tests that were not run this time stay."""
    told = {row.test for row in rows}
    if path.exists():
        with path.open(newline="") as file:
            rows = [*rows, *(Row(**line) for line in csv.DictReader(file) if line["test"] not in told)]
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, [field.name for field in fields(Row)])
        writer.writeheader()
        writer.writerows(asdict(row) for row in sorted(rows, key=lambda row: (int(row.case.split(" ")[0]), row.fault)))
