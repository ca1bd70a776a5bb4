"""AutoAssign: every point in a box learns from it as far as it is sure, and where objects are is learned, too."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from raydet.assignment.candidates import centers, depth
from raydet.geometry import bbox_overlaps
from raydet.heads.dense.base import DenseHead
from raydet.heads.dense.fcos import FcosBoxes
from raydet.heads.dense.output import DenseOutput
from raydet.layers import bias_init_with_prob, mean_over_ranks, normal_init
from raydet.structures import Batch, GroundTruth

EPS = 1e-12
# How much more the confident points of an object count.
SHARPNESS = 3


class CenterPrior(nn.Module):
    """How likely a point is on an object: a normal distribution around its center, learned for each class.

    Args:
        force_topk: objects without a point inside learn from the likeliest ones.
        topk: how many.
        num_classes: `K`.
    """

    def __init__(self, force_topk: bool = False, topk: int = 9, num_classes: int = 80) -> None:
        super().__init__()
        self.force_topk = force_topk
        self.topk = topk
        self.mean = nn.Parameter(torch.zeros(num_classes, 2))
        self.sigma = nn.Parameter(torch.ones(num_classes, 2))

    def forward(self, points: Tensor, strides: Tensor, truth: GroundTruth) -> tuple[Tensor, Tensor]:
        """Weights `(R, G)`, and which points are on which objects, `(R, G)` bool.

        Args:
            points: `(R, 2)` x and y.
            strides: `(R,)` pixels per cell; distances are in cells.
            truth: `G` objects.
        """
        distance = (points[:, None] - centers(truth.boxes)) / strides[:, None, None] - self.mean[truth.labels]
        weight = (-distance.square() / (2 * self.sigma[truth.labels].square())).exp().prod(-1)
        inside = depth(points[:, None], truth.boxes) > 0
        if self.force_topk:
            missed = (~inside.any(0)).nonzero().squeeze(1)
            nearest = weight[:, missed].topk(min(self.topk, len(points)), dim=0).indices
            inside[nearest, missed] = True
        return weight, inside


@dataclass(frozen=True)
class _Pairs:
    """The `M` pairs of a point and an object of one image, object by object.

    Attributes:
        points: `(M,)` index on the flat axis R.
        objects: `(M,)` index among the ground truths.
        labels: `(M,)` classes of the objects.
        boxes: `(M, 4)` of the objects.
        weights: `(M,)` center priors.
        num_objects: of the image.
    """

    points: Tensor
    objects: Tensor
    labels: Tensor
    boxes: Tensor
    weights: Tensor
    num_objects: int


class AutoAssignHead(FcosBoxes, DenseHead):
    """FCOS' layers, without any assignment: points weigh how much they are on an object (arXiv:2007.03496).

    Args:
        *args: see `FcosBoxes`.
        force_topk: objects without a point inside learn from the likeliest ones.
        topk: how many.
        pos_loss_weight: of the loss of objects.
        neg_loss_weight: of the loss of background.
        center_loss_weight: of the loss that keeps center priors high.
        **kwargs: see `FcosBoxes` and `DenseHead`.
    """

    conv_cls: nn.Module
    conv_reg: nn.Module

    def __init__(
        self,
        *args: Any,
        force_topk: bool = False,
        topk: int = 9,
        pos_loss_weight: float = 0.25,
        neg_loss_weight: float = 0.75,
        center_loss_weight: float = 0.75,
        **kwargs: Any,
    ) -> None:
        self.pos_loss_weight = pos_loss_weight
        self.neg_loss_weight = neg_loss_weight
        self.center_loss_weight = center_loss_weight
        fixed = {"conv_bias": True, "norm_on_bbox": True, "centerness_on_reg": True, "point_offset": 0}
        super().__init__(*args, **{**kwargs, **fixed})
        self.center_prior = CenterPrior(force_topk, topk, self.num_classes)

    def _initialize(self) -> None:
        super()._initialize()
        normal_init(self.conv_cls, std=0.01, bias=bias_init_with_prob(0.02))
        normal_init(self.conv_reg, std=0.01, bias=4.0)

    def batch_losses(self, output: DenseOutput, batch: Batch) -> dict[str, Tensor]:
        """Losses of objects, background and center priors."""
        assert batch.truths is not None
        # Entropies of probabilities do not exist under mixed precision.
        with torch.autocast(output["cls"].device.type, enabled=False):
            return self._losses(output, batch.truths)

    def _losses(self, output: DenseOutput, truths: Sequence[GroundTruth]) -> dict[str, Tensor]:
        pairs = [self._pairs(output, truth) for truth in truths]
        joint = output["cls"].sigmoid() * output["centerness"].sigmoid()
        boxes = self.bbox_coder.decode(output.priors.expand(len(truths), -1, -1), output["box"])
        each = list(zip(joint, boxes, pairs, strict=True))
        positive = torch.stack([self._object_loss(*one) for one in each]).sum()
        negative = torch.stack(
            [
                self._background_loss(probability, box, pair, truth)
                for (probability, box, pair), truth in zip(each, truths, strict=True)
            ]
        ).sum()
        weight = torch.stack([pair.weights.sum() for pair in pairs])
        reached = torch.tensor([len(pair.points) > 0 for pair in pairs], device=weight.device)
        counts = weight.new_tensor([pair.num_objects for pair in pairs])
        center = torch.where(reached, counts / weight.clamp(min=EPS), weight * 0)
        return {
            "loss_pos": positive / mean_over_ranks(counts.sum(), joint).clamp(min=1),
            "loss_neg": negative / mean_over_ranks(weight.sum(), joint).clamp(min=1),
            "loss_center": center.mean() * self.center_loss_weight,
        }

    def _pairs(self, output: DenseOutput, truth: GroundTruth) -> _Pairs:
        weight, inside = self.center_prior(output.priors, self.prior_strides(output), truth)
        objects, points = inside.T.nonzero(as_tuple=True)
        boxes = truth.boxes.reshape(-1, 4)[objects]
        return _Pairs(points, objects, truth.labels[objects], boxes, weight[points, objects], len(truth.boxes))

    def _object_loss(self, joint: Tensor, boxes: Tensor, pairs: _Pairs) -> Tensor:
        """How improbable it is that the points of an object, by weight, have its class and its box."""
        misfit = self.loss_bbox(boxes[pairs.points], pairs.boxes, reduction_override="none")
        found = joint[pairs.points, pairs.labels] * (-misfit).exp()
        weight = (found * SHARPNESS).exp() * pairs.weights
        nothing = found.new_zeros(pairs.num_objects)
        total = nothing.index_add(0, pairs.objects, weight).clamp(min=EPS)
        mean = nothing.index_add(0, pairs.objects, found * weight / total[pairs.objects]).clamp(max=1)
        return self.pos_loss_weight * F.binary_cross_entropy(mean, torch.ones_like(mean), reduction="sum")

    def _background_loss(self, joint: Tensor, boxes: Tensor, pairs: _Pairs, truth: GroundTruth) -> Tensor:
        """Focal loss of everything as background, less of points in an object whose box fits better than others'."""
        weight = torch.ones_like(joint)
        if len(pairs.points):
            fit = bbox_overlaps(boxes[pairs.points].detach(), truth.boxes).amax(1)
            weight[pairs.points, pairs.labels] = 1 - _spread(1 / (1 - fit).clamp(min=EPS), pairs)
        probability = joint * weight
        entropy = F.binary_cross_entropy(probability, torch.zeros_like(probability), reduction="none")
        return self.neg_loss_weight * (probability.square() * entropy).sum()


def _spread(values: Tensor, pairs: _Pairs) -> Tensor:
    """`(M,)` values moved to [0, 1] within each object."""
    table = values.new_zeros(pairs.num_objects)
    low = table.scatter_reduce(0, pairs.objects, values, "amin", include_self=False)[pairs.objects]
    high = table.scatter_reduce(0, pairs.objects, values, "amax", include_self=False)[pairs.objects]
    return (values - low + EPS) / (high - low + EPS)
