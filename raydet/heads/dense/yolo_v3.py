"""YOLOv3: each object is learned by the cell that holds its center."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from raydet.assignment.targets import DenseTargets
from raydet.heads.dense.base import DenseHead
from raydet.heads.dense.defaults import BINARY_LOSS
from raydet.heads.dense.output import DenseOutput, Predictor
from raydet.layers import ConvModule, bias_init_with_prob
from raydet.registry import LOSSES, PRIOR_GENERATORS
from raydet.structures import GroundTruth

ANCHORS = {
    "type": "YOLOAnchorGenerator",
    "base_sizes": [
        [(116, 90), (156, 198), (373, 326)],
        [(30, 61), (62, 45), (59, 119)],
        [(10, 13), (16, 30), (33, 23)],
    ],
    "strides": [32, 16, 8],
}
BATCH_NORM = {"type": "BN", "requires_grad": True}
LEAKY = {"type": "LeakyReLU", "negative_slope": 0.1}
CODER = {"type": "YOLOBBoxCoder"}
LOSS_WH = {"type": "MSELoss", "loss_weight": 1.0}
INIT = {"type": "Normal", "std": 0.01, "override": {"name": "convs_pred"}}
# What the objectness of a cell starts with: so many objects in an image of this side.
USUAL_OBJECTS, USUAL_SIDE = 8, 608


class YOLOV3Head(DenseHead):
    """One convolution per level and a predictor of box, objectness and classes of every anchor (arXiv:1804.02767).

    Args:
        num_classes: `K`, without background.
        in_channels: of each level, coarsest first.
        out_channels: of each level's convolution.
        anchor_generator: part or dict.
        bbox_coder: part or dict; takes strides, too.
        featmap_strides: pixels per cell of each level; those of the anchors.
        one_hot_smoother: probability that targets move from the true class to all classes.
        conv_cfg: type of the convolutions.
        norm_cfg: normalisation.
        act_cfg: activation.
        loss_cls: part or dict; where `reduction` is `mean` it divides by all numbers of a level, as the others do.
        loss_conf: part or dict.
        loss_xy: part or dict.
        loss_wh: part or dict.
        train_cfg: `assigner`, `sampler`.
        test_cfg: `score_thr`, `conf_thr`, `nms`, `max_per_img`.
        init_cfg: weight initialisation.

    Raises:
        ValueError: channels or strides of other levels than the anchors have.
    """

    learns_in_padding = True
    convs_pred: Any

    def __init__(
        self,
        num_classes: int,
        in_channels: Sequence[int],
        out_channels: Sequence[int] = (1024, 512, 256),
        anchor_generator: Any = ANCHORS,
        bbox_coder: Any = CODER,
        featmap_strides: Sequence[int] = (32, 16, 8),
        one_hot_smoother: float = 0.0,
        conv_cfg: Any = None,
        norm_cfg: Any = BATCH_NORM,
        act_cfg: Any = LEAKY,
        loss_cls: Any = BINARY_LOSS,
        loss_conf: Any = BINARY_LOSS,
        loss_xy: Any = BINARY_LOSS,
        loss_wh: Any = LOSS_WH,
        train_cfg: Mapping[str, Any] | None = None,
        test_cfg: Mapping[str, Any] | None = None,
        init_cfg: Any = INIT,
    ) -> None:
        anchors = PRIOR_GENERATORS.build(anchor_generator)
        if not len(in_channels) == len(out_channels) == len(featmap_strides) == anchors.num_levels:
            raise ValueError(
                f"the anchors have {anchors.num_levels} levels; give as many in_channels, out_channels and "
                f"featmap_strides, got {in_channels}, {out_channels} and {featmap_strides}"
            )
        self.level_channels = list(zip(in_channels, out_channels, strict=True))
        self.act_cfg = act_cfg
        self.featmap_strides = tuple(featmap_strides)
        self.one_hot_smoother = one_hot_smoother
        super().__init__(
            num_classes,
            in_channels[0],
            conv_cfg=conv_cfg,
            norm_cfg=norm_cfg,
            anchor_generator=anchors,
            bbox_coder=bbox_coder,
            loss_cls=loss_cls,
            train_cfg=train_cfg,
            test_cfg=test_cfg,
            init_cfg=init_cfg,
        )
        self.loss_conf = LOSSES.build(loss_conf)
        self.loss_xy = LOSSES.build(loss_xy)
        self.loss_wh = LOSSES.build(loss_wh)
        # As in 2.x all boxes that are sure enough compete.
        self.test_config = replace(self.test_config, nms_pre=-1)

    def towers(self) -> dict[str, nn.Module]:
        options = {"conv_cfg": self.conv_cfg, "norm_cfg": self.norm_cfg, "act_cfg": self.act_cfg}
        convs = (ConvModule(before, after, 3, padding=1, **options) for before, after in self.level_channels)
        return {"convs_bridge": nn.ModuleList(convs)}

    def predictors(self) -> tuple[Predictor, ...]:
        return (Predictor("convs_pred", "all", 5 + self.num_classes, "convs_bridge", kernel=1, per_level=True),)

    def build_predictor(self, predictor: Predictor, level: int) -> nn.Module:
        priors = self.prior_generator.num_base_priors[level]
        return nn.Conv2d(self.level_channels[level][1], priors * predictor.dims, 1)

    def _initialize(self) -> None:
        super()._initialize()
        for conv, stride in zip(self.convs_pred, self.featmap_strides, strict=True):
            bias = conv.bias.detach().view(-1, 5 + self.num_classes)
            bias[:, 4] = bias_init_with_prob(USUAL_OBJECTS / (USUAL_SIDE / stride) ** 2)
            bias[:, 5:] = bias_init_with_prob(0.01)

    def flatten(self, maps: tuple[list[Tensor], ...]) -> DenseOutput:
        """The numbers of an anchor become box, objectness and classes."""
        output = super().flatten(maps)
        box, conf, cls = torch.split(output["all"], [4, 1, self.num_classes], dim=-1)
        return replace(output, values={"box": box, "conf": conf, "cls": cls})

    def assign(
        self, output: DenseOutput, inside: Sequence[Tensor | None], image: int, priors: Tensor, truth: GroundTruth
    ) -> Any:
        sizes = list(output.layout.sizes)
        responsible = torch.cat(self.prior_generator.responsible_flags(sizes, truth.boxes, priors.device))
        return self.assigner.assign(priors, responsible, truth.boxes, truth.labels)

    def losses(self, output: DenseOutput, targets: DenseTargets) -> dict[str, Tensor]:
        rows, learning = targets.positive, targets.sampled
        strides = self.cell_sizes(output)[rows % output.layout.num_priors]
        codes = self.bbox_coder.encode(targets.priors, targets.boxes, strides)
        holds = torch.zeros_like(targets.label_weights).flatten().index_fill(0, rows, 1.0)
        classes = F.one_hot(targets.labels.flatten()[rows], self.num_classes) * (1 - self.one_hot_smoother)
        classes = classes + self.one_hot_smoother / self.num_classes
        box = output.rows("box", rows)
        return {
            "loss_cls": level_loss(self.loss_cls, output.rows("cls", rows), classes, output, rows),
            "loss_conf": level_loss(
                self.loss_conf, output.rows("conf", learning), holds[learning, None], output, learning
            ),
            "loss_xy": level_loss(self.loss_xy, box[:, :2], codes[:, :2], output, rows),
            "loss_wh": level_loss(self.loss_wh, box[:, 2:], codes[:, 2:], output, rows),
        }

    def cell_sizes(self, output: DenseOutput) -> Tensor:
        """`(R,)` pixels per cell at the level of each anchor."""
        strides = output.priors.new_tensor(self.featmap_strides)
        return strides[output.layout.level_of(strides.device)]

    def scores(self, output: DenseOutput) -> Tensor:
        """`(N, R, K)`, zero where the objectness does not reach `conf_thr`."""
        scores, least = output["cls"].sigmoid(), self.test_config.extra.get("conf_thr", -1)
        return torch.where(output["conf"].sigmoid() >= least, scores, 0.0) if least > 0 else scores

    def score_factors(self, output: DenseOutput) -> Tensor:
        return output["conf"].sigmoid().squeeze(-1)

    def decode(self, output: DenseOutput, image: int, index: Tensor, max_shape: Sequence[int]) -> Tensor:
        """Boxes, not clipped."""
        raw = output["box"][image, index]
        codes = torch.cat([raw[:, :2].sigmoid(), raw[:, 2:]], dim=1)
        boxes: Tensor = self.bbox_coder.decode(output.priors[index], codes, self.cell_sizes(output)[index])
        return boxes


def level_loss(loss: Any, predicted: Tensor, wanted: Tensor, output: DenseOutput, rows: Tensor) -> Tensor:
    """Sum over levels of a loss that sees only the `rows` that learn, `(M, D)`.

    A loss with `reduction="mean"` divides by all the numbers of a level, learning or not.
    """
    weight = torch.ones_like(predicted)
    if loss.reduction == "mean":
        num_images = len(output["cls"])
        sizes = weight.new_tensor(output.layout.num_per_level) * num_images * predicted.shape[1]
        weight = weight / sizes[output.levels(rows), None]
    total: Tensor = loss(predicted, wanted, weight=weight, reduction_override="sum")
    return total
