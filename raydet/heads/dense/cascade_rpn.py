"""Cascade RPN: anchors are refined, and features follow them (arXiv:1909.06720)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from raydet.assignment.region import RegionAssigner
from raydet.assignment.result import AssignResult
from raydet.assignment.targets import DenseTargets, assign_targets
from raydet.heads.dense.adaption import AdaptiveConv, offsets_over
from raydet.heads.dense.base import DenseHead
from raydet.heads.dense.output import DenseOutput, Predictor
from raydet.heads.dense.proposals import ProposalResults, Proposals, check_one_class
from raydet.heads.settings import Prediction, build_assigner_and_sampler
from raydet.layers import BaseModule
from raydet.registry import HEADS
from raydet.structures import Batch, GroundTruth, ImageMeta

ANCHORS = {"type": "AnchorGenerator", "scales": [8], "ratios": [1.0], "strides": [4, 8, 16, 32, 64]}
ADAPT = {"type": "dilation", "dilation": 3}
# Without sampling, one in so many anchors counts.
COUNTED = 200


class StageCascadeRPNHead(Proposals, DenseHead):
    """One stage: refines the anchor of each cell and, if asked, tells how sure it is of it.

    Args:
        in_channels: of the feature maps.
        anchor_generator: part or dict: one anchor per cell.
        adapt_cfg: arguments of `AdaptiveConv`.
        bridged_feature: the next stage sees the features of this one.
        with_cls: predict objectness.
        sampling: learn from what `train_cfg.sampler` draws.
        init_cfg: weight initialisation; None for small weights.
        num_classes: always 1, object.
        **kwargs: see `DenseHead`.

    Raises:
        ValueError: `num_classes` is not 1.
    """

    rpn_conv: AdaptiveConv

    def __init__(
        self,
        in_channels: int,
        anchor_generator: Any = ANCHORS,
        adapt_cfg: Mapping[str, Any] = ADAPT,
        bridged_feature: bool = False,
        with_cls: bool = True,
        sampling: bool = True,
        init_cfg: Any = None,
        num_classes: int = 1,
        **kwargs: Any,
    ) -> None:
        check_one_class(num_classes)
        self.adapt_cfg = adapt_cfg
        self.bridged_feature = bridged_feature
        self.with_cls = with_cls
        init_cfg = _small(with_cls) if init_cfg is None else init_cfg
        super().__init__(num_classes, in_channels, anchor_generator=anchor_generator, init_cfg=init_cfg, **kwargs)
        self.sampling = sampling
        self.assigner, self.sampler = build_assigner_and_sampler(
            self.training_config if sampling else replace(self.training_config, sampler=None)
        )

    def towers(self) -> dict[str, nn.Module]:
        return {"rpn_conv": AdaptiveConv(self.in_channels, self.feat_channels, **self.adapt_cfg)}

    def predictors(self) -> tuple[Predictor, ...]:
        cls = Predictor("rpn_cls", "cls", self.cls_out_channels, tower="rpn_conv", kernel=1)
        reg = Predictor("rpn_reg", "box", 4, tower="rpn_conv", kernel=1)
        return (cls, reg) if self.with_cls else (reg,)

    def observe(self, feats: Sequence[Tensor], anchors: Tensor | None = None) -> tuple[DenseOutput, Sequence[Tensor]]:
        """Predictions for anchors `(N, R, 4)`, those of the grid when None, and features for the next stage."""
        seen = self._see(feats, anchors)
        output = self.flatten(self._maps(seen))
        if anchors is not None:
            output = replace(output, priors=anchors)
        return output, seen if self.bridged_feature else feats

    def outputs(self, feats: Sequence[Tensor]) -> DenseOutput:
        return self.observe(feats)[0]

    def forward(self, feats: Sequence[Tensor]) -> tuple[list[Tensor], ...]:
        return self._maps(self._see(feats, None))

    def _see(self, feats: Sequence[Tensor], anchors: Tensor | None) -> list[Tensor]:
        """Features `(N, C, H, W)` of every level, seen where its anchors are."""
        if self.rpn_conv.adapt_type == "dilation":
            return [self.rpn_conv(feature).relu() for feature in feats]
        sizes = [(feature.shape[-2], feature.shape[-1]) for feature in feats]
        if anchors is None:
            anchors = torch.cat(self.prior_generator.grid_priors(sizes, device=feats[0].device))[None]
        per_level = anchors.expand(len(feats[0]), -1, -1).split([h * w for h, w in sizes], dim=1)  # type: ignore[no-untyped-call]
        strides = [stride[0] for stride in self.prior_generator.strides]
        return [
            self.rpn_conv(feature, offsets_over(*where)).relu()
            for feature, *where in zip(feats, per_level, sizes, strides, strict=True)
        ]

    def _maps(self, seen: Sequence[Tensor]) -> tuple[list[Tensor], ...]:
        return tuple([getattr(self, p.key)(feature) for feature in seen] for p in self._predictors)

    @torch.no_grad()
    def refine(self, output: DenseOutput, metas: Sequence[ImageMeta]) -> Tensor:
        """Anchors `(N, R, 4)` for the next stage, clipped to their images."""
        priors = output.priors.expand(len(metas), -1, -1)
        shapes = [meta.img_shape[:2] for meta in metas]
        anchors: Tensor = self.bbox_coder.decode(priors, output["box"], max_shape=shapes)
        return anchors

    def targets(self, output: DenseOutput, batch: Batch) -> DenseTargets:
        """What the anchors shall predict; a `RegionAssigner` looks at whole feature maps."""
        if not isinstance(self.assigner, RegionAssigner):
            return super().targets(output, batch)
        assert batch.truths is not None
        valid = [
            torch.ones(output.priors.shape[-2], dtype=torch.bool, device=output.priors.device) if mask is None else mask
            for mask in self.valid_priors(output, batch.metas)
        ]

        def assign(image: int, anchors: Tensor, truth: GroundTruth) -> AssignResult:
            return self._assign_regions(output, anchors, valid[image], batch.metas[image], truth)

        pos_weight = self.training_config.pos_weight
        truths = [replace(truth, labels=torch.zeros_like(truth.labels)) for truth in batch.truths]
        return assign_targets(output.priors, truths, assign, self.sampler, self.num_classes, None, pos_weight)

    def _assign_regions(
        self, output: DenseOutput, anchors: Tensor, valid: Tensor, meta: ImageMeta, truth: GroundTruth
    ) -> AssignResult:
        layout, generator = output.layout, self.prior_generator
        assert isinstance(self.assigner, RegionAssigner)
        return self.assigner.assign(
            layout.split(anchors, 0),
            layout.split(valid, 0),
            truth.boxes,
            {"img_shape": meta.img_shape},
            layout.sizes,
            float(generator.scales[0]),
            [stride[0] for stride in generator.strides],
            allowed_border=self.training_config.allowed_border,
        )

    def losses(self, output: DenseOutput, targets: DenseTargets) -> dict[str, Tensor]:
        count = targets.num_pos + targets.num_neg if self.sampling else targets.labels.numel() / COUNTED
        boxes = {"loss_rpn_reg": self.box_loss(output, targets, float(count))}
        if not self.with_cls:
            return boxes
        return {"loss_rpn_cls": self.class_loss(output, targets, float(count)), **boxes}


class CascadeRPNHead(ProposalResults, BaseModule):
    """Stages that refine the same anchors one after the other; the last one proposes.

    Args:
        num_stages: how many stages there are.
        stages: parts or dicts.
        train_cfg: settings of each stage's training, or None.
        test_cfg: settings of the proposals, in training as well.
        init_cfg: weight initialisation.

    Raises:
        ValueError: `num_stages` does not count the stages.
    """

    def __init__(
        self,
        num_stages: int,
        stages: Sequence[Any],
        train_cfg: Sequence[Mapping[str, Any]] | None,
        test_cfg: Mapping[str, Any] | None,
        init_cfg: Any = None,
    ) -> None:
        super().__init__(init_cfg)
        if num_stages != len(stages):
            raise ValueError(f"num_stages={num_stages} but there are {len(stages)} stages; make them agree")
        self.num_stages = num_stages
        settings = [None] * num_stages if train_cfg is None else train_cfg
        self.stages = nn.ModuleList(
            HEADS.build({**stage, "train_cfg": own, "test_cfg": test_cfg} if isinstance(stage, Mapping) else stage)
            for stage, own in zip(stages, settings, strict=True)
        )
        self.test_config = Prediction.read(test_cfg)

    def forward(self, feats: Sequence[Tensor]) -> list[tuple[list[Tensor], ...]]:
        """Raw maps of every stage, each at the anchors of the grid."""
        return [stage(feats) for stage in self.stages]

    def observe(
        self, feats: Sequence[Tensor], metas: Sequence[ImageMeta]
    ) -> Iterator[tuple[StageCascadeRPNHead, DenseOutput]]:
        """Every stage with its predictions."""
        anchors = None
        for number, stage in enumerate(self.stages):
            assert isinstance(stage, StageCascadeRPNHead)
            output, feats = stage.observe(feats, anchors)
            yield stage, output
            if number + 1 < self.num_stages:
                anchors = stage.refine(output, metas)

    def loss(self, feats: Sequence[Tensor], batch: Batch) -> dict[str, Tensor]:
        """The losses of all stages, as `s<stage>.<name>`."""
        return self.loss_and_proposals(feats, batch, self.test_config)[0]

    def loss_and_proposals(
        self, feats: Sequence[Tensor], batch: Batch, config: Prediction
    ) -> tuple[dict[str, Tensor], list[Tensor]]:
        """Losses, and proposals `(r, 5)` of every image; as in 2.x by `test_cfg`, whatever `config` says."""
        losses: dict[str, Tensor] = {}
        for number, (stage, output) in enumerate(self.observe(feats, batch.metas)):
            found = stage.batch_losses(output, batch)
            losses |= {f"s{number}.{name}": value for name, value in found.items()}
        return losses, stage.propose(output, batch.metas, self.test_config)

    @torch.no_grad()
    def proposals(self, feats: Sequence[Tensor], metas: Sequence[ImageMeta]) -> list[Tensor]:
        """Proposals `(r, 5)` of every image: boxes in pixels of the network input, score."""
        *_, (stage, output) = self.observe(feats, metas)
        found: list[Tensor] = stage.propose(output, metas, self.test_config)
        return found


def _small(with_cls: bool) -> dict[str, Any]:
    names = ("rpn_reg", "rpn_cls") if with_cls else ("rpn_reg",)
    return {"type": "Normal", "std": 0.01, "override": [{"type": "Normal", "name": n, "std": 0.01} for n in names]}
