"""`raydet status`: how one run stands, and where its time went."""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from raydet.cli.runs import as_dict, progress
from raydet.cli.tables import local_time, table
from raydet.distributed.words import duration

if TYPE_CHECKING:
    from raydet.distributed.runs import Run
    from raydet.distributed.standing import Standing

EXAMPLES = """examples:
  raydet status work_dirs/my-run
  raydet status s3://bucket/runs/first --events 30
  raydet status work_dirs/my-run --json"""

_PHASES = {
    "start": "until the first step",
    "train": "steps",
    "data": "waiting for batches",
    "hooks": "evaluations, checkpoints, logs",
    "restart": "restarts after losses",
}
_WORKER = ("rank", "iter", "data_wait", "samples_per_s", "cpu", "gpu", "gpu_memory", "bytes_in_flight")
_WIDEST = 120
_MEGABYTES = ("gpu_memory", "bytes_in_flight")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("run", metavar="RUN", help="folder of the run, or its URI")
    parser.add_argument("--events", type=int, default=10, metavar="N", help="show the last N events (10)")
    parser.add_argument("--json", action="store_true", help="print all that is known, as JSON")


def run(args: argparse.Namespace) -> int:
    """Print what the run's folder tells; needs no cluster."""
    from raydet.distributed.runs import read_run

    found = read_run(args.run)
    if args.json:
        print(json.dumps({**as_dict(found), "timeline": found.timeline()}, indent=1))
        return 0
    print(f"run {found.folder}: {found.state()}")
    if found.standing is None:
        print("it has no record: it was made by another program, or before there were records")
        return 0
    for name, text in _facts(found, found.standing):
        print(f"{name:<12}{text}")
    _print_tables(found, found.standing, args.events)
    return 0


def _facts(run: Run, standing: Standing) -> Iterator[tuple[str, str]]:
    """Lines of a name and what there is to say."""
    silent = time.time() - standing.updated
    yield "config", standing.config or "-"
    spent = duration(standing.updated - standing.started)
    launches = f"{standing.launches} launch{'es' * (standing.launches != 1)}"
    yield "started", f"{local_time(standing.started)}, {launches}, {spent} in all"
    if run.state() == "lost":
        yield "lost", f"no sign of life for {duration(silent)}; go on with it by `raydet train ... --resume`"
    if standing.error:
        yield "error", standing.error
    left = _time_left(standing) if run.state() == "running" else ""
    yield "progress", f"{progress(run)}, iteration {standing.iter}/{standing.max_iters or '?'}{left}"
    if standing.metrics:
        yield "last", _numbers({name: standing.metrics[name] for name in standing.metrics if name not in _WORKER})
    if standing.evaluation:
        yield "evaluation", _numbers(standing.evaluation)
    if standing.best:
        yield "best", f"{standing.best['name']} {standing.best['value']:.4f} at epoch {standing.best['epoch']}"
    if standing.checkpoint:
        yield "checkpoint", f"{standing.checkpoint['file']} (iteration {standing.checkpoint['iter']})"
    yield "restarts", f"{standing.restarts}, {standing.lost_iterations} iterations done twice because of them"
    if standing.data_wait_share is not None:
        yield "data wait", f"{100 * standing.data_wait_share:.1f} % of the training time"


def _print_tables(run: Run, standing: Standing, events: int) -> None:
    total = sum(standing.seconds.values())
    if total:
        rows = [
            (duration(standing.seconds[phase]), f"{100 * standing.seconds[phase] / total:.0f} %", words)
            for phase, words in _PHASES.items()
            if standing.seconds.get(phase)
        ]
        print("\n" + table(("TIME", "SHARE", "SPENT ON"), rows))
    if standing.workers:
        names = [name for name in _WORKER if any(name in told for told in standing.workers.values())]
        ranks = sorted(standing.workers.items(), key=lambda item: int(item[0]))
        numbers = [tuple(_number(name, told.get(name)) for name in names) for _, told in ranks]
        print("\n" + table([name.replace("_", " ").upper() for name in names], numbers))
    timeline = run.timeline()[-events:] if events > 0 else []
    if timeline:
        print("\n" + table(("WHEN", "EVENT", "FACTS"), [_event(each) for each in timeline]))


def _time_left(standing: Standing) -> str:
    pace = standing.metrics.get("iter_s")
    if not pace or not standing.max_iters:
        return ""
    return f", about {duration(pace * (standing.max_iters - standing.iter))} left"


def _event(event: Mapping[str, Any]) -> tuple[str, str, str]:
    facts = {name: value for name, value in event.items() if name not in ("time", "event")}
    told = ", ".join(f"{name} {value}" for name, value in facts.items() if not isinstance(value, dict))
    causes = "; ".join(f"rank {rank}: {error}" for rank, error in facts.get("errors", {}).items())
    numbers = _numbers(facts.get("metrics", {}))
    text = ", ".join(part for part in (told, causes, numbers) if part)
    when = local_time(datetime.fromisoformat(event["time"]).timestamp())
    return when, str(event["event"]), text if len(text) <= _WIDEST else f"{text[: _WIDEST - 3]}..."


def _numbers(values: Mapping[str, Any]) -> str:
    """The measured numbers on one line; -1 stands for what could not be measured."""
    numbers = {name: value for name, value in values.items() if isinstance(value, (int, float)) and value != -1}
    return ", ".join(f"{name} {value:.4g}" for name, value in numbers.items())


def _number(name: str, value: Any) -> str:
    if value is None:
        return "-"
    if name in _MEGABYTES:
        return f"{value / 2**20:.0f} MB"
    return f"{100 * value:.1f} %" if name in ("data_wait", "gpu") else f"{value:g}"
