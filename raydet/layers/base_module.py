"""Modules that initialise themselves from an `init_cfg`, and containers that do the same."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Iterable, Mapping
from typing import Any

from torch import nn

from raydet.layers.init_log import recording, update_init_info
from raydet.layers.initializers import InitCfg, initialize


class BaseModule(nn.Module):
    """A module whose parameters are initialised by `init_weights()` as its `init_cfg` says.

    First the module's own `init_cfg` is applied, then each direct child that has `init_weights` is asked, so that
    children win over parents. Only `init_cfg = dict(type="Pretrained", ...)` ends there: children never overwrite
    loaded weights. Afterwards `initialized_by` of the outermost module says for each parameter what set it.

    Args:
        init_cfg: one dict or a list of dicts, see `raydet.layers.initialize`.
    """

    def __init__(self, init_cfg: InitCfg = None) -> None:
        super().__init__()
        self.init_cfg = copy.deepcopy(init_cfg)
        self.initialized_by: dict[str, str] = {}
        self._is_init = False

    @property
    def is_init(self) -> bool:
        """Whether `init_weights` has run."""
        return self._is_init

    def init_weights(self) -> None:
        """Initialise this module and its children, once."""
        if self._is_init:
            warnings.warn(f"init_weights of {type(self).__name__} has been called more than once")
            return
        with recording(self) as log:
            self._initialize()
        self._is_init = True
        if log is not None:
            self.initialized_by = log.entries

    def _initialize(self) -> None:
        if self.init_cfg:
            initialize(self, self.init_cfg)
            if isinstance(self.init_cfg, Mapping) and self.init_cfg["type"] == "Pretrained":
                return
        for child in self.children():
            if callable(own := getattr(child, "init_weights", None)):
                own()
                update_init_info(child, f"`init_weights` of {type(child).__name__}")

    def __repr__(self) -> str:
        text = super().__repr__()
        return f"{text}\ninit_cfg={self.init_cfg}" if self.init_cfg else text


class Sequential(BaseModule, nn.Sequential):
    """`nn.Sequential` with an `init_cfg`."""

    def __init__(self, *args: Any, init_cfg: InitCfg = None) -> None:
        BaseModule.__init__(self, init_cfg)
        nn.Sequential.__init__(self, *args)


class ModuleList(BaseModule, nn.ModuleList):
    """`nn.ModuleList` with an `init_cfg`."""

    def __init__(self, modules: Iterable[nn.Module] | None = None, init_cfg: InitCfg = None) -> None:
        BaseModule.__init__(self, init_cfg)
        nn.ModuleList.__init__(self, modules)


class ModuleDict(BaseModule, nn.ModuleDict):
    """`nn.ModuleDict` with an `init_cfg`."""

    def __init__(self, modules: Mapping[str, nn.Module] | None = None, init_cfg: InitCfg = None) -> None:
        BaseModule.__init__(self, init_cfg)
        nn.ModuleDict.__init__(self, modules)
