"""The training loops: by epochs and by iterations."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any

from raydet.engine import resume
from raydet.engine.base_runner import BaseRunner
from raydet.engine.random import load_random_state, random_state
from raydet.engine.workflow import Rounds, Workflow


def batches_of(loader: Any, epoch: int, start: int = 0) -> Iterator[Any]:
    """Batches of an epoch from number `start` on; of a carrier, or of any iterable (which is read up to there)."""
    # A DataLoader draws a seed for its workers when it is started, which must not shift the draws of the model.
    state = random_state()
    batches = iter(loader.iterate(epoch, start) if hasattr(loader, "iterate") else islice(iter(loader), start, None))
    first = list(islice(batches, 1))
    load_random_state(state)
    yield from first
    yield from batches


class EpochBasedRunner(BaseRunner):
    """Runs whole epochs of training and validation in turn."""

    def run(self, data_loaders: Sequence[Any], workflow: Workflow, max_epochs: int | None = None) -> None:
        """Train to the end.

        Args:
            data_loaders: a carrier for each phase of the workflow.
            workflow: phases `("train", epochs)` and `("val", epochs)`, repeated until `max_epochs` are trained.
            max_epochs: deprecated; give it to the constructor.
        """
        self._max_epochs = max_epochs or self._max_epochs
        if self._max_epochs is None:
            raise ValueError("an EpochBasedRunner needs max_epochs")
        Rounds(workflow)
        lengths = [len(each) for each, (mode, _) in zip(data_loaders, workflow, strict=False) if mode == "train"]
        self._max_iters = self._max_epochs * lengths[0]
        state = self._begin(data_loaders, workflow)
        if state is not None and state["stage"] == "after_train_epoch":
            self._finish_epoch(state, data_loaders[[mode for mode, _ in workflow].index("train")])
            state = None
        rounds = Rounds(workflow, self._epoch, begun=state is not None)
        while self._epoch < self._max_epochs:
            for phase in rounds.next_round():
                if workflow[phase][0] == "val":
                    self.val(data_loaders[phase])
                elif self._epoch < self._max_epochs:
                    self.train(data_loaders[phase], state)
                    state = None
        self.call_hook("after_run")

    def train(self, data_loader: Any, state: dict[str, Any] | None = None) -> None:
        """Train one epoch, or the rest of the epoch that `state` interrupts."""
        self.model.train()
        self.mode = "train"
        self.data_loader = data_loader
        self._inner_iter = self.batch
        self.call_hook("before_train_epoch")
        if state is not None:
            self._restore(state)
            if state["stage"] == "after_train_iter":
                self._finish_iteration(state)
        for batch in batches_of(data_loader, self._epoch, self.batch):
            self.train_batch(batch)
        self.call_hook("after_train_epoch")
        self._end_epoch()

    def val(self, data_loader: Any) -> None:
        """Compute the losses of one epoch without learning."""
        self.model.eval()
        self.mode = "val"
        self.data_loader = data_loader
        self._inner_iter = 0
        self.call_hook("before_val_epoch")
        for index, batch in enumerate(batches_of(data_loader, self._epoch)):
            self._inner_iter = index
            self.validate_batch(batch)
        self.call_hook("after_val_epoch")

    def _end_epoch(self) -> None:
        self._epoch += 1
        self.batch = 0
        self._report()

    def _finish_epoch(self, state: dict[str, Any], data_loader: Any) -> None:
        """Let hooks have the rest of the end of the epoch at which the checkpoint was made."""
        self.mode = "train"
        self.data_loader = data_loader
        self._inner_iter = len(data_loader) - 1
        self._restore(state)
        resume.finish_stage(self, state)
        self._end_epoch()

    def _number(self) -> int:
        return self._epoch + 1


class IterBasedRunner(BaseRunner):
    """Runs iterations; epochs are only counted."""

    by_epoch = False
    _template = "iter_{}.pth"

    def run(self, data_loaders: Sequence[Any], workflow: Workflow, max_iters: int | None = None) -> None:
        """Train to the end.

        Args:
            data_loaders: a carrier for each phase of the workflow.
            workflow: phases `("train", iterations)` and `("val", iterations)`, repeated until `max_iters` are trained.
            max_iters: deprecated; give it to the constructor.
        """
        self._max_iters = max_iters or self._max_iters
        if self._max_iters is None:
            raise ValueError("an IterBasedRunner needs max_iters")
        Rounds(workflow)
        state = self._begin(data_loaders, workflow)
        streams = [_Endless(loader) for loader in data_loaders]
        self.call_hook("before_epoch")
        if state is not None:
            self._resume_in(streams[[mode for mode, _ in workflow].index("train")], state)
        rounds = Rounds(workflow, self._iter)
        for phase, stream in enumerate(streams):
            if workflow[phase][0] == "val":
                stream.seek(*divmod(rounds.done(phase), len(stream)))
        while self._iter < self._max_iters:
            for phase in rounds.next_round():
                if workflow[phase][0] == "val":
                    self.val(streams[phase])
                elif self._iter < self._max_iters:
                    self.train(streams[phase])
        self.call_hook("after_epoch")
        self.call_hook("after_run")

    def train(self, stream: _Endless) -> None:
        """Train one iteration."""
        self.model.train()
        self.mode = "train"
        self.data_loader = stream
        batch = stream.next()
        self._epoch, self.batch = stream.epoch, stream.batch - 1
        self.train_batch(batch)

    def val(self, stream: _Endless) -> None:
        """Compute the losses of one batch without learning."""
        self.model.eval()
        self.mode = "val"
        self.data_loader = stream
        self.validate_batch(stream.next())
        self._inner_iter = stream.batch - 1

    def _resume_in(self, stream: _Endless, state: dict[str, Any]) -> None:
        self.mode = "train"
        self.data_loader = stream
        stream.seek(self._epoch, self.batch)
        self._restore(state)
        if state["stage"] == "after_train_iter":
            self._finish_iteration(state)

    def _number(self) -> int:
        return self._iter + 1

    def _epochs_done(self) -> int:
        return self._epoch + 1


class _Endless:
    """Epoch after epoch of a carrier, with a position.

    Attributes:
        epoch: of the batch given last.
        batch: batches of that epoch given so far.
    """

    def __init__(self, loader: Any) -> None:
        self.loader = loader
        self.dataset = getattr(loader, "dataset", None)
        self.epoch = self.batch = 0
        self._batches: Iterator[Any] | None = None

    def __len__(self) -> int:
        return len(self.loader)

    def seek(self, epoch: int, batch: int) -> None:
        """Go on behind a position."""
        self.epoch, self.batch = epoch, batch
        self._batches = None

    def next(self) -> Any:
        """The next batch, from the next epoch when this one is over."""
        if self.batch >= len(self):
            self.seek(self.epoch + 1, 0)
        if self._batches is None:
            self._batches = batches_of(self.loader, self.epoch, self.batch)
        batch = next(self._batches, None)
        if batch is None:
            raise RuntimeError(
                f"epoch {self.epoch} ended after {self.batch} batches, but {len(self)} were announced by "
                f"{type(self.loader).__name__}"
            )
        self.batch += 1
        return batch
