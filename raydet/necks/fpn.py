"""Feature pyramid network."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn

from raydet.layers import BaseModule, Cfg, ConvModule, InitCfg
from raydet.necks.parts import XAVIER, check_levels, end_of_levels

_NEAREST: Cfg = {"mode": "nearest"}
_SOURCES = ("on_input", "on_lateral", "on_output")


class FPN(BaseModule):
    """Lateral 1x1 convolutions, a top-down path of sums, 3x3 convolutions, and extra coarse levels (arXiv:1612.03144).

    Args:
        in_channels: channels of each input level.
        out_channels: channels of every output level.
        num_outs: number of output levels.
        start_level: first input level used.
        end_level: last input level used; -1 for the last there is. No extra levels unless it is the last.
        add_extra_convs: how extra levels come about: False, by max pooling; "on_input" (or True), "on_lateral" or
            "on_output", by 3x3 convolutions of stride 2 from the last input, lateral or output map.
        relu_before_extra_convs: put a ReLU before the extra convolutions, the first one apart.
        no_norm_on_lateral: leave the lateral convolutions without normalisation.
        conv_cfg: type of the convolutions.
        norm_cfg: normalisation.
        act_cfg: activation.
        upsample_cfg: arguments of `torch.nn.functional.interpolate` on the way down.
        init_cfg: how to initialise.
    """

    def __init__(
        self,
        in_channels: Sequence[int],
        out_channels: int,
        num_outs: int,
        start_level: int = 0,
        end_level: int = -1,
        add_extra_convs: bool | str = False,
        relu_before_extra_convs: bool = False,
        no_norm_on_lateral: bool = False,
        conv_cfg: Cfg | None = None,
        norm_cfg: Cfg | None = None,
        act_cfg: Cfg | None = None,
        upsample_cfg: Cfg = _NEAREST,
        init_cfg: InitCfg = XAVIER,
    ) -> None:
        super().__init__(init_cfg)
        self.in_channels = list(in_channels)
        self.out_channels = out_channels
        self.num_ins = len(self.in_channels)
        self.num_outs = num_outs
        self.start_level = start_level
        self.backbone_end_level = end_of_levels(self.num_ins, num_outs, start_level, end_level)
        self.add_extra_convs = _extra_source(add_extra_convs)
        self.relu_before_extra_convs = relu_before_extra_convs
        self.no_norm_on_lateral = no_norm_on_lateral
        self.upsample_cfg = dict(upsample_cfg)
        common: dict[str, Any] = {"conv_cfg": conv_cfg, "act_cfg": act_cfg, "inplace": False}
        used = self.in_channels[start_level : self.backbone_end_level]
        lateral_norm = None if no_norm_on_lateral else norm_cfg
        self.lateral_convs = nn.ModuleList()
        self.fpn_convs = nn.ModuleList()
        for channels in used:
            self.lateral_convs.append(ConvModule(channels, out_channels, 1, norm_cfg=lateral_norm, **common))
            self.fpn_convs.append(ConvModule(out_channels, out_channels, 3, padding=1, norm_cfg=norm_cfg, **common))
        if self.add_extra_convs:
            for level in range(num_outs - len(used)):
                source = used[-1] if level == 0 and self.add_extra_convs == "on_input" else out_channels
                extra = ConvModule(source, out_channels, 3, stride=2, padding=1, norm_cfg=norm_cfg, **common)
                self.fpn_convs.append(extra)

    def forward(self, inputs: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """Map one `(N, in_channels[l], H_l, W_l)` per input level to `num_outs` maps `(N, out_channels, h, w)`."""
        check_levels(self, inputs, self.num_ins)
        used = inputs[self.start_level : self.backbone_end_level]
        laterals = [conv(x) for conv, x in zip(self.lateral_convs, used, strict=True)]
        for level in range(len(laterals) - 1, 0, -1):
            laterals[level - 1] = laterals[level - 1] + self._enlarge(laterals[level], laterals[level - 1])
        outs = self._refine([conv(x) for conv, x in zip(self.fpn_convs, laterals, strict=False)])
        if self.num_outs > len(outs):
            self._extend(outs, {"on_input": used[-1], "on_lateral": laterals[-1], "on_output": outs[-1]})
        return tuple(outs)

    def _refine(self, outs: list[Tensor]) -> list[Tensor]:
        """What a subclass adds to the pyramid before the extra levels come."""
        return outs

    def _enlarge(self, x: Tensor, like: Tensor) -> Tensor:
        """Enlarge `x` by the configured factor, or to the size of `like`."""
        if "scale_factor" in self.upsample_cfg:
            return F.interpolate(x, **self.upsample_cfg)
        return F.interpolate(x, size=like.shape[-2:], **self.upsample_cfg)

    def _extend(self, outs: list[Tensor], sources: dict[str, Tensor]) -> None:
        """Append the extra levels."""
        if not self.add_extra_convs:
            for _ in range(self.num_outs - len(outs)):
                outs.append(F.max_pool2d(outs[-1], 1, stride=2))
            return
        first = len(outs)
        for conv in self.fpn_convs[first:]:
            source = sources[self.add_extra_convs] if len(outs) == first else outs[-1]
            outs.append(conv(F.relu(source) if self.relu_before_extra_convs and len(outs) > first else source))


def _extra_source(add_extra_convs: bool | str) -> str:
    """One of the three sources, or "" for max pooling."""
    if isinstance(add_extra_convs, bool):
        return "on_input" if add_extra_convs else ""
    if add_extra_convs not in _SOURCES:
        raise ValueError(f"add_extra_convs must be a bool or one of {_SOURCES}, got {add_extra_convs!r}")
    return add_extra_convs
