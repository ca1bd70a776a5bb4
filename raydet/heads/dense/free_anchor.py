"""FreeAnchor: objects learn with which of their anchors they match."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from raydet.geometry import bbox_overlaps
from raydet.heads.dense.base import DenseHead
from raydet.heads.dense.output import DenseOutput
from raydet.heads.dense.retina import RetinaTowers
from raydet.structures import Batch, GroundTruth

EPS = 1e-12


class FreeAnchorRetinaHead(RetinaTowers, DenseHead):
    """RetinaNet's head whose objects have bags of anchors, one of which shall fit (arXiv:1909.02466).

    Padding, ignored regions and `train_cfg` are without effect, as in 2.x.

    Args:
        num_classes: `K`, without background.
        in_channels: of the feature maps.
        stacked_convs: depth of each tower.
        conv_cfg: convolution of the towers.
        norm_cfg: normalisation of the towers.
        pre_anchor_topk: anchors in the bag of each object.
        bbox_thr: IoU up to which a predicted box is certainly not on an object.
        gamma: how much easy negatives count less.
        alpha: weight of the positive loss; the negative one weighs `1 - alpha`.
        **kwargs: see `RetinaHead`.
    """

    def __init__(
        self,
        num_classes: int,
        in_channels: int,
        stacked_convs: int = 4,
        conv_cfg: Any = None,
        norm_cfg: Any = None,
        pre_anchor_topk: int = 50,
        bbox_thr: float = 0.6,
        gamma: float = 2.0,
        alpha: float = 0.5,
        **kwargs: Any,
    ) -> None:
        self.pre_anchor_topk = pre_anchor_topk
        self.bbox_thr = bbox_thr
        self.gamma = gamma
        self.alpha = alpha
        super().__init__(num_classes, in_channels, stacked_convs, conv_cfg, norm_cfg, **kwargs)

    def batch_losses(self, output: DenseOutput, batch: Batch) -> dict[str, Tensor]:
        """Bags match, and what is on no object is background."""
        assert batch.truths is not None
        # Entropies of probabilities do not exist under mixed precision.
        with torch.autocast(output["cls"].device.type, enabled=False):
            return self._losses(output, batch.truths)

    def _losses(self, output: DenseOutput, truths: Sequence[GroundTruth]) -> dict[str, Tensor]:
        count = sum(len(truth.boxes) for truth in truths)
        probabilities = output["cls"].sigmoid()
        bags = [self._bag_loss(output, probabilities, image, truth) for image, truth in enumerate(truths)]
        on_object = torch.stack([self._on_object(output, image, truth) for image, truth in enumerate(truths)])
        negative = self._negative_loss(probabilities * (1 - on_object)).sum()
        return {
            "positive_bag_loss": torch.cat(bags).sum() / max(1, count),
            "negative_bag_loss": negative / max(1, count * self.pre_anchor_topk),
        }

    def _bag_loss(self, output: DenseOutput, probabilities: Tensor, image: int, truth: GroundTruth) -> Tensor:
        """`(G,)` how improbable it is that any anchor of an object's bag has its class and its box."""
        priors = output.image_priors(image)
        bag_size = min(self.pre_anchor_topk, len(priors))
        bags = bbox_overlaps(truth.boxes, priors).topk(bag_size, dim=1, sorted=False).indices
        classes = probabilities[image][bags, truth.labels[:, None]]
        wanted = self.bbox_coder.encode(priors[bags], truth.boxes[:, None].expand(-1, bag_size, -1))
        misfit = self.loss_bbox(output["box"][image][bags], wanted, reduction_override="none").sum(-1)
        matched = classes * (-misfit).exp()
        weight = 1 / (1 - matched).clamp(min=EPS)
        bag = (weight / weight.sum(dim=1, keepdim=True) * matched).sum(dim=1)
        return self.alpha * F.binary_cross_entropy(bag, torch.ones_like(bag), reduction="none")

    @torch.no_grad()
    def _on_object(self, output: DenseOutput, image: int, truth: GroundTruth) -> Tensor:
        """`(R, K)` probability that the box of a prior is on an object of the class, by its IoU."""
        table = output["cls"].new_zeros(self.cls_out_channels, output.priors.shape[-2])
        if len(truth.boxes) == 0:
            return table.T
        boxes = self.bbox_coder.decode(output.image_priors(image), output["box"][image])
        overlaps = bbox_overlaps(truth.boxes, boxes)
        best = overlaps.amax(dim=1, keepdim=True).clamp(min=self.bbox_thr + EPS)
        chance = ((overlaps - self.bbox_thr) / (best - self.bbox_thr)).clamp(min=0, max=1)
        return table.scatter_reduce(0, truth.labels[:, None].expand_as(chance), chance, "amax").T

    def _negative_loss(self, probability: Tensor) -> Tensor:
        """Focal loss of everything as background."""
        probability = probability.clamp(min=EPS, max=1 - EPS)
        entropy = F.binary_cross_entropy(probability, torch.zeros_like(probability), reduction="none")
        return (1 - self.alpha) * probability**self.gamma * entropy
