"""The ResNet and ResNeXt of DetectoRS."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn

from raydet.backbones.resnet import ResNet
from raydet.layers import Bottleneck, Cfg, InitCfg, constant_init, deep_stages, recompute


class RecursiveBottleneck(Bottleneck):
    """Bottleneck to which features of an earlier pass may be added.

    Args:
        inplanes: input channels.
        planes: output channels divided by 4.
        rfp_inplanes: channels of the features that are added; None when there are none.
        kwargs: other arguments of `Bottleneck`.
    """

    def __init__(self, inplanes: int, planes: int, rfp_inplanes: int | None = None, **kwargs: Any) -> None:
        super().__init__(inplanes, planes, **kwargs)
        self.rfp_conv = nn.Conv2d(rfp_inplanes, planes * self.expansion, 1) if rfp_inplanes else None
        self._silence_feedback()

    def _silence_feedback(self) -> None:
        """Let the network start as if nothing were fed back."""
        if self.rfp_conv is not None:
            constant_init(self.rfp_conv, 0)

    def init_weights(self) -> None:
        """Initialise as `init_cfg` says; what is fed back starts at zero."""
        super().init_weights()
        self._silence_feedback()

    def rfp_forward(self, x: Tensor, rfp_feat: Tensor | None) -> Tensor:
        """`forward` with the features `(N, rfp_inplanes, h, w)` of an earlier pass added before the last ReLU."""
        out = recompute(self._sum, x, self.with_cp)
        if self.rfp_conv is not None:
            out = out + self.rfp_conv(rfp_feat)
        activated: Tensor = self.relu(out)
        return activated


class DetectoRS_ResNet(ResNet):
    """ResNet with switchable atrous convolutions that the recursive feature pyramid can run again (arXiv:2006.02334).

    It is the ResNeXt of DetectoRS as well, with `groups` above 1.

    Args:
        sac: type of the 3x3 convolutions of the stages in `stage_with_sac`.
        stage_with_sac: which stages use it.
        rfp_inplanes: channels of the features that are fed back, for the copy of the backbone in an RFP.
        output_img: return the images as the first map, which RFP needs.
        groups: groups of the 3x3 convolutions.
        base_width: width of one group in the first stage; for `groups > 1`.
        pretrained: deprecated; a checkpoint to start from.
        init_cfg: how to initialise.
        kwargs: other arguments of `ResNet`; `depth` is 50, 101 or 152.
    """

    arch_settings = deep_stages(RecursiveBottleneck)

    def __init__(
        self,
        sac: Cfg | None = None,
        stage_with_sac: Sequence[bool] = (False, False, False, False),
        rfp_inplanes: int | None = None,
        output_img: bool = False,
        groups: int = 1,
        base_width: int = 4,
        pretrained: str | None = None,
        init_cfg: InitCfg = None,
        **kwargs: Any,
    ) -> None:
        self.sac = sac
        self.stage_with_sac = tuple(stage_with_sac)
        self.rfp_inplanes = rfp_inplanes
        self.output_img = output_img
        self.groups = groups
        self.base_width = base_width
        super().__init__(pretrained=pretrained, init_cfg=init_cfg, **kwargs)

    def stage_options(self, index: int) -> dict[str, Any]:
        """Groups, kind of convolution, and where features are fed back: the first block of all stages but the first."""
        return {
            "groups": self.groups,
            "base_width": self.base_width,
            "base_channels": self.base_channels,
            "middle_cfg": self.sac if self.stage_with_sac[index] else None,
            "opening": {"rfp_inplanes": self.rfp_inplanes if index > 0 else None},
        }

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """Map images to the maps of `out_indices`, after the images themselves where `output_img` asks for them."""
        maps = super().forward(x)
        return (x, *maps) if self.output_img else maps

    def rfp_forward(self, x: Tensor, rfp_feats: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """Map images and the features of an earlier pass, one map per stage (the first is not used), to maps."""
        x = self._stem(x)
        outs = []
        for index, name in enumerate(self.res_layers):
            for block in getattr(self, name):
                x = block.rfp_forward(x, rfp_feats[index])
            if index in self.out_indices:
                outs.append(x)
        return tuple(outs)
