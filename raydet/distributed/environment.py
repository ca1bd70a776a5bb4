"""Where the engine runs when it runs inside a Ray Train worker."""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import ray.train
import ray.train.torch
from torch import nn

from raydet.distributed.mirror import RunMirror
from raydet.distributed.monitor import Reporter
from raydet.distributed.storage import RunFolder
from raydet.engine.environment import ProcessGroupEnvironment

_MARKER = ".validate_storage_marker"


class RayEnvironment(ProcessGroupEnvironment):
    """`raydet.engine.Environment` of one Ray Train worker.

    Checkpoints are what rank 0 writes into `work_dir`. On a disk that all nodes share, `work_dir` is the run folder and
    a checkpoint is handed to Ray Train as a hard link: it costs neither time nor space, and what hooks delete later
    stays as long as Ray Train needs it. For object storage, `work_dir` is a folder of the node, checkpoints are
    uploaded by a thread of Ray Train while training goes on, and the other files of the run are mirrored.

    Args:
        folder: of the run.
        find_unused_parameters: tell DistributedDataParallel to look for parameters that a loss does not reach.
        reporter: for phases of the start.
        work_dir: another local folder for what the engine writes.
    """

    def __init__(
        self, folder: RunFolder, *, find_unused_parameters: bool, reporter: Reporter, work_dir: Path | None = None
    ) -> None:
        work_dir = work_dir or folder.local or Path(tempfile.gettempdir(), "raydet", folder.name)
        device = ray.train.torch.get_device()
        super().__init__(work_dir, device, find_unused_parameters=find_unused_parameters)
        self.local_rank = ray.train.get_context().get_local_rank()
        self._folder = folder
        self._reporter = reporter
        self._mirror = RunMirror(self.work_dir, folder) if folder.local is None and self.rank == 0 else None
        if folder.local is not None:
            _check_shared(folder.local)

    def wrap_model(self, model: nn.Module) -> nn.Module:
        """Move the model to the device; data-parallel when there are several workers."""
        wrapped = super().wrap_model(model)
        self._reporter.phase("model")
        return wrapped

    def report(self, metrics: Mapping[str, Any], checkpoint: Path | None) -> None:
        """Hand metrics and rank 0's checkpoint file to Ray Train; every rank calls this equally often."""
        plain = {name: value for name, value in metrics.items() if isinstance(value, (bool, int, float, str))}
        name = f"checkpoint_{time.strftime('%Y%m%d_%H%M%S')}_{time.time_ns() // 1000 % 10**6:06d}"
        if checkpoint is None or self.rank != 0:
            ray.train.report(plain, checkpoint_dir_name=name)
        elif self._folder.local is not None:
            handed = _link(checkpoint, self._folder.local / name)
            self._report(plain, handed, name, ray.train.CheckpointUploadMode.NO_UPLOAD)
        else:
            handed = _link(checkpoint, self.work_dir / ".outbox" / name)
            self._report(plain, handed, name, ray.train.CheckpointUploadMode.ASYNC)
        if self._mirror is not None:
            self._mirror.update()

    def _report(self, metrics: dict[str, Any], folder: Path, name: str, mode: Any) -> None:
        ray.train.report(
            metrics,
            checkpoint=ray.train.Checkpoint.from_directory(folder),
            checkpoint_dir_name=name,
            checkpoint_upload_mode=mode,
            delete_local_checkpoint_after_upload=mode is ray.train.CheckpointUploadMode.ASYNC,
        )

    def latest_checkpoint(self) -> Path | None:
        """The checkpoint file that Ray Train registered last, brought to this node."""
        checkpoint = ray.train.get_checkpoint()
        if checkpoint is None:
            return None
        if self._folder.local is not None:
            return _only_file(Path(checkpoint.path))
        arrived = Path(tempfile.mkdtemp(prefix="raydet_resume_"))
        return _only_file(Path(checkpoint.to_directory(arrived)))

    def close(self) -> None:
        """Send what is left to object storage."""
        if self._mirror is not None:
            self._mirror.close()


def _link(file: Path, folder: Path) -> Path:
    """Put `file` into the new `folder` without copying it where the disk can do that."""
    folder.mkdir(parents=True)
    try:
        os.link(file, folder / file.name)
    except OSError:  # a file system without hard links
        shutil.copyfile(file, folder / file.name)
    return folder


def _only_file(folder: Path) -> Path:
    files = sorted(folder.glob("*.pth"))
    if not files:
        raise FileNotFoundError(f"the checkpoint folder {folder} holds no .pth file; remove it to start without it")
    return files[-1]


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
