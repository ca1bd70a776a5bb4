"""DDOD: classes and boxes are assigned, and their features sampled, each on their own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from raydet.assignment.targets import DenseTargets
from raydet.geometry import bbox_overlaps
from raydet.heads.dense.base import DenseHead
from raydet.heads.dense.defaults import BINARY_LOSS, GROUP_NORM, rare_classes
from raydet.heads.dense.loss_levels import per_level_counts
from raydet.heads.dense.output import DenseOutput, Predictor
from raydet.heads.dense.towers import conv_tower
from raydet.layers import mean_over_ranks
from raydet.registry import ASSIGNERS, LOSSES
from raydet.structures import Batch, GroundTruth

INIT = rare_classes("atss_cls")


class DDODHead(DenseHead):
    """One anchor per cell with a class, a box and its IoU, where levels with few objects weigh more (arXiv:2107.02963).

    Args:
        num_classes: `K`, without background.
        in_channels: of the feature maps.
        stacked_convs: depth of the towers.
        conv_cfg: convolution of the towers.
        use_dcn: the first convolution of each tower is deformable.
        norm_cfg: normalisation of the towers.
        loss_iou: part or dict.
        init_cfg: weight initialisation.
        **kwargs: see `DenseHead`; `train_cfg` also has a `reg_assigner`, that of boxes.

    Attributes:
        num_seen: `(L,)` positives of classes and boxes on each level since the run has started, the mean of all ranks.
            2.x counts from the start of the process, each rank on its own.

    Raises:
        ValueError: `train_cfg` has no `reg_assigner`.
    """

    def __init__(
        self,
        num_classes: int,
        in_channels: int,
        stacked_convs: int = 4,
        conv_cfg: Any = None,
        use_dcn: bool = True,
        norm_cfg: Any = GROUP_NORM,
        loss_iou: Any = BINARY_LOSS,
        init_cfg: Any = INIT,
        **kwargs: Any,
    ) -> None:
        self.use_dcn = use_dcn
        layers = {"stacked_convs": stacked_convs, "conv_cfg": conv_cfg, "norm_cfg": norm_cfg, "init_cfg": init_cfg}
        super().__init__(num_classes, in_channels, **layers, **kwargs)
        self.loss_iou = LOSSES.build(loss_iou)
        self.num_seen = torch.zeros(self.prior_generator.num_levels)
        self.reg_assigner = None
        if self.assigner is not None:
            settings = self.training_config.extra.get("reg_assigner")
            if settings is None:
                raise ValueError("DDODHead assigns boxes on their own: train_cfg needs reg_assigner beside assigner")
            self.reg_assigner = ASSIGNERS.build(settings)

    def towers(self) -> dict[str, nn.Module]:
        first = {"type": "DCN", "deform_groups": 1} if self.use_dcn else self.conv_cfg
        width = self.feat_channels
        return {
            name: nn.Sequential(
                *conv_tower(1, self.in_channels, width, first, self.norm_cfg),
                *conv_tower(self.stacked_convs - 1, width, width, self.conv_cfg, self.norm_cfg),
            )
            for name in ("cls_convs", "reg_convs")
        }

    def predictors(self) -> tuple[Predictor, ...]:
        return (
            Predictor("atss_cls", "cls", self.cls_out_channels, tower="cls_convs"),
            Predictor("atss_reg", "box", 4, tower="reg_convs", scaled=True),
            Predictor("atss_iou", "iou", 1, tower="reg_convs"),
        )

    def assign(
        self, output: DenseOutput, inside: Sequence[Tensor | None], image: int, priors: Tensor, truth: GroundTruth
    ) -> Any:
        return self.assign_by(self.assigner, output, inside, image, priors, truth)

    @torch.no_grad()
    def assign_by(
        self,
        assigner: Any,
        output: DenseOutput,
        inside: Sequence[Tensor | None],
        image: int,
        priors: Tensor,
        truth: GroundTruth,
    ) -> Any:
        """Match the `priors` of one image with its ground truths, knowing what they predict."""
        mask = inside[image]
        logits, deltas = (output.within(role, image, mask) for role in ("cls", "box"))
        boxes = self.bbox_coder.decode(priors, deltas)
        counts = per_level_counts(output, mask)
        return assigner.assign(priors, counts, truth.boxes, truth.ignored, truth.labels, logits, boxes)

    def batch_losses(self, output: DenseOutput, batch: Batch) -> dict[str, Tensor]:
        """Losses of classes, boxes and IoU; each level counts by how rarely it has had objects."""
        classes = self.targets(output, batch)
        boxes = self.targets_by(partial(self.assign_by, self.reg_assigner), output, batch)
        weights = classes.label_weights * self.rarity(output, classes)
        count = mean_over_ranks(classes.num_pos, output.priors)
        loss_cls = self.class_loss(output, replace(classes, label_weights=weights), count)
        return {"loss_cls": loss_cls, **self._box_losses(output, boxes)}

    def _box_losses(self, output: DenseOutput, targets: DenseTargets) -> dict[str, Tensor]:
        rows = targets.positive
        count = mean_over_ranks(targets.num_pos, output.priors)
        weight = self.rarity(output, targets)[rows % targets.labels.shape[1]]
        boxes = self.bbox_coder.decode(targets.priors, output.rows("box", rows))
        overlap = bbox_overlaps(boxes.detach(), targets.boxes, is_aligned=True)
        logits = output.rows("iou", rows).squeeze(-1)
        return {
            "loss_bbox": self.loss_bbox(boxes, targets.boxes, weight, avg_factor=count),
            "loss_iou": self.loss_iou(logits, overlap, weight, avg_factor=count),
        }

    def rarity(self, output: DenseOutput, targets: DenseTargets) -> Tensor:
        """`(R,)` weights from 1, of the level that has had the most positives so far, to 2, of the one with the least.

        It counts the positives of `targets` before.
        """
        levels = output.levels(targets.positive)
        found = torch.bincount(levels, minlength=len(self.num_seen))
        self.num_seen = seen = self.num_seen.to(levels.device) + mean_over_ranks(found, output.priors)
        weights = 2 - (seen - seen.min()) / (seen.max() - seen.min() + 1e-10)
        return weights[output.layout.level_of(levels.device)]

    def training_state(self) -> dict[str, Any]:
        """What a resumed run needs besides the weights."""
        return {"num_seen": self.num_seen.tolist()}

    def load_training_state(self, state: Mapping[str, Any]) -> None:
        """Go on from what `training_state` gave."""
        self.num_seen = torch.tensor(state["num_seen"])

    def score_factors(self, output: DenseOutput) -> Tensor:
        return output["iou"].sigmoid().squeeze(-1)
