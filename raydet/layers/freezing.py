"""Hold parts of a network still: frozen stages, normalisations in eval mode, the deprecated `pretrained`."""

from __future__ import annotations

import warnings
from collections.abc import Iterable

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from raydet.layers.initializers import InitCfg


def freeze(modules: Iterable[nn.Module]) -> None:
    """Stop gradients of the parameters and put the modules into eval mode."""
    for module in modules:
        module.eval()
        module.requires_grad_(False)


def hold_batch_norms(module: nn.Module) -> None:
    """Put every batch normalisation below `module` into eval mode, so that running statistics stay."""
    for child in module.modules():
        if isinstance(child, _BatchNorm):
            child.eval()


def init_cfg_with_pretrained(init_cfg: InitCfg, pretrained: str | None, default: InitCfg = None) -> InitCfg:
    """The `init_cfg` of a part that also takes the deprecated `pretrained`.

    Args:
        init_cfg: as given by the user.
        pretrained: source of a checkpoint, or None.
        default: used when both are None.

    Raises:
        ValueError: both are given.
        TypeError: `pretrained` is neither a string nor None.
    """
    if pretrained is None:
        return default if init_cfg is None else init_cfg
    if not isinstance(pretrained, str):
        raise TypeError(f"pretrained must be a string or None, got {pretrained!r}")
    if init_cfg:
        raise ValueError(f"give init_cfg or pretrained, not both: got {init_cfg!r} and {pretrained!r}")
    warnings.warn("'pretrained' is deprecated; use init_cfg=dict(type='Pretrained', checkpoint=...)")
    return {"type": "Pretrained", "checkpoint": pretrained}
