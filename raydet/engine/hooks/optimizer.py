"""Backward pass and optimiser step: plain, accumulated over iterations, in mixed precision."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.utils import clip_grads_with_norm_, get_total_norm

from raydet.engine.finite import sample_ids
from raydet.engine.hooks.base import Hook
from raydet.engine.hooks.precision import MixedPrecision
from raydet.engine.nan_guard import first_not_finite
from raydet.engine.parallel import unwrap
from raydet.engine.sharding import whole


class OptimizerHook(Hook):
    """Computes gradients of `runner.outputs["loss"]`, clips them and steps the optimiser.

    Args:
        grad_clip: arguments of `torch.nn.utils.clip_grad_norm_` such as `dict(max_norm=35, norm_type=2)`.
        detect_anomalous_params: log the parameters that the loss does not depend on (slow).
    """

    cumulative_iters = 1
    precision: MixedPrecision | None = None

    def __init__(self, grad_clip: Mapping[str, Any] | None = None, detect_anomalous_params: bool = False) -> None:
        self.grad_clip = grad_clip
        self.detect_anomalous_params = detect_anomalous_params
        self.scaler: torch.amp.GradScaler | None = None
        self._model: nn.Module | None = None
        self._window_open = False

    def before_run(self, runner: Any) -> None:
        self._model = unwrap(runner.model)
        if self.cumulative_iters > 1 and any(isinstance(m, _BatchNorm) for m in self._model.modules()):
            runner.logger.warning("batch norm layers see the small batches although gradients are accumulated")
        if self.precision is not None:
            self.scaler = self.precision.start(runner)

    def after_train_iter(self, runner: Any) -> None:
        loss = runner.outputs["loss"]
        if self.detect_anomalous_params:
            self.detect_anomalous_parameters(loss, runner)
        if runner.iter % self.cumulative_iters == 0:
            self._each(runner, lambda optimizer: optimizer.zero_grad())
        skipped = getattr(runner, "skips_step", False)
        if not skipped:
            loss = loss / self._window(runner) if self.cumulative_iters > 1 else loss
            (self.scaler.scale(loss) if self.scaler else loss).backward()
        self._window_open = not (self.every_n_iters(runner, self.cumulative_iters) or self.is_last_iter(runner))
        if not self._window_open and not (skipped and self.cumulative_iters == 1):
            self._step(runner)

    def clip_grads(self, params: Any) -> Tensor | None:
        """Clip the gradients of `params` if they are finite; returns their norm before, or None when there are none."""
        trained = [p for p in params if p.requires_grad and p.grad is not None]
        if not trained:
            return None
        options = dict(self.grad_clip or {"max_norm": float("inf")})
        limit = float(options.pop("max_norm"))
        norm = whole(get_total_norm([p.grad for p in trained], **options))
        if bool(torch.isfinite(norm)):
            clip_grads_with_norm_(trained, limit, norm, options.get("foreach"))
        return norm

    def detect_anomalous_parameters(self, loss: Tensor, runner: Any) -> None:
        """Log every parameter that takes no part in `loss`."""
        reached, queue, seen = set(), [loss.grad_fn], set()
        while queue:
            node: Any = queue.pop()
            if node is None or node in seen:
                continue
            seen.add(node)
            reached.add(id(getattr(node, "variable", None)))
            queue.extend(parent for parent, _ in node.next_functions)
        for name, parameter in unwrap(runner.model).named_parameters():
            if parameter.requires_grad and id(parameter) not in reached:
                shape = tuple(parameter.shape)
                runner.logger.log(logging.ERROR, f"the loss does not depend on {name} with shape {shape}")

    def state_dict(self) -> dict[str, Any]:
        state: dict[str, Any] = {}
        if self.scaler is not None:
            state["scaler"] = self.scaler.state_dict()
        if self._window_open and self._model is not None:
            state["grads"] = {
                name: p.grad.detach().clone() for name, p in self._model.named_parameters() if p.grad is not None
            }
        return state

    def load_state_dict(self, state: dict[str, Any]) -> None:
        if self.scaler is not None and state.get("scaler"):
            self.scaler.load_state_dict(state["scaler"])
        parameters = dict(self._model.named_parameters()) if self._model is not None else {}
        for name, grad in state.get("grads", {}).items():
            parameters[name].grad = grad.to(parameters[name].device, copy=True)

    def _window(self, runner: Any) -> int:
        """Iterations whose gradients are summed into the step that the current one belongs to."""
        whole = runner.max_iters // self.cumulative_iters * self.cumulative_iters
        return self.cumulative_iters if runner.iter < whole else runner.max_iters - whole

    def _step(self, runner: Any) -> None:
        if self.scaler is not None:
            self._each(runner, self.scaler.unscale_)
        if self.grad_clip is not None:
            norm = self.clip_grads(runner.model.parameters())
            if norm is not None and self._accepts(float(norm), runner):
                runner.log_buffer.update({"grad_norm": float(norm)}, runner.outputs.get("num_samples", 1))
        if getattr(runner, "skips_step", False):
            self._each(runner, lambda optimizer: optimizer.zero_grad())
        elif self.scaler is None:
            self._each(runner, lambda optimizer: optimizer.step())
        else:
            self._each(runner, self.scaler.step)
            self.scaler.update()

    def _accepts(self, norm: float, runner: Any) -> bool:
        """Whether a gradient norm is finite; asks the guard if not, unless a scaler looks after that."""
        scaled = self.scaler is not None and self.scaler.is_enabled()
        if math.isfinite(norm) or scaled or not hasattr(runner, "guard"):
            return True
        name = first_not_finite(runner.model, of_gradients=True)
        samples = ", ".join(sample_ids(runner.data_batch)) or "unknown"
        runner.guard.refuse(
            runner,
            f"the gradient is not finite at iteration {runner.iter + 1}, first that of {name}; samples of this "
            f"process: {samples}",
        )
        return False

    @staticmethod
    def _each(runner: Any, act: Any) -> None:
        optimizer = runner.optimizer
        for each in optimizer.values() if isinstance(optimizer, dict) else (optimizer,):
            act(each)


class GradientCumulativeOptimizerHook(OptimizerHook):
    """Steps once per `cumulative_iters` iterations with the mean of their gradients."""

    def __init__(self, cumulative_iters: int = 1, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.cumulative_iters = _check_window(cumulative_iters)


class Fp16OptimizerHook(OptimizerHook):
    """Trains in mixed precision: float16 with a scaled loss on CUDA, bfloat16 elsewhere.

    Args:
        grad_clip: as in `OptimizerHook`.
        coalesce: accepted for 2.x configs; gradients are reduced by the data-parallel wrapper.
        bucket_size_mb: likewise.
        loss_scale: a fixed scale, "dynamic", or the arguments of `torch.amp.GradScaler`.
        distributed: accepted for 2.x configs.
        dtype: "float16" or "bfloat16" (which needs no scale) to have it on every device.
    """

    def __init__(
        self,
        grad_clip: Mapping[str, Any] | None = None,
        coalesce: bool = True,
        bucket_size_mb: int = -1,
        loss_scale: float | str | Mapping[str, Any] = 512.0,
        distributed: bool = True,
        dtype: str | None = None,
    ) -> None:
        super().__init__(grad_clip)
        self.precision = MixedPrecision(loss_scale, dtype)


class GradientCumulativeFp16OptimizerHook(OptimizerHook):
    """`GradientCumulativeOptimizerHook` in mixed precision, see `Fp16OptimizerHook`."""

    def __init__(
        self,
        grad_clip: Mapping[str, Any] | None = None,
        coalesce: bool = True,
        bucket_size_mb: int = -1,
        loss_scale: float | str | Mapping[str, Any] = 512.0,
        distributed: bool = True,
        cumulative_iters: int = 1,
        dtype: str | None = None,
    ) -> None:
        super().__init__(grad_clip)
        self.precision = MixedPrecision(loss_scale, dtype)
        self.cumulative_iters = _check_window(cumulative_iters)


def _check_window(cumulative_iters: int) -> int:
    if not isinstance(cumulative_iters, int) or cumulative_iters <= 0:
        raise ValueError(f"cumulative_iters must be a positive int, got {cumulative_iters!r}")
    return cumulative_iters
