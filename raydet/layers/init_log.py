"""Remembers which parameter was initialised by what, while a model initialises itself."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import torch
from torch import nn

logger = logging.getLogger(__name__)


class InitLog:
    """The story of each parameter of one model, told by the last initialiser that changed it.

    Args:
        model: the module whose `init_weights` was called from outside.
    """

    def __init__(self, model: nn.Module) -> None:
        self._names = {parameter: name for name, parameter in model.named_parameters()}
        self._marks = {parameter: _mark(parameter) for parameter in self._names}
        untouched = f"as constructed: `init_weights` of {type(model).__name__} left it alone"
        self.entries = dict.fromkeys(self._names.values(), untouched)

    def note(self, module: nn.Module, text: str) -> None:
        """Credit `text` with the parameters of `module` that have changed since they were last looked at."""
        for parameter in module.parameters():
            mark = _mark(parameter)
            if parameter in self._names and mark != self._marks[parameter]:
                self._marks[parameter] = mark
                self.entries[self._names[parameter]] = text


def _mark(parameter: nn.Parameter) -> tuple[int, float]:
    # The version misses writes through `.data`, the sum misses writes of the same values: together they see both.
    with torch.no_grad():
        return parameter._version, 0.0 if parameter.is_meta else float(parameter.sum())


_CURRENT: ContextVar[InitLog | None] = ContextVar("raydet_init_log", default=None)


@contextmanager
def recording(module: nn.Module) -> Iterator[InitLog | None]:
    """Open a log around the outermost `init_weights`; calls inside it get None and write to the log that is open."""
    if _CURRENT.get() is not None:
        yield None
        return
    log = InitLog(module)
    token = _CURRENT.set(log)
    try:
        yield log
    finally:
        _CURRENT.reset(token)
    for name, text in log.entries.items():
        logger.debug("%s: %s", name, text)


def update_init_info(module: nn.Module, init_info: str) -> None:
    """Say what has just initialised `module`; of no effect outside `init_weights`."""
    log = _CURRENT.get()
    if log is not None:
        log.note(module, init_info)
