"""Trying a function again when the memory of a device does not suffice."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from functools import wraps
from typing import Any

import torch
from torch import Tensor

from raydet.config.nested import map_leaves

_logger = logging.getLogger(__name__)


class AvoidOOM:
    """Calls a function again with ever smaller demands: after emptying the cache, in float16, on the CPU.

    Tensors that the function returns have the type and the device of the first floating-point tensor it was given.

    Args:
        to_cpu: whether the last try is made on the CPU; else in float16.
    """

    def __init__(self, to_cpu: bool = True) -> None:
        self.to_cpu = to_cpu

    def retry_if_cuda_oom(self, func: Callable[..., Any]) -> Callable[..., Any]:
        """`func` with further tries; also a decorator.

        Raises:
            torch.OutOfMemoryError: the last try failed, too.
        """

        @wraps(func)
        def patient(*args: Any, **kwargs: Any) -> Any:
            like = next(_floats((args, kwargs)), None)
            tries = list(self._tries(like))
            for position, (change, what) in enumerate(tries):
                try:
                    given = map_leaves(_of_tensors(change), (args, kwargs))
                    found = func(*given[0], **given[1])
                    return found if like is None or position < 2 else map_leaves(_of_tensors(_as(like)), found)
                except torch.OutOfMemoryError:
                    if position + 1 == len(tries):
                        raise
                    _logger.warning("memory does not suffice for %s %s; trying again", _name(func), what)
                torch.cuda.empty_cache()  # outside the handler, which keeps the failed frames alive
            raise AssertionError("there is at least one try")

        return patient

    def _tries(self, like: Tensor | None) -> Iterator[tuple[Callable[[Tensor], Tensor], str]]:
        yield _unchanged, "as it is"
        yield _unchanged, "with an empty cache"
        if like is not None:
            yield _half, "in float16"
            if self.to_cpu:
                yield Tensor.cpu, "on the CPU"


AvoidCUDAOOM = AvoidOOM()
"""The one that 2.x code uses: `AvoidCUDAOOM.retry_if_cuda_oom(function)(arguments)`."""


def _unchanged(tensor: Tensor) -> Tensor:
    return tensor


def _half(tensor: Tensor) -> Tensor:
    return tensor.half() if tensor.is_floating_point() else tensor


def _as(like: Tensor) -> Callable[[Tensor], Tensor]:
    def convert(tensor: Tensor) -> Tensor:
        return tensor.to(like.device, like.dtype if tensor.is_floating_point() else None)

    return convert


def _of_tensors(change: Callable[[Tensor], Tensor]) -> Callable[[Any], Any]:
    return lambda value: change(value) if isinstance(value, Tensor) else value


def _floats(value: Any) -> Iterator[Tensor]:
    if isinstance(value, Tensor):
        if value.is_floating_point():
            yield value
    elif isinstance(value, dict):
        yield from _floats(list(value.values()))
    elif isinstance(value, (list, tuple)):
        for each in value:
            yield from _floats(each)


def _name(func: Callable[..., Any]) -> str:
    return getattr(func, "__name__", type(func).__name__)
