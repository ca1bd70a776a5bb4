"""A stretch of a row stream: one execution of Ray Data."""

from __future__ import annotations

import gc
import itertools
import pickle
import threading
import time
import traceback
from collections.abc import Iterator
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import numpy as np

from raydet.distributed.blocks import Columns, Row, block_of, columns_in, item_of, row_in
from raydet.distributed.cluster import this_node
from raydet.distributed.settings import quiet_ray_data, quiet_ray_loggers

if TYPE_CHECKING:
    import pyarrow as pa

    from raydet.distributed.rows import ActorPool

SCHEDULER_PAUSE = 0.01
LONG_PAUSE = 0.1
"""Seconds."""
FETCHED_AHEAD = 2
"""Blocks that are brought to this node before their turn."""
_ERROR = "__error__"
_PATIENCE = 2.0
_MOMENT = 0.05


class _Guard:
    """Runs the worker class inside an actor and hands its errors over as they are.

    Ray would wrap them, and start an actor again and again whose constructor fails.
    """

    def __init__(self, worker: type, arguments: tuple[Any, ...]) -> None:
        quiet_ray_loggers()  # Ray Data writes a line to its log about every row
        self._error: Exception | None = None
        try:
            self._worker = worker(*arguments)
        except Exception as error:
            self._error = error

    def __call__(self, block: pa.Table) -> pa.Table:
        try:
            if self._error is not None:
                raise self._error
            columns: Columns = self._worker(row_in(block))
        except Exception as error:
            columns = {_ERROR: np.frombuffer(_dump(error), np.uint8)}
        return block_of(columns)


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


_HUNGRY: WeakKeyDictionary[Any, threading.Event] = WeakKeyDictionary()  # by executor


class _Unhurried:
    """Callback of Ray Data's scheduler, which runs in the process that trains and else spins while rows wait there.

    It took two thirds of the speed of training. As long as there are finished rows for the reader, a round now and then
    keeps the actors at work. Where it waits for one they are short: a row takes several rounds, and with 50 ms for each
    large images come half as fast.
    """

    def before_execution_starts(self, executor: Any) -> None: ...

    def on_execution_step(self, executor: Any) -> None:
        hungry = _HUNGRY.get(executor)
        if hungry is not None:
            hungry.wait(LONG_PAUSE)
        time.sleep(SCHEDULER_PAUSE)

    def after_execution_succeeds(self, executor: Any) -> None: ...

    def after_execution_fails(self, executor: Any, error: Exception) -> None: ...


class Window:
    """One execution of Ray Data.

    A thread tells Ray Data of the rows, which takes seconds for thousands, and then waits for `begin`, so that the
    actors take no place before they are wanted.

    Args:
        worker: class whose instances are called with a row and return columns.
        arguments: of the constructor.
        rows: what goes through it.
        pool: the actors.
    """

    def __init__(self, worker: type, arguments: tuple[Any, ...], rows: list[Row], pool: ActorPool) -> None:
        self.size = len(rows)
        self._given = 0
        self._executor: Any = None
        self._blocks: FetchedAhead | None = None
        self._first: list[Columns] = []
        self._error: BaseException | None = None
        self._begun = threading.Event()
        self._closed = False
        self._starter = threading.Thread(target=self._start, args=(worker, arguments, rows, pool), daemon=True)
        self._starter.start()

    def _start(self, worker: type, arguments: tuple[Any, ...], rows: list[Row], pool: ActorPool) -> None:
        try:
            plan = _plan(worker, arguments, rows, pool)
            self._begun.wait()
            if self._closed:
                return
            self._executor = plan._create_executor()  # known before it runs, so that it can be stopped at any time
            bundles = plan._execute_dag(self._executor)
            self._executor.set_external_consumer_bytes(0)  # somebody takes what is finished, in his own time
            self._blocks = FetchedAhead(entry.ref for bundle in bundles for entry in bundle.blocks)
            _HUNGRY[self._executor] = self._blocks.hungry
            self._first = [columns_in(block) for block in itertools.islice(self._blocks, 1)]
        except BaseException as error:  # handed to the thread that iterates
            self._error = error

    def begin(self) -> None:
        """Start the actors."""
        self._begun.set()

    @property
    def ready(self) -> bool:
        """The first row, or the error in its place, is there."""
        return not self._starter.is_alive()

    def __iter__(self) -> Iterator[Columns]:
        self.begin()
        self._starter.join()
        if self._error is not None:
            raise self._error
        assert self._blocks is not None
        for columns in itertools.chain(self._first, map(columns_in, self._blocks)):
            self._given += 1
            yield _raise_if_error(columns)
        self.close()
        if self._given != self.size:
            raise RuntimeError(f"Ray Data returned {self._given} of {self.size} rows")

    def bytes_in_flight(self) -> int | None:
        """Bytes of rows that are finished and not fetched yet; None when Ray Data does not tell."""
        if self._executor is None:
            return 0
        try:  # inside Ray Data, and read while its thread writes
            return int(self._executor._resource_manager.get_global_usage().object_store_memory)
        except (AttributeError, AssertionError):
            return None

    def close(self) -> None:
        """Stop the actors; what they have begun they end first, since Ray announces the failure of killed ones."""
        self._closed = True
        self.begin()  # and end
        while self._starter.is_alive():  # it may wait for actors that nobody has room for
            self._shut_down()  # without effect before the execution has begun
            self._starter.join(_MOMENT)
        self._shut_down()
        self._first = []
        if self._blocks is not None:
            self._blocks.close()
        self._executor = None
        if self._given < self.size:
            gc.collect()  # executors hold themselves, and the actors of tasks that were under way

    def _shut_down(self) -> None:
        if self._executor is not None:
            self._executor.shutdown(force=False)


class FetchedAhead:
    """The blocks of an execution, in order; a thread has the next ones brought to this node.

    Ray Data's own iterator does the same, and besides keeps, adds up and sends away figures about every block: a third
    of all the time that Ray Data takes in the process that trains.

    Args:
        references: of the blocks; ends or fails when the execution is stopped.
    """

    def __init__(self, references: Iterator[Any]) -> None:
        self._references = references
        self._fetched: SimpleQueue[Any] = SimpleQueue()  # references, in the end an error or None
        self._places = threading.Semaphore(FETCHED_AHEAD)
        self._closed = False
        self.hungry = threading.Event()
        self._thread = threading.Thread(target=self._fetch, daemon=True)
        self._thread.start()

    def _fetch(self) -> None:
        import ray

        end = None
        try:
            for reference in self._waiting(self._references):
                ray.wait([reference], timeout=0, fetch_local=True)
                self._fetched.put(reference)
                self._places.acquire()
                if self._closed:
                    break
        except BaseException as error:  # for the thread that iterates
            end = error
        self._fetched.put(end)

    def _waiting(self, references: Iterator[Any]) -> Iterator[Any]:
        """The same, and `hungry` while the next one is waited for."""
        self.hungry.set()
        for reference in references:
            self.hungry.clear()
            yield reference
            self.hungry.set()

    def __iter__(self) -> Iterator[Any]:
        import ray

        while (reference := self._fetched.get()) is not None:
            if isinstance(reference, BaseException):
                raise reference
            yield ray.get(reference)
            self._places.release()

    def close(self) -> None:
        """Wait for the thread: one that asks a Ray that has been shut down ends the process."""
        self._closed = True
        self._places.release()
        self._thread.join(_PATIENCE)
        self._references = iter(())  # they hold the execution


def _nodes(pool: ActorPool) -> dict[str, str] | None:
    """Labels of the nodes that may hold the actors of this process; None for any."""
    if pool.beside:
        return this_node()
    return dict(pool.label_selector) if pool.label_selector else None


def _plan(worker: type, arguments: tuple[Any, ...], rows: list[Row], pool: ActorPool) -> Any:
    """The Ray data set whose batches are the results of the rows."""
    import ray.data

    quiet_ray_data()
    # one row a block: `map` would copy what comes back, `map_batches` takes it as it is
    dataset = ray.data.from_items(list(map(item_of, rows)), override_num_blocks=len(rows)).map_batches(
        _Guard,
        batch_size=None,
        batch_format="pyarrow",
        fn_constructor_args=(worker, arguments),
        compute=ray.data.ActorPoolStrategy(size=pool.size, max_tasks_in_flight_per_actor=2),
        num_cpus=pool.cpus,
        **({"label_selector": selector} if (selector := _nodes(pool)) else {}),
    )
    limits = ray.data.ExecutionResources.for_limits(object_store_memory=pool.bytes_in_flight)
    dataset.context.execution_options.resource_limits = limits
    dataset.context.custom_execution_callback_classes = [_Unhurried]
    return dataset
