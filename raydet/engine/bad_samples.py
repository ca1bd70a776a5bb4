"""Bad samples of all ranks, judged together: the same verdict everywhere, and one list of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from raydet.datasets import list_file
from raydet.engine.environment import Environment, from_rank_0
from raydet.engine.hooks.base import Hook
from raydet.transforms import BadSampleError


class BadSampleHook(Hook):
    """Judges the bad samples of a training run; a run of one process does so by itself, with every batch.

    Args:
        carriers: of the training data.
        interval: iterations between judgements; there is one more after every epoch and at the end.
    """

    def __init__(self, carriers: Sequence[Any], interval: int = 50) -> None:
        self.carriers = carriers
        self.interval = interval

    def after_train_iter(self, runner: Any) -> None:
        if self.every_n_iters(runner, self.interval):
            self._judge(runner)

    def after_train_epoch(self, runner: Any) -> None:
        self._judge(runner)

    def after_run(self, runner: Any) -> None:
        self._judge(runner)

    def _judge(self, runner: Any) -> None:
        for carrier in self.carriers:
            judge_bad_samples(carrier, runner.environment)


def judge_bad_samples(carrier: Any, environment: Environment) -> None:
    """End the run on every rank alike when too many samples are bad, and bring the lists together; all ranks call this.

    Args:
        carrier: has brought this rank's samples.
        environment: where the run runs; the list of rank 0 in its work dir takes up those of the others.

    Raises:
        BadSampleError: more are bad than the quota allows, on all ranks together.
    """
    counter = getattr(carrier, "counter", None)
    if environment.world_size == 1 or counter is None or counter.policy.kind == "fail":
        return
    own = list_file(environment.work_dir, environment.rank)
    lines = own.read_text() if environment.rank != 0 and own.exists() else ""
    tallies = environment.gather((counter.seen, counter.bad, counter.last, lines))
    complaint = None
    if tallies is not None:
        seen, bad, last, others = zip(*tallies, strict=True)
        if any(others):
            with own.open("a") as file:
                file.writelines(others)
        complaint = counter.policy.complaint(sum(seen), sum(bad), next(filter(None, last), ""))
    complaint = from_rank_0(environment, complaint)
    if lines:
        own.unlink()  # rank 0 has answered, so it has them
    if complaint is not None:
        raise BadSampleError(complaint)
