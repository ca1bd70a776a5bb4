"""Calling methods of a model that is wrapped for data-parallel training."""

from __future__ import annotations

from typing import Any

from torch import nn
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
    finally:
        inner.__dict__.pop("forward", None)
