"""Shared heads: layers that the box and mask branches have in common."""

from __future__ import annotations

from torch import Tensor

from raydet.layers import RESNET_STAGES, BaseModule, Cfg, InitCfg, hold_batch_norms, init_cfg_with_pretrained
from raydet.layers import ResLayer as ResidualStage

_BN: Cfg = {"type": "BN", "requires_grad": True}
_INIT: InitCfg = ({"type": "Kaiming", "layer": "Conv2d"}, {"type": "Constant", "val": 1, "layer": "_BatchNorm"})


class ResLayer(BaseModule):
    """One stage of a ResNet that runs on pooled regions ("C4" detectors); its child is `layer<stage + 1>`.

    Args:
        depth: depth of the ResNet that the stage belongs to.
        stage: which stage, counted from 0.
        stride: stride of the stage.
        dilation: dilation of the stage.
        style: "pytorch" or "caffe", see `ResNet`.
        norm_cfg: normalisation.
        norm_eval: keep batch normalisations in eval mode.
        with_cp: recompute in the backward pass instead of keeping activations.
        dcn: deformable convolution for the 3x3 convolutions.
        pretrained: deprecated; a checkpoint to start from.
        init_cfg: how to initialise.
    """

    def __init__(
        self,
        depth: int,
        stage: int = 3,
        stride: int = 2,
        dilation: int = 1,
        style: str = "pytorch",
        norm_cfg: Cfg = _BN,
        norm_eval: bool = True,
        with_cp: bool = False,
        dcn: Cfg | None = None,
        pretrained: str | None = None,
        init_cfg: InitCfg = None,
    ) -> None:
        super().__init__(init_cfg_with_pretrained(init_cfg, pretrained, _INIT))
        if depth not in RESNET_STAGES:
            raise ValueError(f"there is no ResNet of depth {depth!r}; depths are {sorted(RESNET_STAGES)}")
        if not 0 <= stage < 4:
            raise ValueError(f"stage must be 0 to 3, got {stage!r}")
        block, stage_blocks = RESNET_STAGES[depth]
        self.norm_eval = norm_eval
        self.stage = stage
        self.add_module(
            f"layer{stage + 1}",
            ResidualStage(
                block,
                64 if stage == 0 else 32 * 2**stage * block.expansion,
                64 * 2**stage,
                stage_blocks[stage],
                stride=stride,
                dilation=dilation,
                style=style,
                with_cp=with_cp,
                norm_cfg=norm_cfg,
                dcn=dcn,
            ),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map `(P, C, h, w)` to `(P, C', h / stride, w / stride)`."""
        out: Tensor = getattr(self, f"layer{self.stage + 1}")(x)
        return out

    def train(self, mode: bool = True) -> ResLayer:
        """Change mode; with `norm_eval` batch normalisations stay in eval mode."""
        super().train(mode)
        if mode and self.norm_eval:
            hold_batch_norms(self)
        return self
