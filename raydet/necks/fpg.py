"""Feature pyramid grids."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor, nn

from raydet.layers import BaseModule, Cfg, InitCfg
from raydet.necks.parts import end_of_levels, entry_levels
from raydet.necks.transitions import build_transition

_SHRINK: Cfg = {"type": "conv", "kernel_size": 3, "stride": 2, "padding": 1}
_LATERAL: Cfg = {"type": "conv", "kernel_size": 1}
_DOWN: Cfg = {"type": "conv", "kernel_size": 3}
_SKIP: Cfg = {"type": "identity"}
_LAST: Cfg = {"type": "last_conv", "kernel_size": 3}
_INIT: InitCfg = [
    {"type": "Caffe2Xavier", "layer": "Conv2d"},
    {"type": "Constant", "layer": ["_BatchNorm", "_InstanceNorm", "GroupNorm", "LayerNorm"], "val": 1.0},
]
# Kinds of transitions, and from which level of which pathway each reads, as a step from its own level.
STEPS = {"same_up": -1, "same_down": 1, "across_lateral": 0, "across_down": 1, "across_up": -1, "across_skip": 0}


class FPG(BaseModule):
    """Many pathways through the levels, side by side, each fed by the one before and by the first (arXiv:2004.03580).

    Args:
        in_channels: channels of each input level.
        out_channels: channels of every output level.
        num_outs: number of levels.
        stack_times: number of pathways.
        paths: direction of each: "bu" (from fine to coarse levels) or "td".
        inter_channels: channels inside, one number or one per level; None for `out_channels`.
        same_down_trans: transition from the next coarser level of the same pathway; None for none. A dict of `type`
            ("conv", "interpolation_conv" or "identity") and its arguments.
        same_up_trans: from the next finer level of the same pathway.
        across_lateral_trans: from the same level of the pathway before.
        across_down_trans: from the next coarser level of the pathway before.
        across_up_trans: from the next finer level of the pathway before.
        across_skip_trans: from the same level of the first pathway.
        output_trans: from the last pathway to the output.
        start_level: first input level used.
        end_level: last input level used; -1 for the last there is.
        add_extra_convs: extra levels come about by convolutions instead of pooling.
        norm_cfg: accepted for 2.x configs; transitions have their own.
        skip_inds: per level, the pathways that leave it as it is.
        init_cfg: how to initialise.

    Raises:
        ValueError: arguments that contradict each other.
    """

    def __init__(
        self,
        in_channels: Sequence[int],
        out_channels: int,
        num_outs: int,
        stack_times: int,
        paths: Sequence[str],
        inter_channels: int | Sequence[int] | None = None,
        same_down_trans: Cfg | None = None,
        same_up_trans: Cfg | None = _SHRINK,
        across_lateral_trans: Cfg | None = _LATERAL,
        across_down_trans: Cfg | None = _DOWN,
        across_up_trans: Cfg | None = None,
        across_skip_trans: Cfg | None = _SKIP,
        output_trans: Cfg = _LAST,
        start_level: int = 0,
        end_level: int = -1,
        add_extra_convs: bool = False,
        norm_cfg: Cfg | None = None,
        skip_inds: Sequence[Sequence[int]] | None = None,
        init_cfg: InitCfg = _INIT,
    ) -> None:
        super().__init__(init_cfg)
        self.num_ins = len(in_channels)
        self.start_level = start_level
        self.end = end_of_levels(self.num_ins, num_outs, start_level, end_level)
        self.paths = _checked_paths(paths, stack_times)
        self.skip_inds = [()] * num_outs if skip_inds is None else [tuple(skipped) for skipped in skip_inds]
        widths = _widths(out_channels if inter_channels is None else inter_channels, num_outs)
        used = in_channels[start_level : self.end]
        self.lateral_convs = nn.ModuleList(
            nn.Conv2d(before, after, 1) for before, after in zip(used, widths, strict=False)
        )
        self.extra_downsamples = nn.ModuleList(
            nn.Conv2d(widths[level - 1], widths[level], 3, stride=2, padding=1)
            if add_extra_convs
            else nn.MaxPool2d(1, stride=2)
            for level in range(len(used), num_outs)
        )
        cfgs = dict(
            same_up=same_up_trans,
            same_down=same_down_trans,
            across_lateral=across_lateral_trans,
            across_down=across_down_trans,
            across_up=across_up_trans,
            across_skip=across_skip_trans,
        )
        self.fpn_transitions = nn.ModuleList(
            nn.ModuleList(
                nn.ModuleDict() if stage in self.skip_inds[level] else _transitions(cfgs, widths, level)
                for level in range(num_outs)
            )
            for stage in range(stack_times)
        )
        last = {"num_inputs": stack_times + 1}
        self.output_transition = nn.ModuleList(
            build_transition(output_trans, width, out_channels, **last) for width in widths
        )

    def forward(self, inputs: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """Map one `(N, in_channels[l], H_l, W_l)` per input level to `num_outs` maps `(N, out_channels, h, w)`."""
        first = entry_levels(self, inputs)
        pathways = [first]
        for direction, stage in zip(self.paths, self.fpn_transitions, strict=True):
            pathways.append(_pathway(stage, direction, first, pathways[-1]))  # type: ignore[arg-type]
        return tuple(
            out(list(maps)) for out, maps in zip(self.output_transition, zip(*pathways, strict=True), strict=True)
        )


def _transitions(cfgs: Mapping[str, Cfg | None], widths: Sequence[int], level: int) -> nn.ModuleDict:
    """Those of one level in one pathway, as far as the levels that they read from exist."""
    return nn.ModuleDict(
        {
            kind: build_transition(cfg, widths[level + STEPS[kind]], widths[level])
            for kind, cfg in cfgs.items()
            if cfg is not None and 0 <= level + STEPS[kind] < len(widths)
        }
    )


def _pathway(stage: nn.ModuleList, direction: str, first: list[Tensor], before: list[Tensor]) -> list[Tensor]:
    """The maps of one pathway."""
    maps = list(before)
    levels = range(len(maps)) if direction == "bu" else reversed(range(len(maps)))
    same = "same_up" if direction == "bu" else "same_down"
    sources = {
        same: maps,
        "across_lateral": before,
        "across_up": before,
        "across_down": before,
        "across_skip": first,
    }
    for level in levels:
        transitions: Any = stage[level]
        fused = [
            transitions[kind](maps_of[level + STEPS[kind]]) for kind, maps_of in sources.items() if kind in transitions
        ]
        if fused:
            maps[level] = sum(fused[1:], fused[0])
    return maps


def _checked_paths(paths: Sequence[str], stack_times: int) -> tuple[str, ...]:
    if len(paths) != stack_times or not set(paths) <= {"bu", "td"}:
        raise ValueError(f"paths must be {stack_times} times 'bu' or 'td' (stack_times), got {paths}")
    return tuple(paths)


def _widths(channels: int | Sequence[int], num_levels: int) -> list[int]:
    widths = [channels] * num_levels if isinstance(channels, int) else list(channels)
    if len(widths) != num_levels:
        raise ValueError(f"inter_channels must be one number or {num_levels} (num_outs), got {channels}")
    return widths
