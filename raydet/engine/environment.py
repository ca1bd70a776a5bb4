"""Where a run runs: the one thing that the engine knows of its outside."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any, Protocol

import torch
import torch.distributed as dist
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from raydet.checkpoint.shards import SUFFIX as SHARDS

GATHER_TIMEOUT = timedelta(hours=6)
"""How long the others may wait while rank 0 computes a metric."""


class Environment(Protocol):
    """The processes, devices and folders of a run.

    Attributes:
        rank: of this process, in [0, world_size).
        world_size: number of processes.
        local_rank: of this process on its machine.
        device: on which this process trains.
        work_dir: local folder for logs and checkpoints.
        evaluates_elsewhere: others can evaluate a checkpoint while the run goes on.
    """

    rank: int
    world_size: int
    local_rank: int
    device: torch.device
    work_dir: Path
    evaluates_elsewhere: bool

    def wrap_model(self, model: nn.Module) -> nn.Module:
        """Move the model to the device; data-parallel when there are several processes."""

    def report(
        self, metrics: Mapping[str, Any], checkpoint: Path | None, evaluate: Mapping[str, Any] | None = None
    ) -> None:
        """Tell the outside of progress; every rank calls this equally often, rank 0 with the checkpoint file.

        Where `evaluates_elsewhere`, the checkpoint may be given out to be evaluated, with its name and position.
        """

    def latest_checkpoint(self) -> Path | None:
        """The checkpoint to go on from, or None to start anew."""

    def earlier_checkpoints(self) -> Iterator[Path]:
        """Those before the latest one, the newest first, for a run whose latest one is damaged."""

    def gather(self, obj: Any) -> list[Any] | None:
        """Objects of all ranks on rank 0, None elsewhere. Every rank calls this."""

    def interruption(self, iteration: int) -> str | None:
        """Why the run is to save a checkpoint and end now, or None.

        Every rank calls this after every iteration, of which it says the number, and all get the same answer there.
        """


def default_device(index: int = 0) -> torch.device:
    """The accelerator of this machine (cuda, xpu, mps, or one of a plug-in) with the number `index`, else the CPU."""
    if not torch.accelerator.is_available():
        return torch.device("cpu")
    accelerator = torch.accelerator.current_accelerator()
    assert accelerator is not None
    return torch.device(accelerator.type, index)


class LocalEnvironment:
    """One process on this machine.

    Args:
        work_dir: made when it does not exist.
        device: the first accelerator when there is one, else the CPU.
        resume: go on from the newest checkpoint in `work_dir`, if there is one.
    """

    rank = 0
    world_size = 1
    local_rank = 0
    evaluates_elsewhere = False

    def __init__(self, work_dir: str | Path, device: str | torch.device | None = None, resume: bool = False) -> None:
        self.work_dir = Path(work_dir)
        self.device = torch.device(device or default_device())
        self.resume = resume

    def wrap_model(self, model: nn.Module) -> nn.Module:
        return model.to(self.device)

    def report(
        self, metrics: Mapping[str, Any], checkpoint: Path | None, evaluate: Mapping[str, Any] | None = None
    ) -> None:
        """Nobody listens."""

    def latest_checkpoint(self) -> Path | None:
        return next(iter(checkpoints_in(self.work_dir)), None) if self.resume else None

    def earlier_checkpoints(self) -> Iterator[Path]:
        yield from checkpoints_in(self.work_dir)[1:]

    def gather(self, obj: Any) -> list[Any] | None:
        return [obj]

    def interruption(self, iteration: int) -> str | None:
        return None


class ProcessGroupEnvironment(LocalEnvironment):
    """One of several processes that have called `torch.distributed.init_process_group` (torchrun, Slurm).

    Args:
        work_dir: as in `LocalEnvironment`, like `device` and `resume`; seen by all processes.
        device: see there; by default the accelerator with the number of the local rank.
        resume: see there.
        find_unused_parameters: look for parameters that a loss does not reach (slower).
        sharded: spread the parameters over the processes, see `raydet.engine.sharding`.

    Attributes:
        objects: the group of all processes that carries objects; on the CPU, whatever carries the gradients.
    """

    def __init__(
        self,
        work_dir: str | Path,
        device: str | torch.device | None = None,
        resume: bool = False,
        find_unused_parameters: bool = False,
        sharded: bool = False,
    ) -> None:
        self.rank = dist.get_rank()
        self.world_size = dist.get_world_size()
        self.local_rank = int(os.environ.get("LOCAL_RANK", self.rank % max(torch.accelerator.device_count(), 1)))
        super().__init__(work_dir, device or default_device(self.local_rank), resume)
        self.find_unused_parameters = find_unused_parameters
        self.sharded = sharded
        self.objects: Any = dist.new_group(backend="gloo", timeout=GATHER_TIMEOUT)

    def wrap_model(self, model: nn.Module) -> nn.Module:
        model = model.to(self.device)
        if self.world_size == 1:
            return model
        if self.sharded:
            from raydet.engine.sharding import shard

            return shard(model, self.device)
        return DistributedDataParallel(
            model,
            device_ids=[self.device] if self.device.type == "cuda" else None,
            broadcast_buffers=False,
            gradient_as_bucket_view=True,  # gradients are not copied for the exchange
            find_unused_parameters=self.find_unused_parameters,
        )

    def gather(self, obj: Any) -> list[Any] | None:
        gathered: list[Any] | None = [None] * self.world_size if self.rank == 0 else None
        dist.gather_object(obj, gathered, dst=0, group=self.objects)
        return gathered


def from_rank_0(environment: Environment, obj: Any) -> Any:
    """The object of rank 0 on every rank."""
    if environment.world_size == 1:
        return obj
    objects = [obj]
    dist.broadcast_object_list(objects, src=0, device=environment.device)
    return objects[0]


def checkpoints_in(folder: Path) -> list[Path]:
    """Checkpoint files in `folder`, the one to go on from first: `latest.pth`, then by age."""
    found = [*folder.glob("*.pth"), *folder.glob(f"*{SHARDS}")]
    found = [path for path in found if path.exists() and not path.name.startswith("best_")]
    pointers = [path for path in found if path.stem == "latest"]
    first = sorted((path.resolve() for path in pointers), key=lambda p: p.stat().st_mtime_ns, reverse=True)
    others = sorted((p for p in found if p not in pointers), key=lambda p: p.stat().st_mtime_ns, reverse=True)
    return first + [path for path in others if path.resolve() not in first]


def check_work_dir(work_dir: Path) -> None:
    """Make the folder and a file in it.

    Raises:
        OSError: it cannot be written.
    """
    try:
        work_dir.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=work_dir):
            pass
    except OSError as error:
        raise type(error)(
            error.errno,
            f"the work dir {work_dir} cannot be written ({error.strerror}); choose another with work_dir or --work-dir",
        ) from error
