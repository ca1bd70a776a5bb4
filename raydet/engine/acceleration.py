"""Settings that make the same training faster: memory layout, compiled feature extraction, few image shapes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

from raydet.engine.hooks.base import Hook

_COMPILED = ("backbone", "neck")


def accelerate(model: nn.Module, cfg: Any, logger: Any) -> None:
    """Apply `channels_last` and `torch_compile` of a config to a model that is not wrapped yet.

    Raises:
        ValueError: `torch_compile` is neither a bool nor a dict.
    """
    if cfg.get("channels_last", False):
        model.to(memory_format=torch.channels_last)
        logger.info("weights of convolutions lie channels-last in memory")
    options = compile_options(cfg)
    if options is None:
        return
    options.pop("bucket")
    for name in _COMPILED:
        part = getattr(model, name, None)
        if part is not None:
            part.compile(**options)
    logger.info(f"{' and '.join(_COMPILED)} are compiled by torch.compile({options})")


def compile_options(cfg: Any) -> dict[str, Any] | None:
    """Arguments of `torch.compile`, and `bucket`; None when nothing is to be compiled."""
    setting = cfg.get("torch_compile", False)
    if isinstance(setting, Mapping):
        options: dict[str, Any] = {"bucket": 1, **setting}
        if isinstance(options["bucket"], bool) or not isinstance(options["bucket"], int) or options["bucket"] < 1:
            raise ValueError(f"torch_compile.bucket is a number of pixels of 1 at least, got {options['bucket']!r}")
        return options
    if not isinstance(setting, (bool, type(None))):
        raise ValueError(f"torch_compile is True or a dict of arguments of torch.compile and bucket, got {setting!r}")
    return {"bucket": 1} if setting else None


def pad_to_bucket(batch: Any, bucket: int) -> Any:
    """A batch whose images `(N, C, H, W)` have heights and widths that are multiples of `bucket`; zeros are added."""
    images = batch.get("img") if bucket > 1 and isinstance(batch, Mapping) else None
    if not isinstance(images, torch.Tensor):
        return batch
    height, width = images.shape[-2:]
    return {**batch, "img": F.pad(images, (0, -width % bucket, 0, -height % bucket))}


class CompileCountHook(Hook):
    """Logs how many graphs `torch.compile` has compiled whenever there are more than before."""

    def __init__(self) -> None:
        self.count = compiled_graphs()

    def after_train_iter(self, runner: Any) -> None:
        count = compiled_graphs()
        if count > self.count:
            runner.logger.info(
                f"torch.compile: {count - self.count} more graphs at iteration {runner.iter + 1}, {count} in all; "
                "each costs time, so let images have few shapes (torch_compile.bucket)"
            )
        self.count = count


def compiled_graphs() -> int:
    """Graphs that this process has compiled."""
    from torch._dynamo.utils import counters  # takes long to import

    return int(counters["stats"].get("unique_graphs", 0))
