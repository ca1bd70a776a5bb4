"""A long stream of rows through Ray Data actors that comes back in the order in which it was sent."""

from __future__ import annotations

import itertools
import pickle
import threading
import time
import traceback
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from raydet.distributed.cluster import this_node

Columns = dict[str, npt.NDArray[Any]]
Row = dict[str, Any]

FIRST_WINDOW = 512
"""Rows; half a second until Ray Data has been told of them, and enough for the whole of a short run."""
WINDOW = 4096
_REFILL_AT = 32
SCHEDULER_PAUSE = 0.01
"""Seconds."""
_ERROR = "__error__"
_FETCHER = "iter_threaded"  # name of the threads in which Ray Data fetches batches; they outlive its iterator a little
_FETCHER_TIMEOUT = 2.0


@dataclass(frozen=True)
class ActorPool:
    """The actors of a stream.

    Args:
        size: how many.
        cpus: CPUs that each takes, may be a fraction.
        label_selector: nodes that may hold them, for example `{"pool": "data"}`.
        bytes_in_flight: object store that finished rows may take while they wait to be fetched.
        beside: they stay on the node of the process that they read for.
    """

    size: int = 1
    cpus: float = 1.0
    label_selector: Mapping[str, str] | None = None
    bytes_in_flight: int = 1024**3
    beside: bool = False

    def sharing_cpus(self) -> ActorPool:
        """The same pool with next to no CPUs of its own, for work that others wait for meanwhile."""
        return replace(self, cpus=0.01)


class RowStream:
    """Rows that a pool of actors turns into columns, one block each, in order.

    Ray Data starts actors and an executor for every execution and takes about a millisecond to be told of each row, so
    rows go in windows: a short first one, to have the first result soon, then long ones. A new window is opened
    while the last rows of the old one are on their way; the first begins when the stream is made. A stream closed
    before its end stops its actors.

    Args:
        worker: class whose instances are called with a row and return columns.
        arguments: of the constructor, sent to every actor once; put large ones into the object store.
        rows: the rows, possibly without end.
    """

    def __init__(self, worker: type, arguments: tuple[Any, ...], rows: Iterable[Row], pool: ActorPool) -> None:
        self._worker = worker
        self._arguments = arguments
        self._pool = pool
        self._rows = iter(rows)
        self._windows = _window_sizes()
        self._open: list[_Window] = []
        self._first = self._next_window()

    @property
    def ready(self) -> bool:
        """The first row can be had without waiting."""
        return self._first is None or self._first.ready

    def __iter__(self) -> Iterator[Columns]:
        window = self._first
        while window is not None:
            following: _Window | None = None
            for number, columns in enumerate(window):
                if number == max(window.size - _REFILL_AT, 0):
                    following = self._next_window()
                yield columns
            self._open.remove(window)
            window = following

    def _next_window(self) -> _Window | None:
        rows = list(itertools.islice(self._rows, next(self._windows)))
        if not rows:
            return None
        window = _Window(self._worker, self._arguments, rows, self._pool)
        self._open.append(window)
        return window

    def bytes_in_flight(self) -> int | None:
        """Bytes of rows that are finished and not fetched yet; None when Ray Data does not tell."""
        told = [window.bytes_in_flight() for window in self._open]
        return None if None in told else sum(each for each in told if each is not None)

    def close(self) -> None:
        """Stop the actors."""
        for window in self._open:
            window.close()
        self._open.clear()


def _window_sizes() -> Iterator[int]:
    yield FIRST_WINDOW
    yield from itertools.repeat(WINDOW)


class _Guard:
    """Runs the worker class inside an actor and hands its errors over as they are.

    Ray would wrap them, and start an actor again and again whose constructor fails.
    """

    def __init__(self, worker: type, arguments: tuple[Any, ...]) -> None:
        self._error: Exception | None = None
        try:
            self._worker = worker(*arguments)
        except Exception as error:
            self._error = error

    def __call__(self, block: Columns) -> Columns:
        try:
            if self._error is not None:
                raise self._error
            columns: Columns = self._worker({name: column[0] for name, column in block.items()})
        except Exception as error:
            columns = {_ERROR: np.frombuffer(_dump(error), np.uint8)}
        return {name: column[None] for name, column in columns.items()}


def _dump(error: Exception) -> bytes:
    text = "".join(traceback.format_exception(error))
    try:
        packed = pickle.dumps((error, text))
        pickle.loads(packed)
    except Exception:  # an exception that does not pickle still has its words
        return pickle.dumps((RuntimeError(f"{type(error).__name__}: {error}"), text))
    return packed


def _raise_if_error(columns: Columns) -> Columns:
    if _ERROR not in columns:
        return columns
    error, text = pickle.loads(columns[_ERROR].tobytes())
    raise error from RuntimeError(f"in a data actor:\n{text}")


class _Unhurried:
    """Callback of Ray Data's scheduler, which runs in the process that trains and else spins while rows wait there.

    It took two thirds of the speed of training. With a pause of 50 ms, though, large images come half as fast: few rows
    of them may be in flight, and each waits for several rounds.
    """

    def before_execution_starts(self, executor: Any) -> None: ...

    def on_execution_step(self, executor: Any) -> None:
        time.sleep(SCHEDULER_PAUSE)

    def after_execution_succeeds(self, executor: Any) -> None: ...

    def after_execution_fails(self, executor: Any, error: Exception) -> None: ...


class _Window:
    """One execution of Ray Data; it begins to run in a thread when made."""

    def __init__(self, worker: type, arguments: tuple[Any, ...], rows: list[Row], pool: ActorPool) -> None:
        self.size = len(rows)
        self._batches: Iterator[Columns] | None = None
        self._dataset: Any = None
        self._first: list[Columns] = []
        self._error: BaseException | None = None
        self._fetchers: list[threading.Thread] = []
        self._starter = threading.Thread(target=self._start, args=(worker, arguments, rows, pool), daemon=True)
        self._starter.start()

    def _start(self, worker: type, arguments: tuple[Any, ...], rows: list[Row], pool: ActorPool) -> None:
        before = set(threading.enumerate())
        try:
            self._dataset = _plan(worker, arguments, rows, pool)
            self._batches = iter(self._dataset.iter_batches(batch_size=None, batch_format="numpy", prefetch_batches=2))
            self._first = list(itertools.islice(self._batches, 1))
        except BaseException as error:  # handed to the thread that iterates
            self._error = error
        self._fetchers = [each for each in set(threading.enumerate()) - before if each.name == _FETCHER]

    @property
    def ready(self) -> bool:
        """The first row, or the error in its place, is there."""
        return not self._starter.is_alive()

    def __iter__(self) -> Iterator[Columns]:
        self._starter.join()
        if self._error is not None:
            raise self._error
        assert self._batches is not None
        count = 0
        for block in itertools.chain(self._first, self._batches):
            count += 1
            yield _raise_if_error({name: column[0] for name, column in block.items()})
        if count != self.size:
            raise RuntimeError(f"Ray Data returned {count} of {self.size} batches")
        self._batches = None

    def bytes_in_flight(self) -> int | None:
        executor = getattr(self._dataset, "_current_executor", None)
        if executor is None:
            return 0
        try:  # inside Ray Data, and read while its thread writes
            return int(executor._resource_manager.get_global_usage().object_store_memory)
        except (AttributeError, AssertionError):
            return None

    def close(self) -> None:
        self._starter.join()
        batches, self._batches, self._first = self._batches, None, []
        if batches is not None:
            getattr(batches, "close", lambda: None)()
        if _in_driver():
            for fetcher in self._fetchers:  # one that asks a Ray that has been shut down ends the process
                fetcher.join(_FETCHER_TIMEOUT)


def _in_driver() -> bool:
    """Whether this process may disconnect from Ray next; an actor ends with its connection."""
    import ray

    return ray.is_initialized() and ray.get_runtime_context().get_actor_id() is None


def _nodes(pool: ActorPool) -> dict[str, str] | None:
    """Labels of the nodes that may hold the actors of this process; None for any."""
    if pool.beside:
        return this_node()
    return dict(pool.label_selector) if pool.label_selector else None


def _plan(worker: type, arguments: tuple[Any, ...], rows: list[Row], pool: ActorPool) -> Any:
    """The Ray data set whose batches are the results of the rows."""
    import ray.data

    from raydet.distributed.settings import quiet_ray_data

    quiet_ray_data()
    # one row a block: `map` would copy what comes back, `map_batches` takes it as it is
    dataset = ray.data.from_items(rows, override_num_blocks=len(rows)).map_batches(
        _Guard,
        batch_size=None,
        batch_format="numpy",
        fn_constructor_args=(worker, arguments),
        compute=ray.data.ActorPoolStrategy(size=pool.size, max_tasks_in_flight_per_actor=2),
        num_cpus=pool.cpus,
        **({"label_selector": selector} if (selector := _nodes(pool)) else {}),
    )
    limits = ray.data.ExecutionResources.for_limits(object_store_memory=pool.bytes_in_flight)
    dataset.context.execution_options.resource_limits = limits
    dataset.context.custom_execution_callback_classes = [_Unhurried]
    return dataset
