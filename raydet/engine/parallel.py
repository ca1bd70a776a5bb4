"""Calling methods of a model that is wrapped for data-parallel training."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DataParallel, DistributedDataParallel

WRAPPERS = (DistributedDataParallel, DataParallel)


def is_module_wrapper(model: Any) -> bool:
    """Whether a model is wrapped for data-parallel training; the model itself is its `module` then."""
    return isinstance(model, WRAPPERS)


def unwrap(model: Any) -> Any:
    """The model inside its data-parallel wrapper; a bare model passes through."""
    return model.module if isinstance(model, WRAPPERS) else model


def call_through(model: nn.Module, method: str, *args: Any, **kwargs: Any) -> Any:
    """Call `method` of the wrapped model by way of the wrapper's `forward`.

    The wrapper synchronises gradients only for what its `forward` computes, so the inner `forward` is replaced for
    one call; the method itself sees the original one.
    """
    inner = unwrap(model)
    if inner is model:
        return getattr(model, method)(*args, **kwargs)

    def once(*inner_args: Any, **inner_kwargs: Any) -> Any:
        del inner.forward
        return getattr(inner, method)(*inner_args, **inner_kwargs)

    inner.forward = once
    try:
        return model(*args, **kwargs)
    except RuntimeError as error:
        unused = _unused_parameters(inner, str(error))
        if not unused:
            raise
        raise ValueError(
            f"the losses of the last step do not depend on {len(unused)} parameters: {', '.join(unused)}. Freeze or "
            "remove them, or set find_unused_parameters = True in the config, which costs some speed"
        ) from error
    finally:
        inner.__dict__.pop("forward", None)


@torch.no_grad()
def average_over_ranks(tensors: Iterable[Tensor]) -> None:
    """Replace tensors by their means over all processes; counters (integers) are left alone. Every rank calls this."""
    for tensor in tensors:
        if tensor.is_floating_point():
            dist.all_reduce(tensor)
            tensor.div_(dist.get_world_size())


def _unused_parameters(model: nn.Module, message: str) -> list[str]:
    """Names of the parameters that DistributedDataParallel complains of by number; none if it does not."""
    numbers = re.search(r"did not receive grad for rank \d+: ([\d ]+)", message)
    if numbers is None:
        return []
    names = [name for name, parameter in model.named_parameters() if parameter.requires_grad]
    return [names[int(number)] for number in numbers[1].split()]
