"""Checks along a run: finite losses, and heads that know the classes of the data set."""

from __future__ import annotations

from typing import Any

import torch

from raydet.engine.finite import NonFiniteLossError, describe_loss
from raydet.engine.hooks.base import Hook
from raydet.engine.parallel import unwrap


class CheckInvalidLossHook(Hook):
    """Stops the run when the loss is NaN or infinite, naming the loss and the samples.

    Args:
        interval: iterations between checks.
    """

    def __init__(self, interval: int = 50) -> None:
        self.interval = interval

    def after_train_iter(self, runner: Any) -> None:
        if not self.every_n_iters(runner, self.interval) or bool(torch.isfinite(runner.outputs["loss"]).all()):
            return
        message = describe_loss(runner.outputs, getattr(runner, "data_batch", None), runner.iter + 1)
        runner.logger.info(message)
        raise NonFiniteLossError(message)


class NumClassCheckHook(Hook):
    """Stops the run when a head was built for another number of classes than the data set has."""

    _EXEMPT = ("SSDVGG", "VGG", "FusedSemanticHead")

    def before_epoch(self, runner: Any) -> None:
        dataset = runner.data_loader.dataset
        classes = getattr(dataset, "CLASSES", None)
        if classes is None:
            runner.logger.warning(
                f"{type(dataset).__name__} has no CLASSES, so the number of classes of the heads is not checked"
            )
            return
        if isinstance(classes, str):
            raise ValueError(
                f"CLASSES of {type(dataset).__name__} is the string {classes!r}, expected a tuple of names; "
                f"write ({classes!r},) with a comma"
            )
        wrong = [
            f"{name}.num_classes = {module.num_classes}"
            for name, module in unwrap(runner.model).named_modules()
            if self._counts(name, module) and module.num_classes != len(classes)
        ]
        if wrong:
            raise ValueError(
                f"the model does not fit the {len(classes)} classes of {type(dataset).__name__} "
                f"({', '.join(map(str, classes[:5]))}{', ...' if len(classes) > 5 else ''}): {'; '.join(wrong)}. "
                f"Set num_classes={len(classes)} in the heads, or give the data set the classes that the model knows"
            )

    def _counts(self, name: str, module: Any) -> bool:
        exempt = not name or name.endswith("rpn_head") or type(module).__name__ in self._EXEMPT
        return isinstance(vars(module).get("num_classes"), int) and not exempt
