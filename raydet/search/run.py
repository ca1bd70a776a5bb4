"""`run_sweep`: a sweep from its file to its last trial, or on from where it was interrupted."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from raydet import __version__
from raydet.search.conductor import Conductor
from raydet.search.drawing import Drawer
from raydet.search.earlier import earlier_trials
from raydet.search.events import SweepWatcher, Watchers
from raydet.search.file import Sweep, load_sweep
from raydet.search.keeping import KeepBest
from raydet.search.ledger import LEDGER, Header, Ledger
from raydet.search.local import run_here
from raydet.search.population import Population
from raydet.search.pruning import make_rule
from raydet.search.published import PublishedStudy
from raydet.search.records import TrialRecord
from raydet.search.report.ranking import best_of
from raydet.search.settings import Objective
from raydet.search.storage import open_storage
from raydet.search.study import DrawingStudy
from raydet.search.task import TrialFunction
from raydet.search.trackers import trackers
from raydet.search.trial_config import max_steps_of

if TYPE_CHECKING:
    from raydet.search.plan import SweepPlan

SWEEP_FILE = "sweep.yaml"
_RUNS = "tune_results"


@dataclass(frozen=True)
class SweepResult:
    """What a sweep leaves behind.

    Attributes:
        folder: of the sweep, with its ledger and the run of every trial.
        records: of all trials, by number.
        objectives: what was improved.
        interrupted: by Ctrl-C; the sweep can go on with `resume`.
    """

    folder: Path
    records: list[TrialRecord]
    objectives: tuple[Objective, ...]
    interrupted: bool = False

    @property
    def best(self) -> TrialRecord | None:
        """The best trial by the first objective, None when no trial has a value."""
        return best_of(self.records, self.objectives)


def tune(
    sweep: Sweep | str | Path,
    *,
    changes: Mapping[str, Any] | None = None,
    folder: str | Path | None = None,
    resume: bool = False,
    local: bool = False,
    address: str | None = None,
    callbacks: Sequence[SweepWatcher] = (),
    say: Callable[[str], None] = print,
) -> SweepResult:
    """Run a sweep.

    Args:
        sweep: a sweep, the path of its file, or the name of a shipped one.
        changes: values by dotted key that replace those of the file.
        folder: of the sweep; `tune_results/<name>` when None.
        resume: go on with the sweep that the folder holds.
        local: run the trials one after the other in this process, without Ray.
        address: a Ray cluster to join, see `raydet.distributed.cluster.connected`.
        callbacks: watch the sweep.
        say: prints a line.

    Raises:
        ValueError: the file, the folder or the resources are impossible.
        FileNotFoundError: there is no such file.
    """
    if not isinstance(sweep, Sweep):
        sweep = load_sweep(sweep, changes)
    return run_sweep(
        sweep,
        Path(folder) if folder is not None else Path(_RUNS, sweep.name),
        resume=resume,
        local=local,
        address=address,
        callbacks=callbacks,
        say=say,
    )


def run_sweep(
    sweep: Sweep,
    folder: str | Path,
    *,
    resume: bool = False,
    local: bool = False,
    address: str | None = None,
    callbacks: Sequence[SweepWatcher] = (),
    say: Callable[[str], None] = print,
    function: TrialFunction | None = None,
) -> SweepResult:
    """Run the trials of a sweep.

    Args:
        sweep: what to run.
        folder: of the sweep, like `resume`, `local`, `address`, `callbacks` and `say` as in `tune`.
        resume: see there.
        local: see there.
        address: see there.
        callbacks: see there.
        say: see there.
        function: runs a trial in place of training, see `raydet.search.task`; Ray pickles it.

    Raises:
        ValueError: the folder holds a sweep and `resume` is false, or another sweep; the resources are impossible; the
            space cannot be drawn from.
    """
    if "://" in str(folder):
        raise ValueError(f"the folder of a sweep is a path that all nodes reach, got {folder}; object storage is none")
    folder = Path(folder).absolute()
    if (folder / LEDGER).exists() and not resume:
        raise ValueError(
            f"{folder} already holds a sweep; pass resume=True (--resume) to go on with it, or choose another folder"
        )
    callbacks = [*callbacks, *trackers(sweep.settings.track)]
    ledger = Ledger(folder, Header(sweep.name, identity_of(sweep), __version__))
    try:
        conductor, watchers = _conduct(sweep, folder, ledger, callbacks)
        watchers.sweep_started(sweep, folder, list(conductor.records.values()))
        with _ended_like_ctrl_c():
            interrupted = _run(sweep, folder, conductor, function, local, address, say)
        records = [conductor.records[number] for number in sorted(conductor.records)]
        watchers.sweep_ended(records, interrupted)
    finally:
        ledger.close()
    return SweepResult(folder, records, sweep.objectives, interrupted)


def identity_of(sweep: Sweep) -> dict[str, Any]:
    """What decides which trials there are and what becomes of them."""
    sections = ("objective", "search", "pruning", "variables", "space", "constraints", "anchors", "points")
    identity = {name: sweep.values.get(name) for name in sections}
    if isinstance(identity["search"], dict):
        identity["search"] = {
            key: value for key, value in identity["search"].items() if key not in ("storage", "study")
        }
    return {"seed": sweep.seed, **identity, "config": sweep.config.pretty_text}


def _conduct(
    sweep: Sweep, folder: Path, ledger: Ledger, callbacks: Sequence[SweepWatcher]
) -> tuple[Conductor, Watchers]:
    (folder / SWEEP_FILE).write_text(sweep.text)
    watchers: list[SweepWatcher] = [*callbacks, KeepBest(folder, sweep.objectives, sweep.trial.keep_best)]
    storage = open_storage(sweep.search.storage, folder)
    if storage is not None:
        name = sweep.search.study or sweep.name
        watchers.insert(0, PublishedStudy(storage, name, sweep.objectives, ledger.events))
    study = DrawingStudy(sweep.objectives, sweep.search, earlier_trials(sweep.search.imports, len(sweep.objectives)))
    grid = sweep.space.grid() if sweep.search.sampler == "grid" else []
    given = [*sweep.points, *grid]
    drawer = Drawer(study, sweep.space, sweep.config, sweep.seed, given, only_given=bool(grid))
    max_steps = max_steps_of(sweep)
    population = None
    if sweep.pruning.scheduler == "pbt":
        population = Population(sweep.pruning, sweep.objectives[0], max_steps, sweep.seed, drawer)
    rule = make_rule(sweep.pruning, sweep.objectives[0], max_steps)
    told = Watchers(watchers)
    conductor = Conductor(
        folder,
        ledger,
        drawer,
        rule,
        sweep.objectives,
        num_trials=sweep.num_trials,
        population=population,
        watchers=told,
        time_limit=sweep.settings.time_limit,
    )
    return conductor, told


def _run(
    sweep: Sweep,
    folder: Path,
    conductor: Conductor,
    function: TrialFunction | None,
    local: bool,
    address: str | None,
    say: Callable[[str], None],
) -> bool:
    """Run the trials; whether they were interrupted."""
    if local:
        try:
            run_here(conductor, function or _local_trial(sweep))
        except KeyboardInterrupt:
            return True
        return False
    from raydet.distributed.cluster import connected
    from raydet.search.plan import plan_here
    from raydet.search.succession import take_over
    from raydet.search.tuner import run_with_tune

    with connected(address, dashboard=True) as connection:
        plan = plan_here(sweep, connection.alone, training=function is None)
        say(f"sweep {sweep.name}: {plan}")
        take_over(folder, say)
        runs = function or _ray_trial(sweep, plan)
        run_with_tune(conductor, runs, plan.bundles, plan.concurrent, sweep.trial.max_failures)
    return not conductor.done


@contextlib.contextmanager
def _ended_like_ctrl_c() -> Iterator[None]:
    """SIGTERM, by which jobs and containers are ended, ends a sweep in the order in which Ctrl-C does."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))
    try:
        yield
    finally:
        for number, handler in before.items():  # Tune leaves its own behind, which swallows the next Ctrl-C
            signal.signal(number, handler)


def _local_trial(sweep: Sweep) -> TrialFunction:
    from raydet.search.training import local_trial

    return local_trial(sweep)


def _ray_trial(sweep: Sweep, plan: SweepPlan) -> TrialFunction:
    from raydet.search.training import ray_trial

    return ray_trial(sweep, plan)
