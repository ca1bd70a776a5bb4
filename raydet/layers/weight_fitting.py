"""Revise weights on their way into a module: other shapes, other names.

A module whose weights may come in another form has a method `fit_weights(weights, prefix)`, which changes the dict
`weights` in place, and calls `fit_when_loading(self)` in its constructor.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn
from torch.nn import functional


def fit_when_loading(module: nn.Module) -> None:
    """Let `load_state_dict` revise the weights of `module` first."""
    module.register_load_state_dict_pre_hook(_fit)  # type: ignore[no-untyped-call]


def _fit(module: Any, state_dict: dict[str, Any], prefix: str, *_: Any) -> None:
    module.fit_weights(state_dict, prefix)


def fit_weights(model: nn.Module, weights: Mapping[str, Any]) -> OrderedDict[str, Any]:
    """The weights as the modules of a model want them, parents first."""
    fitted = OrderedDict(weights)
    for name, module in model.named_modules():
        if hasattr(module, "fit_weights"):
            module.fit_weights(fitted, f"{name}." if name else "")
    return fitted


def resize_grid(grid: Tensor, size: tuple[int, int], mode: str = "bicubic") -> Tensor:
    """Interpolate values on a square grid, `(L, C)` with `L = S * S`, to `(height * width, C)` of another size."""
    side = round(grid.shape[0] ** 0.5)
    maps = grid.T.reshape(1, grid.shape[1], side, side)
    resized = functional.interpolate(maps.float(), size=size, mode=mode, align_corners=False)
    return resized.flatten(2)[0].T.to(grid.dtype).contiguous()
