"""ResNet in all its 2.x forms."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn

from raydet.backbones.chain import check_indices
from raydet.layers import (
    RESNET_STAGES,
    BaseModule,
    BasicBlock,
    Cfg,
    ConvNormChain,
    InitCfg,
    ResLayer,
    build_conv_layer,
    build_norm_layer,
    conv_then_norm,
    freeze,
    hold_batch_norms,
    init_cfg_with_pretrained,
)

_BN: Cfg = {"type": "BN", "requires_grad": True}
_INIT: InitCfg = (
    {"type": "Kaiming", "layer": "Conv2d"},
    {"type": "Constant", "val": 1, "layer": ["_BatchNorm", "GroupNorm"]},
)


class ResNet(BaseModule):
    """Residual network (arXiv:1512.03385).

    Children: `conv1` and `bn1` (or `stem`), `layer1` ... `layer<num_stages>`.

    Args:
        depth: 18, 34, 50, 101 or 152.
        in_channels: channels of the images.
        stem_channels: channels of the stem; `base_channels` when None.
        base_channels: channels of the first stage before the expansion.
        num_stages: 1 to 4.
        strides: stride of each stage.
        dilations: dilation of each stage.
        out_indices: which stages to return.
        style: "pytorch" strides in the 3x3 convolution of a bottleneck, "caffe" in its first 1x1 convolution.
        deep_stem: three 3x3 convolutions instead of one 7x7.
        avg_down: shrink shortcuts by average pooling (arXiv:1812.01187).
        frozen_stages: the stem and so many stages are held still; -1 for none.
        conv_cfg: type of the convolutions.
        norm_cfg: normalisation; `requires_grad=False` fixes its scale and shift.
        norm_eval: keep batch normalisations in eval mode.
        dcn: deformable convolution for the 3x3 convolutions of bottlenecks.
        stage_with_dcn: which stages use it.
        plugins: dicts with `cfg`, `position` ("after_conv1" ... "after_conv3") and `stages` (all when left out).
        with_cp: recompute in the backward pass instead of keeping activations.
        zero_init_residual: start every branch at zero, unless `init_cfg` or `pretrained` is given.
        pretrained: deprecated; a checkpoint to start from.
        init_cfg: how to initialise.
    """

    arch_settings: dict[Any, tuple[Any, tuple[int, ...]]] = RESNET_STAGES
    """Class and number of the blocks of each depth."""
    stem_kernel = 7
    stem_pools = True

    def __init__(
        self,
        depth: int | str,
        in_channels: int = 3,
        stem_channels: int | None = None,
        base_channels: int = 64,
        num_stages: int = 4,
        strides: Sequence[int] = (1, 2, 2, 2),
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
        super().__init__(init_cfg_with_pretrained(init_cfg, pretrained, _INIT))
        if depth not in self.arch_settings:
            known = sorted(self.arch_settings)
            raise ValueError(f"{type(self).__name__} has no depth {depth!r}; depths are {known}")
        _check_stages(num_stages, strides, dilations, out_indices, stage_with_dcn if dcn is not None else None)
        self.depth = depth
        self.base_channels = base_channels
        self.stem_channels = base_channels if stem_channels is None else stem_channels
        self.num_stages = num_stages
        self.out_indices = tuple(out_indices)
        self.style = style
        self.deep_stem = deep_stem
        self.avg_down = avg_down
        self.frozen_stages = frozen_stages
        self.conv_cfg = conv_cfg
        self.norm_cfg = norm_cfg
        self.norm_eval = norm_eval
        self.with_cp = with_cp
        self.zero_init_residual = zero_init_residual
        self.block, stage_blocks = self.arch_settings[depth]
        self.stage_blocks = tuple(stage_blocks[:num_stages])

        self._make_stem_layer(in_channels, self.stem_channels)
        self.inplanes = self.stem_channels
        self.res_layers: list[str] = []
        common: dict[str, Any] = {
            "style": style,
            "avg_down": avg_down,
            "with_cp": with_cp,
            "conv_cfg": conv_cfg,
            "norm_cfg": norm_cfg,
            "init_cfg": self._block_init_cfg() if init_cfg is None and pretrained is None else None,
        }
        for index in range(num_stages):
            self._add_stage(
                index,
                stride=strides[index],
                dilation=dilations[index],
                dcn=dcn if stage_with_dcn[index] else None,
                plugins=self.make_stage_plugins(plugins, index) if plugins is not None else None,
                **common,
            )
        self.feat_dim = self.inplanes
        self._freeze_stages()

    def _block_init_cfg(self) -> InitCfg:
        if not self.zero_init_residual:
            return None
        last_norm = "norm2" if self.block is BasicBlock else "norm3"
        return {"type": "Constant", "val": 0, "override": {"name": last_norm}}

    def _add_stage(self, index: int, **arguments: Any) -> None:
        options = {"planes": self.base_channels * 2**index, **arguments, **self.stage_options(index)}
        stage = self.make_res_layer(
            block=self.block, inplanes=self.inplanes, num_blocks=self.stage_blocks[index], **options
        )
        self.inplanes = options["planes"] * self.block.expansion
        self.res_layers.append(f"layer{index + 1}")
        self.add_module(self.res_layers[-1], stage)

    def stage_options(self, index: int) -> dict[str, Any]:
        """What a variant hands to one stage besides, or instead of, the arguments of every ResNet."""
        return {}

    def make_res_layer(self, **kwargs: Any) -> nn.Module:
        """Build one stage."""
        return ResLayer(**kwargs)

    def make_stage_plugins(self, plugins: Sequence[Cfg], stage_idx: int) -> list[dict[str, Any]]:
        """The plug-ins of one stage, without their key `stages`."""
        chosen = []
        for plugin in plugins:
            stages = plugin.get("stages")
            if stages is not None and len(stages) != self.num_stages:
                raise ValueError(f"'stages' of a plugin needs {self.num_stages} entries, got {stages!r}")
            if stages is None or stages[stage_idx]:
                chosen.append({key: value for key, value in plugin.items() if key != "stages"})
        return chosen

    def _make_stem_layer(self, in_channels: int, stem_channels: int) -> None:
        if self.deep_stem:
            half = stem_channels // 2
            self.stem = ConvNormChain(
                *self._stem_part(in_channels, half, stride=2),
                *self._stem_part(half, half),
                *self._stem_part(half, stem_channels),
            )
        else:
            size = self.stem_kernel
            self.conv1 = build_conv_layer(
                self.conv_cfg, in_channels, stem_channels, size, stride=2, padding=size // 2, bias=False
            )
            self.norm1_name, norm1 = build_norm_layer(self.norm_cfg, stem_channels, postfix=1)
            self.add_module(self.norm1_name, norm1)
            self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1) if self.stem_pools else nn.Identity()

    def _stem_part(self, in_channels: int, out_channels: int, stride: int = 1) -> list[nn.Module]:
        conv = build_conv_layer(self.conv_cfg, in_channels, out_channels, 3, stride=stride, padding=1, bias=False)
        return [conv, build_norm_layer(self.norm_cfg, out_channels)[1], nn.ReLU(inplace=True)]

    @property
    def norm1(self) -> nn.Module:
        """Normalisation of the plain stem."""
        return self.get_submodule(self.norm1_name)

    def _freeze_stages(self) -> None:
        if self.frozen_stages < 0:
            return
        stem = [self.stem] if self.deep_stem else [self.conv1, self.norm1]
        freeze([*stem, *(getattr(self, f"layer{index}") for index in range(1, self.frozen_stages + 1))])

    def _stem(self, x: Tensor) -> Tensor:
        x = self.stem(x) if self.deep_stem else self.relu(conv_then_norm(self.conv1, self.norm1, x))
        out: Tensor = self.maxpool(x)
        return out

    def _run_stage(self, index: int, x: Tensor) -> Tensor:
        out: Tensor = getattr(self, self.res_layers[index])(x)
        return out

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """Map images `(N, in_channels, H, W)` to the maps of `out_indices`, strides 4, 8, 16, 32 by default."""
        x = self._stem(x)
        outs = []
        for index in range(self.num_stages):
            x = self._run_stage(index, x)
            if index in self.out_indices:
                outs.append(x)
        return tuple(outs)

    def train(self, mode: bool = True) -> ResNet:
        """Change mode; what is frozen stays in eval mode."""
        super().train(mode)
        self._freeze_stages()
        if mode and self.norm_eval:
            hold_batch_norms(self)
        return self


class ResNetV1d(ResNet):
    """ResNet with a deep stem and average pooling in its shortcuts (arXiv:1812.01187). Arguments as `ResNet`."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(deep_stem=True, avg_down=True, **kwargs)


def _check_stages(
    num_stages: int,
    strides: Sequence[int],
    dilations: Sequence[int],
    out_indices: Sequence[int],
    stage_with_dcn: Sequence[bool] | None,
) -> None:
    if not 1 <= num_stages <= 4:
        raise ValueError(f"num_stages must be 1 to 4, got {num_stages!r}")
    per_stage = {"strides": strides, "dilations": dilations, "stage_with_dcn": stage_with_dcn}
    for name, values in per_stage.items():
        if values is not None and len(values) != num_stages:
            raise ValueError(f"{name} needs {num_stages} entries, one per stage, got {values!r}")
    check_indices("out_indices", out_indices, 0, num_stages - 1)
