"""Backbones that are a chain of layers."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from raydet.layers import BaseModule, InitCfg, freeze, hold_batch_norms


class ChainBackbone(BaseModule):
    """Base of backbones that run layer after layer and return the outputs of some.

    Subclasses give `chain`, and call `hold_still` when they are complete.

    Args:
        out_indices: which outputs of the chain to return.
        frozen_stages: so many layers from the front are held still.
        norm_eval: keep batch normalisations in eval mode.
        init_cfg: how to initialise.
    """

    def __init__(self, out_indices: Sequence[int], frozen_stages: int, norm_eval: bool, init_cfg: InitCfg) -> None:
        super().__init__(init_cfg)
        self.out_indices = tuple(out_indices)
        self.frozen_stages = frozen_stages
        self.norm_eval = norm_eval

    def chain(self) -> Sequence[nn.Module]:
        """The layers in order."""
        raise NotImplementedError

    def frozen(self) -> Sequence[nn.Module]:
        """The layers that are held still."""
        return self.chain()[: max(self.frozen_stages, 0)]

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """Map images `(N, 3, H, W)` to the maps of `out_indices`, finest first."""
        outs = []
        for index, layer in enumerate(self.chain()[: max(self.out_indices) + 1]):
            x = layer(x)
            if index in self.out_indices:
                outs.append(x)
        return tuple(outs)

    def hold_still(self) -> None:
        """Freeze what is to be frozen; with `norm_eval` put batch normalisations into eval mode."""
        freeze(self.frozen())
        if self.training and self.norm_eval:
            hold_batch_norms(self)

    def train(self, mode: bool = True) -> ChainBackbone:
        """Change mode; what is held still stays in eval mode."""
        super().train(mode)
        self.hold_still()
        return self


def check_indices(name: str, values: Sequence[int], lowest: int, highest: int) -> None:
    """Raise ValueError unless all `values` of the argument `name` are within `lowest .. highest`."""
    if not values or not lowest <= min(values) <= max(values) <= highest:
        shown = values[0] if len(values) == 1 else tuple(values)
        raise ValueError(f"{name} must be within {lowest} .. {highest}, got {shown!r}")
