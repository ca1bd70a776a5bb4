"""Where the engine runs when it runs inside a Ray Train worker."""

from __future__ import annotations

import functools
import logging
import os
import posixpath
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import ray.train
import ray.train.torch
from torch import nn

from raydet.checkpoint.shards import is_sharded
from raydet.distributed.evaluation import SeparateEvaluation, Waiting
from raydet.distributed.mirror import RunMirror
from raydet.distributed.monitor import Reporter
from raydet.distributed.outbox import Outbox, new_name
from raydet.distributed.stop_requests import StopRequests
from raydet.distributed.storage import RunFolder
from raydet.engine.environment import ProcessGroupEnvironment

_MARKER = ".validate_storage_marker"


class RayEnvironment(ProcessGroupEnvironment):
    """`raydet.engine.Environment` of one Ray Train worker.

    Checkpoints are what rank 0 writes into `work_dir`; an `Outbox` brings them into the run folder. On a disk that all
    nodes share, `work_dir` is the run folder. For object storage it is a folder of the node, and the other files of the
    run are mirrored.

    Args:
        folder: of the run.
        find_unused_parameters: tell DistributedDataParallel to look for parameters that a loss does not reach.
        reporter: for phases of the start.
        sharded: spread the parameters over the workers.
        work_dir: another local folder for what the engine writes.
        evaluation: how checkpoints are evaluated in tasks of their own, if they are.
    """

    def __init__(
        self,
        folder: RunFolder,
        *,
        find_unused_parameters: bool,
        reporter: Reporter,
        sharded: bool = False,
        work_dir: Path | None = None,
        evaluation: SeparateEvaluation | None = None,
    ) -> None:
        work_dir = work_dir or folder.local or Path(tempfile.gettempdir(), "raydet", folder.name)
        device = ray.train.torch.get_device()
        super().__init__(work_dir, device, find_unused_parameters=find_unused_parameters, sharded=sharded)
        self.local_rank = ray.train.get_context().get_local_rank()
        self._folder = folder
        self._reporter = reporter
        self._mirror = RunMirror(self.work_dir, folder) if folder.local is None and self.local_rank == 0 else None
        if folder.local is not None:
            _check_shared(folder.local)
        self._logger = logging.getLogger("raydet")
        self._evaluation = evaluation
        self.evaluates_elsewhere = evaluation is not None
        self._waiting = Waiting(folder)
        self._outbox = Outbox(folder, self.work_dir, self._logger.info, self.rank)
        self._outbox.clear()
        self._arrivals = self._outbox.arrivals(_registered())
        self._looked = False
        self._latest: Path | None = None
        self.stops: StopRequests | None = None

    def interruption(self, iteration: int) -> str | None:
        """Why the run is to end; the workers of a test are never asked to."""
        return None if self.stops is None else self.stops.reason(iteration)

    def wrap_model(self, model: nn.Module) -> nn.Module:
        """Move the model to the device; data-parallel when there are several workers."""
        wrapped = super().wrap_model(model)
        self._reporter.phase("model")
        return wrapped

    def report(
        self, metrics: Mapping[str, Any], checkpoint: Path | None, evaluate: Mapping[str, Any] | None = None
    ) -> None:
        """Hand metrics and rank 0's checkpoint file to Ray Train; every rank calls this equally often.

        Always through Ray Train's thread for uploads: reports keep their order, and none waits for an upload before it.
        """
        plain = {name: value for name, value in metrics.items() if isinstance(value, (bool, int, float, str))}
        name = new_name()
        handed = self._outbox.put(checkpoint, name) if checkpoint is not None and self._has(checkpoint) else None
        ray.train.report(
            plain,
            checkpoint=None if handed is None else ray.train.Checkpoint.from_directory(handed),
            checkpoint_dir_name=name,
            checkpoint_upload_mode=ray.train.CheckpointUploadMode.ASYNC,
            checkpoint_upload_fn=functools.partial(self._send, original=checkpoint),
            delete_local_checkpoint_after_upload=self._folder.local is None,
            validation=self._task_for(evaluate) if handed is not None and evaluate is not None else False,
        )
        if self._mirror is not None:
            self._mirror.update()

    def _has(self, checkpoint: Path) -> bool:
        """Whether this rank has something of a checkpoint to hand over."""
        return self.rank == 0 or (is_sharded(checkpoint) and self._folder.local is None)

    def _send(self, handed: ray.train.Checkpoint, name: str, original: Path | None) -> ray.train.Checkpoint:
        """Called by Ray Train in its thread, when there is a checkpoint."""
        assert original is not None
        self._outbox.send(Path(handed.path), name, original)
        return ray.train.Checkpoint(f"{self._folder.path}/{name}", self._folder.filesystem)

    def _task_for(self, evaluate: Mapping[str, Any]) -> Any:
        """The task that evaluates a checkpoint; False while too many wait."""
        assert self._evaluation is not None
        waiting = self._waiting.names()
        if len(waiting) >= self._evaluation.queue and not evaluate["at_end"]:
            self._logger.warning(
                f"{evaluate['name']} is not evaluated: {', '.join(waiting)} still wait, and evaluation.separate "
                f"has queue={self._evaluation.queue}; give evaluations more resources or a longer interval"
            )
            return False
        self._waiting.add(evaluate["name"])
        return ray.train.ValidationTaskConfig(fn_kwargs=dict(evaluate), timeout_s=self._evaluation.timeout)

    def latest_checkpoint(self) -> Path | None:
        """The checkpoint file that Ray Train registered last, brought to this node."""
        if not self._looked:
            self._looked, self._latest = True, next(self._arrivals, None)
        return self._latest

    def earlier_checkpoints(self) -> Iterator[Path]:
        """The ones before it, the newest first: in the run folder, then in the work dir."""
        self.latest_checkpoint()
        yield from self._arrivals
        yield from super().earlier_checkpoints()

    def wait_for_uploads(self) -> None:
        """Wait until all checkpoints are in the run folder, so that the log which is sent last can tell of them."""
        self._outbox.wait()

    def close(self) -> None:
        """Send what is left to object storage."""
        self._waiting.close()
        self._outbox.close()
        if self._mirror is not None:
            self._mirror.close()
        if self.stops is not None:
            self.stops.close()


def _registered() -> str | None:
    """The name of the checkpoint folder that Ray Train goes on from."""
    checkpoint = ray.train.get_checkpoint()
    return None if checkpoint is None else posixpath.basename(checkpoint.path)


def _check_shared(folder: Path) -> None:
    """Ray Train left a marker in the run folder on the driver's node; a worker must see it.

    Raises:
        FileNotFoundError: the folder is on another machine's own disk.
    """
    if not (folder / _MARKER).exists():
        raise FileNotFoundError(
            f"worker on {os.uname().nodename} does not see the run folder {folder} of the driver; "
            "runs on several nodes need a storage that all of them reach: a shared file system or s3://bucket/path"
        )
