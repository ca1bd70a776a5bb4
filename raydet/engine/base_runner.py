"""What the loops share: the state of a run, its hooks, one step, checkpoints; with the 2.x interface for hooks."""

from __future__ import annotations

import shutil
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn

from raydet.checkpoint import load, save_checkpoint
from raydet.datasets.device import to_device
from raydet.engine import resume, sharding
from raydet.engine.acceleration import pad_to_bucket
from raydet.engine.elastic import ElasticBatch
from raydet.engine.environment import Environment, LocalEnvironment
from raydet.engine.finite import describe_loss, loss_is_finite
from raydet.engine.hooks.logger import LoggerHook
from raydet.engine.hooks.registration import HookRegistration
from raydet.engine.hooks.text_logger import TextLoggerHook
from raydet.engine.hooks.updater import read_momentum
from raydet.engine.interruption import FILE, Interrupted
from raydet.engine.lane_step import LaneStep
from raydet.engine.log_buffer import LogBuffer
from raydet.engine.logging import get_logger
from raydet.engine.nan_guard import NanGuard
from raydet.engine.parallel import call_through, unwrap
from raydet.engine.rank_state import RankState, load_rank_state, rank_state
from raydet.engine.split_step import SplitStep
from raydet.engine.workflow import Workflow

_KEPT = 1000  # logged values per name that a run remembers, unless a logger averages over more


class BaseRunner(HookRegistration):
    """What both loops share: state, hooks, one step, checkpoints.

    Args:
        model: has `train_step(data, optimizer)` and, for validation, `val_step(data, optimizer)`; may be wrapped.
        batch_processor: not supported; `train_step` took its place.
        optimizer: one, or a dict of them.
        work_dir: folder of logs and checkpoints.
        logger: the one named "raydet" when None.
        meta: facts of the run for logs and checkpoints.
        max_iters: iterations of the run, or
        max_epochs: epochs of the run.
        environment: where the run runs; this machine when None.

    Attributes:
        epoch: epochs done.
        iter: iterations done.
        inner_iter: index of the current batch in its epoch.
        batch: batches of this epoch that are done.
        outputs: of the last step.
        data_batch: batch of the current step, on the device.
        metrics: of the last evaluation (rank 0).
        checkpoint_meta: more facts for checkpoints only.
        last_checkpoint: made since the last report to the environment, or None.
        evaluated: whether an evaluation was made since then.
        evaluation_request: what is to be evaluated elsewhere with the next report, or None; on all ranks alike.
        resumed: the checkpoint that the run goes on from, until hooks have had their `before_run`.
        amp_dtype: steps run under autocast with it, unless None.
        scaler: of the gradients in half precision, or None.
        split_step: computes training steps in parts, where memory is short or a process has several lanes; None
            computes them whole.
        elastic: what becomes of the batch when the number of processes changes.
        other_batches: of the lanes before the one that `data_batch` is of.
        guard: decides what becomes of steps whose loss or gradient is not finite.
        stop_on_nonfinite_loss: the guard is asked about a NaN or infinite loss; else it is only logged.
        skips_step: whether the current step is to leave the weights as they are.
        bucket: images are padded to multiples of it, so that few shapes occur; 1 leaves them as they are.
    """

    def __init__(
        self,
        model: nn.Module,
        batch_processor: None = None,
        optimizer: Any = None,
        work_dir: str | Path | None = None,
        logger: Any = None,
        meta: dict[str, Any] | None = None,
        max_iters: int | None = None,
        max_epochs: int | None = None,
        environment: Environment | None = None,
    ) -> None:
        if batch_processor is not None:
            raise ValueError("batch_processor is not supported; give the model a method train_step(data, optimizer)")
        if not hasattr(unwrap(model), "train_step"):
            raise AttributeError(f"{type(unwrap(model)).__name__} has no method train_step(data, optimizer)")
        if (max_iters is None) == (max_epochs is None):
            raise ValueError(f"give one of max_epochs and max_iters, got {max_epochs!r} and {max_iters!r}")
        self.model = model
        self.optimizer = optimizer
        self.work_dir = str(work_dir) if work_dir is not None else None
        self.logger = logger or get_logger()
        self.meta = meta if meta is not None else {}
        self.environment = environment or LocalEnvironment(work_dir or ".", device=_device_of(model))
        self.rank, self.world_size = self.environment.rank, self.environment.world_size
        self.timestamp = time.strftime("%Y%m%d_%H%M%S")
        self.mode: str | None = None
        self.data_loader: Any = None
        self.data_batch: Any = None
        self.outputs: Any = None
        self.log_buffer = LogBuffer()
        self.metrics: dict[str, Any] = {}
        self.checkpoint_meta: dict[str, Any] = {}
        self.last_checkpoint: Path | None = None
        self.evaluated = False
        self.evaluation_request: dict[str, Any] | None = None
        self.resumed: dict[str, Any] | None = None
        self.amp_dtype: torch.dtype | None = None
        self.scaler: torch.amp.GradScaler | None = None
        self.split_step: SplitStep | LaneStep | None = None
        self.elastic = ElasticBatch(self.world_size)
        self.other_batches: list[Any] = []
        self.guard = NanGuard()
        self.stop_on_nonfinite_loss = True
        self.skips_step = False
        self.bucket = 1
        self.stage: tuple[str | None, int | None] = (None, None)
        self._hooks: list[Any] = []
        self._epoch = self._iter = self._inner_iter = self.batch = 0
        self._max_epochs, self._max_iters = max_epochs, max_iters
        self._news = False
        self._kept = _KEPT

    @property
    def model_name(self) -> str:
        return type(unwrap(self.model)).__name__

    @property
    def hooks(self) -> list[Any]:
        return self._hooks

    @property
    def epoch(self) -> int:
        return self._epoch

    @property
    def iter(self) -> int:
        return self._iter

    @property
    def inner_iter(self) -> int:
        return self._inner_iter

    @property
    def max_epochs(self) -> int | None:
        return self._max_epochs

    @property
    def max_iters(self) -> int | None:
        return self._max_iters

    def current_lr(self) -> Any:
        """Learning rates of the parameter groups; a dict by optimiser when there are several."""
        return self._of_groups(lambda group: group["lr"])

    def current_momentum(self) -> Any:
        """Momenta of the parameter groups; a dict by optimiser when there are several."""
        return self._of_groups(read_momentum)

    def _of_groups(self, read: Any) -> Any:
        if self.optimizer is None:
            raise RuntimeError("the runner has no optimizer, so there is no learning rate")
        if isinstance(self.optimizer, dict):
            return {name: [read(g) for g in each.param_groups] for name, each in self.optimizer.items()}
        return [read(group) for group in self.optimizer.param_groups]

    def run(self, data_loaders: Sequence[Any], workflow: Workflow) -> None:
        """Train to the end: a carrier for each phase of the workflow."""
        raise NotImplementedError

    def call_hook(self, fn_name: str) -> None:
        """Call one point of every hook, in the order of their priorities."""
        for position, hook in enumerate(self._hooks):
            self.stage = (fn_name, position)
            getattr(hook, fn_name)(self)
        self.stage = (None, None)

    def run_iter(self, data_batch: Any, train_mode: bool) -> None:
        """One step of the model."""
        method = "train_step" if train_mode else "val_step"
        enabled, device = self.amp_dtype is not None, self.environment.device
        self.skips_step = False
        if train_mode:
            self.guard.begin_step()
        with torch.autocast(device.type, dtype=self.amp_dtype, enabled=enabled):
            if train_mode and self.split_step is not None:
                outputs = self.split_step.train_step(self, data_batch)
            elif train_mode:
                outputs = call_through(self.model, method, data_batch, self.optimizer)
            else:
                outputs = getattr(unwrap(self.model), method)(data_batch, self.optimizer)
        if not isinstance(outputs, dict):
            raise TypeError(f"{self.model_name}.{method} must return a dict, got {type(outputs).__name__}")
        self.outputs = outputs
        if train_mode and not loss_is_finite(outputs):
            self._refuse(outputs, data_batch)
        if "log_vars" in outputs and not self.skips_step:
            self.log_buffer.update(outputs["log_vars"], outputs["num_samples"])

    def _refuse(self, outputs: Mapping[str, Any], data_batch: Any) -> None:
        message = describe_loss(outputs, data_batch, self._iter + 1)
        if self.stop_on_nonfinite_loss:
            self.guard.refuse(self, message)
        else:
            self.logger.warning(message)

    def train_batch(self, data_batch: Any) -> None:
        """One training iteration with its hooks."""
        self._inner_iter = self.batch
        self._load(data_batch)
        self.call_hook("before_train_iter")
        self.run_iter(self.data_batch, train_mode=True)
        self.call_hook("after_train_iter")
        self._end_iteration()
        self._stop_if_asked()

    def _end_iteration(self) -> None:
        self.data_batch, self.other_batches = None, []
        self.batch += 1
        self._iter += 1
        self.log_buffer.trim(self._kept)
        if self._news:
            self._report()

    def _stop_if_asked(self) -> None:
        """End the run with a checkpoint when the environment asks for that; it does so on all ranks alike.

        Raises:
            Interrupted: always, then.
        """
        reason = self.environment.interruption(self._iter)
        if reason is None or self._iter == self._max_iters:
            return
        self.logger.warning(f"{reason}: saving a checkpoint at iteration {self._iter} and ending here")
        states = self.gather_rank_states()
        self.note_checkpoint(self.save_checkpoint(self.environment.work_dir, FILE, rank_states=states))
        self._report()
        raise Interrupted(reason, self._iter)

    def validate_batch(self, data_batch: Any) -> None:
        """One validation iteration with its hooks."""
        self._load(data_batch)
        self.call_hook("before_val_iter")
        with torch.no_grad():
            self.run_iter(self.data_batch, train_mode=False)
        self.call_hook("after_val_iter")
        self.data_batch = None

    def _load(self, data_batch: Any) -> None:
        self.other_batches = [self._prepared(each) for each in getattr(data_batch, "others", ())]
        self.data_batch = self._prepared(data_batch)

    def _prepared(self, data_batch: Any) -> Any:
        return pad_to_bucket(to_device(data_batch, self.environment.device), self.bucket)

    def gather_rank_states(self) -> list[RankState] | None:
        """What every rank keeps for itself, on rank 0, None elsewhere. Every rank calls this."""
        return self.environment.gather(rank_state(self.model, self.world_size))

    def save_checkpoint(
        self,
        out_dir: str | Path,
        filename_tmpl: str | None = None,
        save_optimizer: bool = True,
        meta: Mapping[str, Any] | None = None,
        create_symlink: bool = True,
        rank_states: list[RankState] | None = None,
    ) -> Path:
        """Write a checkpoint on rank 0 and return its path.

        Args:
            out_dir: folder.
            filename_tmpl: name with `{}` for the number of the epoch or iteration.
            save_optimizer: also save the optimiser.
            meta: more facts to save.
            create_symlink: let `latest.pth` in the folder point to it.
            rank_states: see `gather_rank_states`; without them a run of several processes cannot be resumed exactly.
        """
        path = Path(out_dir, (filename_tmpl or self._template).format(self._number()))
        path = sharding.checkpoint_path(self.model, path)
        facts = self._facts(meta, rank_states) if self.rank == 0 else None
        if sharding.is_sharded(self.model):
            sharding.save_shards(self, path, facts, save_optimizer)
        elif facts is not None:
            optimizer = self.optimizer if save_optimizer else None
            save_checkpoint(unwrap(self.model), path, optimizer=optimizer, meta=facts)
        if self.rank == 0 and create_symlink:
            _point_to(path)
        return path

    def _facts(self, meta: Mapping[str, Any] | None, rank_states: list[RankState] | None) -> dict[str, Any]:
        """The `meta` of a checkpoint."""
        alone = [rank_state(self.model, 1)] if self.world_size == 1 else None
        state = resume.snapshot(self, rank_states or alone)
        facts = {**self.checkpoint_meta, **self.meta, **(meta or {})}
        return {**facts, "epoch": self._epochs_done(), "iter": state["iter"], resume.KEY: state}

    _template = "epoch_{}.pth"

    def _number(self) -> int:
        raise NotImplementedError

    def _epochs_done(self) -> int:
        return self._epoch + (self.stage[0] == "after_train_epoch")

    def write_record(self, record: Mapping[str, Any]) -> None:
        """Add a line of its own to the json logs."""
        for hook in self._hooks:
            if isinstance(hook, TextLoggerHook):
                hook.write(record)

    def note_checkpoint(self, path: Path) -> None:
        """Remember a checkpoint for the next report to the environment. Every rank calls this."""
        self.last_checkpoint = path
        self._news = True

    def note_evaluation(self) -> None:
        """Remember that an evaluation was made for the next report. Every rank calls this."""
        self._news = self.evaluated = True

    def _report(self) -> None:
        """Tell the environment what is new; called at the same places on every rank."""
        means = {
            name: sum(v * n for v, n in zip(values, self.log_buffer.n_history[name], strict=True))
            / sum(self.log_buffer.n_history[name])
            for name, values in self.log_buffer.val_history.items()
            if values
        }
        metrics = {**means, **self.metrics, "epoch": self._epochs_done(), "iter": self._iter}
        self.environment.report(metrics, self.last_checkpoint, self.evaluation_request)
        self.last_checkpoint = self.evaluation_request = None
        self._news = self.evaluated = False

    def load_checkpoint(
        self, filename: str | Path, map_location: Any = "cpu", strict: bool = False, revise_keys: Any = None
    ) -> dict[str, Any]:
        """Load weights into the model, see `raydet.checkpoint.load_checkpoint`."""
        from raydet.checkpoint import load_checkpoint

        options = {} if revise_keys is None else {"revise_keys": revise_keys}
        return dict(load_checkpoint(unwrap(self.model), filename, map_location=map_location, strict=strict, **options))

    def resume(
        self,
        checkpoint: str | Path | dict[str, Any],
        resume_optimizer: bool = True,
        map_location: Any = "cpu",
        source: str = "",
    ) -> None:
        """Go on from a checkpoint: weights, optimiser, position; the rest is put back when the run begins.

        Args:
            checkpoint: file, or what was read from it.
            resume_optimizer: also take over the state of the optimiser.
            map_location: where tensors of a file go first.
            source: name of the file for messages, when `checkpoint` was read before.

        Raises:
            ValueError: the checkpoint is of another model.
        """
        source = source or ("that was given" if isinstance(checkpoint, dict) else str(checkpoint))
        data = checkpoint if isinstance(checkpoint, dict) else load(checkpoint, map_location=map_location)
        resume.check_same_model(self.model, sharding.shapes_in(data), source)
        data = sharding.resume_shards(self, data, resume_optimizer)
        unwrap(self.model).load_state_dict(data["state_dict"], strict=False)
        meta = data["meta"]
        state = meta.get(resume.KEY)
        self._epoch, self._iter = int(meta["epoch"]), int(meta["iter"])
        if state is not None:
            self._epoch, self._iter, self.batch = state["epoch"], state["iter"], state["batch"]
            self._rescale(state["world_size"])
            self.metrics = dict(state["metrics"]) if self.rank == 0 else {}
        self.meta.setdefault("hook_msgs", {}).update(meta.get("hook_msgs") or {})
        if resume_optimizer and "optimizer" in data:
            self._load_optimizer(data["optimizer"], source)
        self.resumed = data
        self.logger.info(f"resumed from {source}: epoch {self._epoch}, iteration {self._iter}")

    def _load_optimizer(self, state: Mapping[str, Any], source: str) -> None:
        try:
            if isinstance(self.optimizer, dict):
                for name, optimizer in self.optimizer.items():
                    optimizer.load_state_dict(state[name])
            elif self.optimizer is not None:
                self.optimizer.load_state_dict(state)
        except (KeyError, ValueError) as error:
            raise ValueError(f"the optimizer in {source} does not fit this run's: {error}") from error

    def _rescale(self, world_size: int) -> None:
        """Translate the position of a run with another number of processes, by the samples that were seen."""
        if world_size == self.world_size:
            return
        self.batch = self.batch * world_size // self.world_size
        self._iter = self._iter * world_size // self.world_size
        self.logger.warning(
            f"the checkpoint is of a run with {world_size} processes, this one has {self.world_size}: it goes on at "
            f"batch {self.batch} of the epoch, and the order of samples is not the same"
        )

    def _begin(self, loaders: Sequence[Any], workflow: Workflow) -> dict[str, Any] | None:
        """Call `before_run`; returns the saved state of the run when it is resumed."""
        if not loaders or len(loaders) != len(workflow):
            raise ValueError(f"{len(loaders)} carriers for a workflow of {len(workflow)} phases: {list(workflow)!r}")
        self.data_loader = loaders[0]
        self._kept = max([_KEPT, *(hook.interval for hook in self._hooks if isinstance(hook, LoggerHook))])
        phases = ", ".join(f"({mode!r}, {number})" for mode, number in workflow)
        limit = f"{self._max_epochs} epochs" if self._max_epochs is not None else f"{self._max_iters} iterations"
        self.logger.info(f"workflow: [{phases}], max: {limit}, work dir: {self.work_dir}")
        self.call_hook("before_run")
        data, self.resumed = self.resumed, None
        state: dict[str, Any] | None = data["meta"].get(resume.KEY) if data is not None else None
        if state is not None:
            resume.load_hook_states(self, state)
        return state

    def _restore(self, state: Mapping[str, Any]) -> None:
        """Put back the logged numbers and what the model and this rank kept at the moment of the checkpoint."""
        self.log_buffer.load_state_dict(state["log_buffer"])
        resume.load_model_state(self, state)
        load_rank_state(self, state)

    def _finish_iteration(self, state: Mapping[str, Any]) -> None:
        """Let hooks have the rest of the iteration in which the checkpoint was made."""
        self._iter -= 1
        self.batch -= 1
        self._inner_iter = self.batch
        resume.finish_stage(self, state)
        self._end_iteration()


def _device_of(model: nn.Module) -> torch.device:
    parameter = next(model.parameters(), None)
    return parameter.device if parameter is not None else torch.device("cpu")


def _point_to(path: Path) -> None:
    """Make `latest.pth` (`latest.shards`) beside a checkpoint mean that checkpoint, at once."""
    fresh = path.with_name(f".latest{path.suffix}")
    fresh.unlink(missing_ok=True)
    try:
        fresh.symlink_to(path.name)
    except OSError:  # a file system without links
        if path.is_dir():
            return
        shutil.copyfile(path, fresh)
    fresh.replace(path.with_name(f"latest{path.suffix}"))
