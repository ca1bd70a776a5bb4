"""The initialiser `Pretrained`: start a module from a checkpoint."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

from torch import nn

from raydet.checkpoint.read import load_state_dict, read_state_dict
from raydet.checkpoint.safe import load
from raydet.checkpoint.sources import shown
from raydet.layers import update_init_info


class Pretrained:
    """Load the weights of a module, or of a part of the file.

    Args:
        checkpoint: a file, or anything else that `raydet.checkpoint.load` reads.
        prefix: take only keys that start with it, and cut it off: "backbone" out of a detector's file.
        map_location: where tensors go before they are copied; the CPU when None.
    """

    def __init__(self, checkpoint: str, prefix: str | None = None, map_location: Any = None) -> None:
        self.checkpoint = checkpoint
        self.prefix = prefix
        self.map_location = map_location

    def __call__(self, module: nn.Module) -> None:
        """Copy the weights into `module`; what does not fit is reported, not fatal, unless nothing fits."""
        name = shown(self.checkpoint)
        content = load(self.checkpoint, "cpu" if self.map_location is None else self.map_location)
        weights = read_state_dict(content, name)
        if self.prefix:
            weights = self._below_prefix(weights)
        load_state_dict(module, weights, name=name)
        part = f" ({self.prefix})" if self.prefix else ""
        update_init_info(module, f"Pretrained: {name}{part}")

    def _below_prefix(self, weights: OrderedDict[str, Any]) -> OrderedDict[str, Any]:
        assert self.prefix is not None
        prefix = self.prefix.rstrip(".") + "."
        below = OrderedDict((key[len(prefix) :], value) for key, value in weights.items() if key.startswith(prefix))
        if not below:
            tops = sorted({key.partition(".")[0] for key in weights})
            raise ValueError(f"no key of {shown(self.checkpoint)} starts with {prefix!r}; they start with {tops}")
        return below
