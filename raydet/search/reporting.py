"""The hook by which a run tells its sweep of evaluations and hears whether it goes on."""

from __future__ import annotations

from typing import Any

from raydet.engine import Hook
from raydet.engine.environment import from_rank_0
from raydet.engine.interruption import EndTraining
from raydet.search.attempt import plain_metrics
from raydet.search.mailbox import ask
from raydet.search.task import ReportFunction


class SweepReportHook(Hook):
    """Reports every evaluation; the run waits for the answer on all ranks and ends when it is to end.

    A run that is resumed reports its last evaluation again.

    Args:
        line: function that rank 0 calls, or the name of a mailbox.
        by_epoch: steps are epochs, else iterations.
        interval: steps between evaluations; there is one at the end as well.
    """

    continues_stage = True

    def __init__(self, line: ReportFunction | str, by_epoch: bool, interval: int) -> None:
        self._line = line
        self._by_epoch = by_epoch
        self._interval = interval

    def after_train_epoch(self, runner: Any) -> None:
        if self._by_epoch:
            self._tell(runner, runner.epoch + 1, runner.max_epochs)

    def after_train_iter(self, runner: Any) -> None:
        if not self._by_epoch:
            self._tell(runner, runner.iter + 1, runner.max_iters)

    def _tell(self, runner: Any, step: int, last: int) -> None:
        if step % self._interval and step != last:
            return
        goes_on = self._report(step, plain_metrics(runner.metrics)) if runner.environment.rank == 0 else None
        if not from_rank_0(runner.environment, goes_on) and step != last:
            raise EndTraining(f"the sweep ended the trial after step {step}")

    def _report(self, step: int, metrics: dict[str, float]) -> bool:
        return ask(self._line, step, metrics) if isinstance(self._line, str) else self._line(step, metrics)
