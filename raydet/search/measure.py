"""What a trained detector costs: time per image, parameters, operations and memory."""

from __future__ import annotations

import itertools
import statistics
import time
import weakref
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode

from raydet.config import Config
from raydet.engine.environment import checkpoints_in, default_device

MEASURED = ("latency", "params", "flops", "memory")
"""Objectives that no evaluation gives."""
IMAGES = 16
WARM_UP = 3


@dataclass(frozen=True)
class Measure:
    """What is measured of a model at the end of its trial.

    Args:
        names: some of `MEASURED`.
    """

    names: tuple[str, ...] = ()

    @classmethod
    def of_sweep(cls, sweep: Any) -> Measure:
        """What the objectives of a sweep need."""
        return cls(tuple(each.metric for each in sweep.objectives if each.metric in MEASURED))

    def of(self, cfg: Config, folder: str | Path) -> dict[str, float]:
        """Measure the detector of a run on images of its validation set, one at a time.

        Args:
            cfg: of the run.
            folder: of the run; its newest checkpoint has the weights.

        Returns:
            `latency`: milliseconds per image, the median over images, from the normalised image to detections.
            `params`: their number. `flops`: floating-point operations for one image; a multiply-add is two. `memory`:
            MiB of the parameters and of what is allocated at the peak for one image.
        """
        if not self.names:
            return {}
        from raydet.engine import init_detector

        device = default_device()
        checkpoint = next(iter(checkpoints_in(Path(folder))), None)
        model = init_detector(cfg, checkpoint, str(device))
        images = _images(cfg, device)
        ways: Mapping[str, Callable[[], float]] = {
            "latency": lambda: latency(model, images),
            "params": lambda: float(sum(each.numel() for each in model.parameters())),
            "flops": lambda: flops(model, images[0]),
            "memory": lambda: memory(model, images[0]),
        }
        return {name: ways[name]() for name in self.names}


def _images(cfg: Config, device: torch.device) -> list[dict[str, Any]]:
    """Batches of one image."""
    from raydet.datasets import collate, to_device
    from raydet.engine.data import evaluation_dataset

    dataset = evaluation_dataset(cfg, "val")
    samples = itertools.islice((dataset[index] for index in range(len(dataset))), IMAGES)
    return [to_device(collate([sample]), device) for sample in samples]


def latency(model: nn.Module, images: list[dict[str, Any]]) -> float:
    """Milliseconds per image, the median."""
    times = []
    for image in [*images[:WARM_UP], *images]:
        _wait()
        begin = time.perf_counter()
        _detect(model, image)
        _wait()
        times.append(time.perf_counter() - begin)
    return 1000 * statistics.median(times[min(WARM_UP, len(images)) :])


def flops(model: nn.Module, image: dict[str, Any]) -> float:
    """Floating-point operations for one image."""
    with FlopCounterMode(display=False) as counter:
        _detect(model, image)
    return float(counter.get_total_flops())


def memory(model: nn.Module, image: dict[str, Any]) -> float:
    """MiB of the model and of what one image takes at the peak."""
    own: int = sum(each.untyped_storage().nbytes() for each in [*model.parameters(), *model.buffers()])
    with _Peak() as peak:
        _detect(model, image)
    return float(own + peak.most) / 2**20


def _detect(model: nn.Module, image: dict[str, Any]) -> None:
    with torch.no_grad():
        model(return_loss=False, rescale=True, **image)


def _wait() -> None:
    if torch.accelerator.is_available():
        torch.accelerator.synchronize()


class _Peak(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Follows the storages of all tensors that are made, on any device.

    Attributes:
        most: bytes that were alive at a time.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.most = self._alive = 0
        self._known: set[int] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        made = func(*args, **(kwargs or {}))
        torch.utils._pytree.tree_map_only(torch.Tensor, self._follow, made)
        return made

    def _follow(self, tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if id(storage) not in self._known:
            size = storage.nbytes()
            self._known.add(id(storage))
            weakref.finalize(storage, self._forget, id(storage), size)
            self._alive += size
            self.most = max(self.most, self._alive)
        return tensor

    def _forget(self, key: int, size: int) -> None:
        self._known.discard(key)
        self._alive -= size
