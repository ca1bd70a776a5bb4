"""ConvNeXt."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from raydet.backbones.chain import check_indices
from raydet.layers import (
    BaseModule,
    Cfg,
    DropPath,
    InitCfg,
    ModuleList,
    Sequential,
    build_activation_layer,
    build_norm_layer,
    freeze,
    recompute,
    rising_rates,
)

_LN: Cfg = {"type": "LN2d", "eps": 1e-6}
_GELU: Cfg = {"type": "GELU"}
_INIT: InitCfg = (
    {"type": "TruncNormal", "std": 0.02, "layer": ["Conv2d", "Linear"]},
    {"type": "Constant", "val": 1, "layer": "LayerNorm"},
)


class ConvNeXtBlock(BaseModule):
    """A depthwise 7x7 convolution, a normalisation and two pointwise layers, scaled channel by channel.

    Args:
        in_channels: channels of input and output.
        norm_cfg: normalisation.
        act_cfg: activation.
        mlp_ratio: channels between the pointwise layers divided by `in_channels`.
        linear_pw_conv: make the pointwise layers linear ones instead of convolutions.
        drop_path_rate: probability of dropping the branch of a sample.
        layer_scale_init_value: first value of the scales; no scales when 0.
        with_cp: recompute in the backward pass instead of keeping activations.
    """

    def __init__(
        self,
        in_channels: int,
        norm_cfg: Cfg = _LN,
        act_cfg: Cfg = _GELU,
        mlp_ratio: float = 4.0,
        linear_pw_conv: bool = True,
        drop_path_rate: float = 0.0,
        layer_scale_init_value: float = 1e-6,
        with_cp: bool = False,
    ) -> None:
        super().__init__()
        self.with_cp = with_cp
        self.linear_pw_conv = linear_pw_conv
        self.depthwise_conv = nn.Conv2d(in_channels, in_channels, 7, padding=3, groups=in_channels)
        self.norm = build_norm_layer(norm_cfg, in_channels)[1]
        hidden = int(mlp_ratio * in_channels)
        self.pointwise_conv1 = self._pointwise(in_channels, hidden)
        self.act = build_activation_layer(act_cfg)
        self.pointwise_conv2 = self._pointwise(hidden, in_channels)
        scales = layer_scale_init_value > 0
        self.gamma = nn.Parameter(torch.full((in_channels,), float(layer_scale_init_value))) if scales else None
        self.drop_path = DropPath(drop_path_rate) if drop_path_rate > 0 else nn.Identity()

    def _pointwise(self, inputs: int, outputs: int) -> nn.Module:
        return nn.Linear(inputs, outputs) if self.linear_pw_conv else nn.Conv2d(inputs, outputs, 1)

    def _inner(self, x: Tensor) -> Tensor:
        out = self.norm(self.depthwise_conv(x))
        if self.linear_pw_conv:
            out = out.permute(0, 2, 3, 1)
        out = self.pointwise_conv2(self.act(self.pointwise_conv1(out)))
        if self.linear_pw_conv:
            out = out.permute(0, 3, 1, 2)
        if self.gamma is not None:
            out = out * self.gamma.view(-1, 1, 1)
        result: Tensor = x + self.drop_path(out)
        return result

    def forward(self, x: Tensor) -> Tensor:
        """Map `(N, C, H, W)` to the same shape."""
        return recompute(self._inner, x, self.with_cp)


class ConvNeXt(BaseModule):
    """Convolutions in the manner of a transformer (arXiv:2201.03545).

    Children: `downsample_layers`, `stages`, and `norm<index>` for each stage that is returned.

    Args:
        arch: "tiny", "small", "base", "large", "xlarge", or a dict with `depths` and `channels` of the stages.
        in_channels: channels of the images.
        stem_patch_size: side of a patch, and first stride.
        norm_cfg: normalisation.
        act_cfg: activation.
        linear_pw_conv: make pointwise layers linear ones instead of convolutions.
        drop_path_rate: probability of dropping the branch of the last block; it rises evenly from 0.
        layer_scale_init_value: first value of the scales of the branches; no scales when 0.
        out_indices: which stages to return; negative ones count from the last.
        frozen_stages: so many stages are held still.
        gap_before_final_norm: return the mean of a map, `(N, C)`, instead of the map.
        with_cp: recompute in the backward pass instead of keeping activations.
        init_cfg: how to initialise.
    """

    arch_settings: ClassVar[dict[str, dict[str, tuple[int, ...]]]] = {
        "tiny": {"depths": (3, 3, 9, 3), "channels": (96, 192, 384, 768)},
        "small": {"depths": (3, 3, 27, 3), "channels": (96, 192, 384, 768)},
        "base": {"depths": (3, 3, 27, 3), "channels": (128, 256, 512, 1024)},
        "large": {"depths": (3, 3, 27, 3), "channels": (192, 384, 768, 1536)},
        "xlarge": {"depths": (3, 3, 27, 3), "channels": (256, 512, 1024, 2048)},
    }

    def __init__(
        self,
        arch: str | Mapping[str, Any] = "tiny",
        in_channels: int = 3,
        stem_patch_size: int = 4,
        norm_cfg: Cfg = _LN,
        act_cfg: Cfg = _GELU,
        linear_pw_conv: bool = True,
        drop_path_rate: float = 0.0,
        layer_scale_init_value: float = 1e-6,
        out_indices: int | Sequence[int] = -1,
        frozen_stages: int = 0,
        gap_before_final_norm: bool = True,
        with_cp: bool = False,
        init_cfg: InitCfg = None,
    ) -> None:
        super().__init__(_INIT if init_cfg is None else init_cfg)
        self.depths, self.channels = self._design(arch)
        num_stages = len(self.depths)
        indices = [out_indices] if isinstance(out_indices, int) else list(out_indices)
        check_indices("out_indices", indices, -num_stages, num_stages - 1)
        check_indices("frozen_stages", [frozen_stages], 0, num_stages)
        self.out_indices = tuple(index % num_stages for index in indices)
        self.frozen_stages = frozen_stages
        self.gap_before_final_norm = gap_before_final_norm
        block: dict[str, Any] = {
            "norm_cfg": norm_cfg,
            "act_cfg": act_cfg,
            "linear_pw_conv": linear_pw_conv,
            "layer_scale_init_value": layer_scale_init_value,
            "with_cp": with_cp,
        }
        rates = rising_rates(drop_path_rate, self.depths)
        self.downsample_layers = ModuleList()
        self.stages = ModuleList()
        for index, channels in enumerate(self.channels):
            if index == 0:
                patches = nn.Conv2d(in_channels, channels, stem_patch_size, stride=stem_patch_size)
                steps = [patches, build_norm_layer(norm_cfg, channels)[1]]
            else:
                before = self.channels[index - 1]
                steps = [build_norm_layer(norm_cfg, before)[1], nn.Conv2d(before, channels, 2, stride=2)]
            self.downsample_layers.append(nn.Sequential(*steps))
            blocks = [ConvNeXtBlock(channels, drop_path_rate=rate, **block) for rate in rates[index]]
            self.stages.append(Sequential(*blocks))
            if index in self.out_indices:
                self.add_module(f"norm{index}", build_norm_layer(norm_cfg, channels)[1])
        self._freeze_stages()

    def _design(self, arch: str | Mapping[str, Any]) -> tuple[tuple[int, ...], tuple[int, ...]]:
        if isinstance(arch, str):
            if arch not in self.arch_settings:
                raise ValueError(f"ConvNeXt has no arch {arch!r}; there are {list(self.arch_settings)}")
            arch = self.arch_settings[arch]
        if not {"depths", "channels"} <= arch.keys() or len(arch["depths"]) != len(arch["channels"]):
            raise ValueError(f"arch of a ConvNeXt needs 'depths' and 'channels' of equal length, got {dict(arch)!r}")
        return tuple(arch["depths"]), tuple(arch["channels"])

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """Map images `(N, in_channels, H, W)` to the maps of `out_indices`, strides 4, 8, 16, 32 by default."""
        outs = []
        for index, (shrink, stage) in enumerate(zip(self.downsample_layers, self.stages, strict=True)):
            x = stage(shrink(x))
            if index in self.out_indices:
                norm = getattr(self, f"norm{index}")
                if self.gap_before_final_norm:
                    outs.append(norm(x.mean((-2, -1), keepdim=True)).flatten(1))
                else:
                    outs.append(norm(x).contiguous())
        return tuple(outs)

    def _freeze_stages(self) -> None:
        freeze([*self.downsample_layers[: self.frozen_stages], *self.stages[: self.frozen_stages]])

    def train(self, mode: bool = True) -> ConvNeXt:
        """Change mode; what is frozen stays in eval mode."""
        super().train(mode)
        self._freeze_stages()
        return self
