"""Training steps that are computed again in parts when the memory of a device does not suffice."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn

from raydet.engine.parallel import unwrap
from raydet.engine.random import load_random_state, random_state

Batch = Mapping[str, Any]


class SplitStep:
    """Computes the losses and gradients of a batch whole or, when memory runs out, in ever smaller parts.

    The loss of a step in parts is the mean of the parts' losses, weighted by their images. That is the loss of the
    whole batch where losses are means over images or over a fixed number of samples per image. Losses divided by the
    number of positives in the batch are divided by those of each part instead, batch norms in training mode see the
    parts, and samplers draw other samples; such steps are close, not equal.

    Args:
        max_parts: of a batch; None for as many as there are images.
    """

    def __init__(self, max_parts: int | None = None) -> None:
        if max_parts is not None and (isinstance(max_parts, bool) or not isinstance(max_parts, int) or max_parts < 2):
            raise ValueError(f"avoid_oom.max_parts must be an int of 2 at least or None, got {max_parts!r}")
        self.max_parts = max_parts

    def train_step(self, runner: Any, batch: Batch) -> dict[str, Any]:
        """What the model's `train_step` returns; gradients are computed already, and flow when the loss is asked to.

        Raises:
            torch.OutOfMemoryError: the smallest parts need too much memory, too.
        """
        images = count_images(batch)
        limit = min(images, self.max_parts or images)
        model, scale = unwrap(runner.model), 1.0 if runner.scaler is None else float(runner.scaler.get_scale())
        state = random_state()
        buffers = {name: value.clone() for name, value in model.named_buffers() if not name.startswith("ema_")}
        parts = 1
        while True:
            try:
                return compute_parts(model, runner.optimizer, split(batch, images, parts), scale)
            except torch.OutOfMemoryError:
                if parts >= limit:
                    raise
            parts = min(2 * parts, limit)
            runner.logger.warning(
                f"memory does not suffice at iteration {runner.iter + 1}; computing {images} images in {parts} parts"
            )
            _start_again(model, buffers, state)


def split_step_of(setting: Any, world_size: int) -> SplitStep | None:
    """What `avoid_oom` of a config asks for.

    Args:
        setting: a bool, None, or a dict of arguments of `SplitStep`.
        world_size: processes of the run.

    Raises:
        ValueError: another kind of setting, or several processes.
    """
    if setting is None or setting is False:
        return None
    if setting is not True and not isinstance(setting, Mapping):
        raise ValueError(f"avoid_oom is True, False or dict(max_parts=...), got {setting!r}")
    if world_size > 1:
        raise ValueError(
            f"avoid_oom works in runs of one process, this one has {world_size}: the others would wait for ever for "
            "the one that tries again. Lower data.samples_per_gpu, or use fp16 or with_cp"
        )
    return SplitStep(**({} if setting is True else setting))


def count_images(batch: Batch) -> int:
    """Images of a batch."""
    return len(batch["img_metas"] if "img_metas" in batch else batch["img"])


def split(batch: Batch, images: int, parts: int) -> Iterator[tuple[float, Batch]]:
    """Parts of a batch of about the same size, each with its share of the images.

    Tensors and lists with an entry per image are split, everything else belongs to every part.
    """
    bounds = [images * part // parts for part in range(parts + 1)]
    for start, end in pairwise(bounds):
        part = {key: value[start:end] if _is_per_image(value, images) else value for key, value in batch.items()}
        yield (end - start) / images, part


def _is_per_image(value: Any, images: int) -> bool:
    is_batched = isinstance(value, (list, tuple)) or (isinstance(value, Tensor) and value.dim() > 0)
    return is_batched and len(value) == images


def compute_parts(
    model: nn.Module, optimizer: Any, parts: Iterable[tuple[float, Batch]], scale: float
) -> dict[str, Any]:
    """The weighted sum of the losses of several batches, as the model's `train_step` would return it.

    Gradients are computed at once, part by part, and flow when the loss is asked to.

    Args:
        model: not wrapped.
        optimizer: for `train_step`.
        parts: weights and batches.
        scale: of gradients in half precision on their way.
    """
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    grads: list[Tensor | None] = [None] * len(trained)
    loss, logged, samples = torch.zeros(()), dict[str, float](), 0
    for share, batch in parts:
        outputs = model.train_step(batch, optimizer)  # type: ignore[operator]
        with torch.autocast(outputs["loss"].device.type, enabled=False):
            # Gradients of half-precision activations need the scale on their way, those of the weights do not.
            found = torch.autograd.grad(outputs["loss"] * (share * scale), trained, allow_unused=True)
        grads = [_added(old, new) for old, new in zip(grads, found, strict=True)]
        loss = loss + share * outputs["loss"].detach().cpu()
        for name, value in outputs["log_vars"].items():
            logged[name] = logged.get(name, 0.0) + share * value
        samples += outputs["num_samples"]
    reached = [(parameter, grad / scale) for parameter, grad in zip(trained, grads, strict=True) if grad is not None]
    total = _KnownGradients.apply(loss, [grad for _, grad in reached], *[parameter for parameter, _ in reached])
    return {"loss": total, "log_vars": logged, "num_samples": samples}


def _added(old: Tensor | None, new: Tensor | None) -> Tensor | None:
    if old is None or new is None:
        return new if old is None else old
    return old + new


class _KnownGradients(torch.autograd.Function):
    """A loss whose gradients were computed before."""

    @staticmethod
    def forward(ctx: Any, loss: Tensor, grads: Sequence[Tensor], *parameters: Tensor) -> Tensor:
        ctx.grads = grads
        return loss.to(parameters[0].device, copy=True)

    @staticmethod
    def backward(ctx: Any, outer: Tensor) -> Any:
        return None, None, *[grad * outer for grad in ctx.grads]


@torch.no_grad()
def _start_again(model: nn.Module, buffers: Mapping[str, Tensor], state: Mapping[str, Any]) -> None:
    """Undo what an aborted step changed."""
    for name, value in model.named_buffers():
        if name in buffers:
            value.copy_(buffers[name])
    load_random_state(state)
    torch.cuda.empty_cache()
