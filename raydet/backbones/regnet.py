"""RegNet."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any

import numpy as np

from raydet.backbones.resnet import ResNet
from raydet.layers import Bottleneck, Cfg, InitCfg

_BN: Cfg = {"type": "BN", "requires_grad": True}


def _design(w0: int, wa: float, wm: float, group_w: int, depth: int) -> dict[str, Any]:
    return {"w0": w0, "wa": wa, "wm": wm, "group_w": group_w, "depth": depth, "bot_mul": 1.0}


DESIGNS = {
    "regnetx_400mf": _design(24, 24.48, 2.54, 16, 22),
    "regnetx_800mf": _design(56, 35.73, 2.28, 16, 16),
    "regnetx_1.6gf": _design(80, 34.01, 2.25, 24, 18),
    "regnetx_3.2gf": _design(88, 26.31, 2.25, 48, 25),
    "regnetx_4.0gf": _design(96, 38.65, 2.43, 40, 23),
    "regnetx_6.4gf": _design(184, 60.83, 2.07, 56, 17),
    "regnetx_8.0gf": _design(80, 49.56, 2.88, 120, 23),
    "regnetx_12gf": _design(168, 73.36, 2.37, 112, 19),
}
"""Published designs: first width, slope, multiplier, width of a group, number of blocks, bottleneck ratio."""


class _Block(Bottleneck):
    """Bottleneck that is as wide outside as `planes`."""

    expansion = 1


class RegNet(ResNet):
    """Network whose widths lie on a quantised line (arXiv:2003.13678).

    Args:
        arch: name of a published design, or a dict with `w0`, `wa`, `wm`, `group_w`, `depth` and `bot_mul`.
        in_channels: channels of the images.
        stem_channels: channels of the stem.
        base_channels: of no effect, as widths follow from `arch`.
        strides: stride of each stage.
        dilations: dilation of each stage.
        out_indices: which stages to return.
        style: "pytorch" or "caffe", see `ResNet`.
        deep_stem: of no effect; the stem is one 3x3 convolution.
        avg_down: shrink shortcuts by average pooling.
        frozen_stages: the stem and so many stages are held still; -1 for none.
        conv_cfg: type of the convolutions.
        norm_cfg: normalisation.
        norm_eval: keep batch normalisations in eval mode.
        dcn: deformable convolution for the 3x3 convolutions.
        stage_with_dcn: which stages use it.
        plugins: see `ResNet`.
        with_cp: recompute in the backward pass instead of keeping activations.
        zero_init_residual: start every branch at zero, unless `init_cfg` or `pretrained` is given.
        pretrained: deprecated; a checkpoint to start from.
        init_cfg: how to initialise.

    Attributes:
        stage_widths: channels of each stage.
    """

    stem_kernel = 3
    stem_pools = False

    def __init__(
        self,
        arch: str | Mapping[str, Any],
        in_channels: int = 3,
        stem_channels: int = 32,
        base_channels: int = 32,
        strides: Sequence[int] = (2, 2, 2, 2),
        dilations: Sequence[int] = (1, 1, 1, 1),
        out_indices: Sequence[int] = (0, 1, 2, 3),
        style: str = "pytorch",
        deep_stem: bool = False,
        avg_down: bool = False,
        frozen_stages: int = -1,
        conv_cfg: Cfg | None = None,
        norm_cfg: Cfg = _BN,
        norm_eval: bool = True,
        dcn: Cfg | None = None,
        stage_with_dcn: Sequence[bool] = (False, False, False, False),
        plugins: Sequence[Cfg] | None = None,
        with_cp: bool = False,
        zero_init_residual: bool = True,
        pretrained: str | None = None,
        init_cfg: InitCfg = None,
    ) -> None:
        design = _design_of(arch)
        widths, depths = stages_of(design)
        self.arch = arch
        self.stage_widths, self.group_widths = _fit_groups(widths, design["bot_mul"], design["group_w"])
        self.bottleneck_ratio = design["bot_mul"]
        self.arch_settings = {"RegNet": (_Block, depths)}
        super().__init__(
            "RegNet",
            in_channels=in_channels,
            stem_channels=stem_channels,
            base_channels=base_channels,
            num_stages=len(depths),
            strides=strides,
            dilations=dilations,
            out_indices=out_indices,
            style=style,
            avg_down=avg_down,
            frozen_stages=frozen_stages,
            conv_cfg=conv_cfg,
            norm_cfg=norm_cfg,
            norm_eval=norm_eval,
            dcn=dcn,
            stage_with_dcn=stage_with_dcn,
            plugins=plugins,
            with_cp=with_cp,
            zero_init_residual=zero_init_residual,
            pretrained=pretrained,
            init_cfg=init_cfg,
        )

    def stage_options(self, index: int) -> dict[str, Any]:
        """Widths of the stage and of its groups."""
        planes, group_width = self.stage_widths[index], self.group_widths[index]
        groups = round(planes * self.bottleneck_ratio) // group_width
        return {"planes": planes, "groups": groups, "base_width": group_width, "base_channels": planes}


def _design_of(arch: str | Mapping[str, Any]) -> Mapping[str, Any]:
    if isinstance(arch, Mapping):
        missing = DESIGNS["regnetx_400mf"].keys() - arch.keys()
        if missing:
            raise ValueError(f"the dict 'arch' of a RegNet lacks {sorted(missing)}, got {dict(arch)!r}")
        return arch
    if arch not in DESIGNS:
        raise ValueError(f"there is no RegNet called {arch!r}; there are {sorted(DESIGNS)}, or give a dict")
    return DESIGNS[arch]


def stages_of(design: Mapping[str, Any]) -> tuple[list[int], tuple[int, ...]]:
    """Width and number of blocks of each stage: a line of widths, moved to powers of `wm`, then to multiples of 8."""
    line = np.arange(design["depth"]) * design["wa"] + design["w0"]
    powers = np.round(np.log(line / design["w0"]) / np.log(design["wm"]))
    widths = np.round(design["w0"] * np.power(design["wm"], powers) / 8) * 8
    runs = [(int(width), len(list(blocks))) for width, blocks in groupby(widths.tolist())]
    return [width for width, _ in runs], tuple(count for _, count in runs)


def _fit_groups(widths: Sequence[int], ratio: float, group_width: int) -> tuple[list[int], list[int]]:
    """Change the widths so that groups divide the bottlenecks; a group is at most as wide as its bottleneck."""
    inner = [int(width * ratio) for width in widths]
    groups = [min(group_width, width) for width in inner]
    fitted = [round(width / group) * group for width, group in zip(inner, groups, strict=True)]
    return [int(width / ratio) for width in fitted], groups
