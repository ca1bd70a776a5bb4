"""High-resolution networks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import reduce
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn

from raydet.layers import (
    BN,
    BaseModule,
    BasicBlock,
    Bottleneck,
    Cfg,
    ConvNormChain,
    InitCfg,
    ModuleList,
    ResLayer,
    Sequential,
    add_conv,
    build_conv_layer,
    build_norm_layer,
    conv_norm,
    hold_batch_norms,
    init_cfg_with_pretrained,
)

_INIT: InitCfg = (
    {"type": "Kaiming", "layer": "Conv2d"},
    {"type": "Constant", "val": 1, "layer": ["_BatchNorm", "GroupNorm"]},
)
_BLOCKS: dict[str, Any] = {"BASIC": BasicBlock, "BOTTLENECK": Bottleneck}
_STAGE_KEYS = {"num_modules", "num_branches", "block", "num_blocks", "num_channels"}
_NUM_STAGES = 4


class HRModule(BaseModule):
    """Parallel branches, each twice as coarse as the one before, that exchange what they found at the end.

    Args:
        num_branches: number of branches.
        blocks: class of the residual blocks.
        num_blocks: number of blocks of each branch.
        in_channels: input channels of each branch.
        num_channels: channels of each branch before the expansion of a block.
        multiscale_output: return all branches; only the finest otherwise.
        with_cp: recompute in the backward pass instead of keeping activations.
        conv_cfg: type of the convolutions.
        norm_cfg: normalisation.
        block_init_cfg: how to initialise the blocks.
        init_cfg: how to initialise.
    """

    def __init__(
        self,
        num_branches: int,
        blocks: Any,
        num_blocks: Sequence[int],
        in_channels: Sequence[int],
        num_channels: Sequence[int],
        multiscale_output: bool = True,
        with_cp: bool = False,
        conv_cfg: Cfg | None = None,
        norm_cfg: Cfg = BN,
        block_init_cfg: InitCfg = None,
        init_cfg: InitCfg = None,
    ) -> None:
        super().__init__(init_cfg)
        common: dict[str, Any] = {"conv_cfg": conv_cfg, "norm_cfg": norm_cfg}
        options: dict[str, Any] = {"with_cp": with_cp, "init_cfg": block_init_cfg}
        branches = zip(in_channels, num_channels, num_blocks, strict=True)
        self.branches = ModuleList(
            [ResLayer(blocks, inputs, planes, num, **common, **options) for inputs, planes, num in branches]
        )
        channels = [planes * blocks.expansion for planes in num_channels]
        if num_branches > 1:
            targets = range(num_branches if multiscale_output else 1)
            self.fuse_layers = ModuleList(
                [
                    ModuleList([_exchange(channels, source, target, common) for source in range(num_branches)])
                    for target in targets
                ]
            )
        self.relu = nn.ReLU(inplace=False)

    def forward(self, x: Sequence[Tensor]) -> list[Tensor]:
        """Map `(N, C, H, W)`, `(N, C', H / 2, W / 2)`, ... to the same shapes, or to the first of them."""
        maps = [branch(each) for branch, each in zip(self.branches, x, strict=True)]
        if len(maps) == 1:
            return maps
        return [self._fused(maps, layers) for layers in self.fuse_layers]

    def _fused(self, maps: Sequence[Tensor], layers: Any) -> Tensor:
        out: Tensor = self.relu(reduce(torch.add, (layer(each) for layer, each in zip(layers, maps, strict=True))))
        return out


def _exchange(channels: Sequence[int], source: int, target: int, common: Cfg) -> nn.Module:
    """What brings a branch to the size and channels of another one."""
    if source == target:
        return nn.Identity()
    if source > target:
        layers = _conv(channels[source], channels[target], 1, 1, common, relu=False)
        return ConvNormChain(*layers, nn.Upsample(scale_factor=2 ** (source - target), mode="nearest"))
    steps = []
    for step in range(target - source):
        is_last = step == target - source - 1
        outputs = channels[target] if is_last else channels[source]
        steps.append(ConvNormChain(*_conv(channels[source], outputs, 3, 2, common, relu=not is_last)))
    return nn.Sequential(*steps)


def _conv(inputs: int, outputs: int, kernel_size: int, stride: int, common: Cfg, relu: bool = True) -> list[nn.Module]:
    conv = build_conv_layer(
        common["conv_cfg"], inputs, outputs, kernel_size, stride=stride, padding=kernel_size // 2, bias=False
    )
    norm = build_norm_layer(common["norm_cfg"], outputs)[1]
    return [conv, norm, nn.ReLU(inplace=True)] if relu else [conv, norm]


class HRNet(BaseModule):
    """Network that keeps its finest map to the end and adds coarser ones (arXiv:1908.07919).

    Args:
        extra: dicts `stage1` ... `stage4` with `num_modules`, `num_branches`, `block` ("BASIC" or "BOTTLENECK"),
            `num_blocks` and `num_channels` (one entry per branch).
        in_channels: channels of the images.
        conv_cfg: type of the convolutions.
        norm_cfg: normalisation.
        norm_eval: keep batch normalisations in eval mode.
        with_cp: recompute in the backward pass instead of keeping activations.
        zero_init_residual: start the branch of every block at zero, unless `init_cfg` or `pretrained` is given.
        multiscale_output: return all maps; only the finest otherwise.
        pretrained: deprecated; a checkpoint to start from.
        init_cfg: how to initialise.
    """

    def __init__(
        self,
        extra: Mapping[str, Mapping[str, Any]],
        in_channels: int = 3,
        conv_cfg: Cfg | None = None,
        norm_cfg: Cfg = BN,
        norm_eval: bool = True,
        with_cp: bool = False,
        zero_init_residual: bool = False,
        multiscale_output: bool = True,
        pretrained: str | None = None,
        init_cfg: InitCfg = None,
    ) -> None:
        super().__init__(init_cfg_with_pretrained(init_cfg, pretrained, _INIT))
        _check(extra)
        self.extra = extra
        self.norm_eval = norm_eval
        self.with_cp = with_cp
        self.zero_init_residual = zero_init_residual and init_cfg is None and pretrained is None
        self._common: dict[str, Any] = {"conv_cfg": conv_cfg, "norm_cfg": norm_cfg}
        for index, inputs in ((1, in_channels), (2, 64)):
            conv = build_conv_layer(conv_cfg, inputs, 64, 3, stride=2, padding=1, bias=False)
            add_conv(self, index, conv, norm_cfg, 64)
        self.relu = nn.ReLU(inplace=True)
        first = extra["stage1"]
        block, planes = _BLOCKS[first["block"]], first["num_channels"][0]
        options: dict[str, Any] = {"with_cp": with_cp, "init_cfg": self._block_init_cfg(block)}
        self.layer1 = ResLayer(block, 64, planes, first["num_blocks"][0], **self._common, **options)
        channels = [planes * block.expansion]
        for number in range(2, _NUM_STAGES + 1):
            cfg = extra[f"stage{number}"]
            wanted = [width * _BLOCKS[cfg["block"]].expansion for width in cfg["num_channels"]]
            self.add_module(f"transition{number - 1}", self._make_transition(channels, wanted))
            self.add_module(f"stage{number}", self._make_stage(cfg, wanted, multiscale_output or number < _NUM_STAGES))
            channels = wanted

    def _block_init_cfg(self, block: Any) -> InitCfg:
        if not self.zero_init_residual:
            return None
        last_norm = "norm2" if block is BasicBlock else "norm3"
        return {"type": "Constant", "val": 0, "override": {"name": last_norm}}

    def _make_transition(self, channels: Sequence[int], wanted: Sequence[int]) -> ModuleList:
        """From the maps of one stage to those of the next: other channels, and coarser maps out of the coarsest."""
        layers: list[nn.Module] = []
        for index, outputs in enumerate(wanted):
            if index < len(channels):
                changes = channels[index] != outputs
                conv = _conv(channels[index], outputs, 3, 1, self._common) if changes else [nn.Identity()]
                layers.append(ConvNormChain(*conv) if changes else conv[0])
                continue
            steps = [channels[-1]] * (index - len(channels) + 1) + [outputs]
            pairs = pairwise(steps)
            layers.append(nn.Sequential(*(ConvNormChain(*_conv(*pair, 3, 2, self._common)) for pair in pairs)))
        return ModuleList(layers)

    def _make_stage(self, cfg: Mapping[str, Any], channels: Sequence[int], multiscale_output: bool) -> Sequential:
        block = _BLOCKS[cfg["block"]]
        num_modules = cfg["num_modules"]
        return Sequential(
            *(
                HRModule(
                    cfg["num_branches"],
                    block,
                    cfg["num_blocks"],
                    channels,
                    cfg["num_channels"],
                    multiscale_output=multiscale_output or index < num_modules - 1,
                    with_cp=self.with_cp,
                    block_init_cfg=self._block_init_cfg(block),
                    **self._common,
                )
                for index in range(num_modules)
            )
        )

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """Map images `(N, in_channels, H, W)` to maps of strides 4, 8, 16, 32."""
        x = self.relu(conv_norm(self, 1, x))
        x = self.relu(conv_norm(self, 2, x))
        maps = [self.layer1(x)]
        for number in range(2, _NUM_STAGES + 1):
            transition = getattr(self, f"transition{number - 1}")
            sources = maps + [maps[-1]] * (len(transition) - len(maps))
            maps = [layer(source) for layer, source in zip(transition, sources, strict=True)]
            maps = getattr(self, f"stage{number}")(maps)
        return tuple(maps)

    def train(self, mode: bool = True) -> HRNet:
        """Change mode; with `norm_eval` batch normalisations stay in eval mode."""
        super().train(mode)
        if mode and self.norm_eval:
            hold_batch_norms(self)
        return self


def _check(extra: Mapping[str, Mapping[str, Any]]) -> None:
    for name in (f"stage{number}" for number in range(1, _NUM_STAGES + 1)):
        if name not in extra or not extra[name].keys() >= _STAGE_KEYS:
            raise ValueError(
                f"extra[{name!r}] of an HRNet needs the keys {sorted(_STAGE_KEYS)}, got {extra.get(name)!r}"
            )
        cfg = extra[name]
        if cfg["block"] not in _BLOCKS:
            raise ValueError(f"block of {name} must be one of {sorted(_BLOCKS)}, got {cfg['block']!r}")
        for key in ("num_blocks", "num_channels"):
            if len(cfg[key]) != cfg["num_branches"]:
                raise ValueError(f"{key} of {name} needs {cfg['num_branches']} entries, got {cfg[key]!r}")
