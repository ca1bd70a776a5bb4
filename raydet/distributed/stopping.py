"""SIGTERM to the process that started a run: the run saves a checkpoint, then the process ends."""

from __future__ import annotations

import os
import signal
import threading
from typing import Any

EXIT_CODE = 128 + signal.SIGTERM


class Stopped(SystemExit):
    """The run saved a checkpoint and ended, since this process is to end; the exit code is that of SIGTERM.

    Args:
        iteration: iterations done.
    """

    def __init__(self, iteration: int | None = None) -> None:
        super().__init__(EXIT_CODE)
        self.iteration = iteration


class StopOnSignal:
    """While it is entered, the first SIGTERM lets a run end with a checkpoint; the second, or `grace` seconds, end it.

    Only the main thread of a process can catch signals; elsewhere this does nothing.

    Args:
        watch: its `stopping` is set.
        grace: seconds for the checkpoint.
    """

    def __init__(self, watch: Any, grace: float) -> None:
        self._watch = watch
        self._grace = grace
        self._before: Any = None
        self._timer: threading.Timer | None = None

    def __enter__(self) -> StopOnSignal:
        if threading.current_thread() is threading.main_thread():
            self._before = signal.signal(signal.SIGTERM, self._stop)
        return self

    def __exit__(self, *_: object) -> None:
        if self._timer is not None:
            self._timer.cancel()
        if self._before is not None:
            signal.signal(signal.SIGTERM, self._before)

    def _stop(self, *_: object) -> None:
        if self._watch.stopping:
            raise Stopped
        self._watch.stopping = True  # acted on by the thread that watches: no calls to Ray inside a handler
        self._timer = threading.Timer(self._grace, os.kill, (os.getpid(), signal.SIGTERM))
        self._timer.daemon = True
        self._timer.start()
