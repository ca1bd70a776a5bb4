"""What all dense heads share: towers, predictors, the flat axis R, targets and losses.

Longer than a head should be, since it is what some forty heads need not say: one class, whose methods are the stages of
a step in their order.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from raydet.assignment.ascend import AscendMaxIoUAssigner
from raydet.assignment.static_targets import static_targets
from raydet.assignment.targets import DenseTargets, assign_targets
from raydet.geometry import anchor_inside_flags
from raydet.heads.dense.layout import LevelLayout, flatten_levels
from raydet.heads.dense.loss_levels import apply_loss
from raydet.heads.dense.output import DenseOutput, Predictor
from raydet.heads.dense.prediction import DensePrediction
from raydet.heads.dense.towers import conv_tower
from raydet.heads.settings import DenseTraining, Prediction, build_assigner_and_sampler, samples
from raydet.layers import BaseModule, Scale
from raydet.registry import BBOX_CODERS, LOSSES, PRIOR_GENERATORS
from raydet.structures import Batch, GroundTruth, ImageMeta

ANCHORS = {
    "type": "AnchorGenerator",
    "scales": [8, 16, 32],
    "ratios": [0.5, 1.0, 2.0],
    "strides": [4, 8, 16, 32, 64],
}
BOX_CODER = {
    "type": "DeltaXYWHBBoxCoder",
    "clip_border": True,
    "target_means": (0.0, 0.0, 0.0, 0.0),
    "target_stds": (1.0, 1.0, 1.0, 1.0),
}
LOSS_CLS = {"type": "CrossEntropyLoss", "use_sigmoid": True, "loss_weight": 1.0}
LOSS_BBOX = {"type": "SmoothL1Loss", "beta": 1.0 / 9.0, "loss_weight": 1.0}
INIT = {"type": "Normal", "layer": "Conv2d", "std": 0.01}


class DenseHead(DensePrediction, BaseModule, ABC):
    """A head that predicts at every cell of every feature map.

    A subclass states its `towers` and `predictors` and, where it differs, `assign`, `losses`, `scores`,
    `score_factors` or `decode`. Everything after the convolutions works on `(N, R, D)`. The constructor here builds the
    layers, so a subclass sets what its `towers` and `predictors` read before it calls it.

    Args:
        num_classes: `K`, without background.
        in_channels: of the feature maps.
        feat_channels: of the towers.
        stacked_convs: depth of the two towers `cls_convs` and `reg_convs`; 0 for none.
        conv_cfg: convolution of the towers.
        norm_cfg: normalisation of the towers; None for none.
        anchor_generator: priors, part or dict: anchors or points.
        bbox_coder: part or dict.
        reg_decoded_bbox: the box loss compares boxes instead of their codes (for IoU losses).
        loss_cls: part or dict; `use_sigmoid` decides between sigmoid and softmax with a background column.
        loss_bbox: part or dict.
        train_cfg: `assigner`, `sampler`, `allowed_border`, `pos_weight`.
        test_cfg: `nms_pre`, `score_thr`, `nms`, `max_per_img`.
        init_cfg: weight initialisation.

    Attributes:
        learns_in_padding: priors in the padding of a batch learn (background), too.

    Raises:
        ValueError: `num_classes` is too small.
    """

    learns_in_padding = False

    def __init__(
        self,
        num_classes: int,
        in_channels: int,
        feat_channels: int = 256,
        stacked_convs: int = 0,
        conv_cfg: Any = None,
        norm_cfg: Any = None,
        anchor_generator: Any = ANCHORS,
        bbox_coder: Any = BOX_CODER,
        reg_decoded_bbox: bool = False,
        loss_cls: Any = LOSS_CLS,
        loss_bbox: Any = LOSS_BBOX,
        train_cfg: Mapping[str, Any] | None = None,
        test_cfg: Mapping[str, Any] | None = None,
        init_cfg: Any = INIT,
    ) -> None:
        super().__init__(init_cfg)
        if num_classes < 1:
            raise ValueError(f"num_classes must be at least 1, got {num_classes!r}")
        self.num_classes = num_classes
        self.in_channels = in_channels
        self.feat_channels = feat_channels
        self.stacked_convs = stacked_convs
        self.conv_cfg = conv_cfg
        self.norm_cfg = norm_cfg
        self.reg_decoded_bbox = reg_decoded_bbox
        self.prior_generator = PRIOR_GENERATORS.build(anchor_generator)
        self.bbox_coder = BBOX_CODERS.build(bbox_coder)
        self.loss_cls = LOSSES.build(loss_cls)
        self.loss_bbox = LOSSES.build(loss_bbox)
        self.use_sigmoid_cls: bool = getattr(self.loss_cls, "use_sigmoid", False)
        self.cls_out_channels = num_classes if self.use_sigmoid_cls else num_classes + 1
        self.training_config = DenseTraining.read(train_cfg)
        self.test_config = Prediction.read(test_cfg)
        self.sampling = samples(self.training_config, self.loss_cls)
        self.assigner, self.sampler = build_assigner_and_sampler(
            self.training_config if self.sampling else replace(self.training_config, sampler=None)
        )
        self._build_layers()

    # Layers

    @property
    def num_base_priors(self) -> int:
        """`A`, the priors of one cell."""
        return int(self.prior_generator.num_base_priors[0])

    def towers(self) -> dict[str, nn.Module]:
        """The shared convolutions before the predictors, by attribute name."""
        return {
            name: conv_tower(self.stacked_convs, self.in_channels, self.feat_channels, self.conv_cfg, self.norm_cfg)
            for name in ("cls_convs", "reg_convs")
        }

    @abstractmethod
    def predictors(self) -> tuple[Predictor, ...]:
        """The outputs of the head, in the order in which `forward` returns them."""

    def _build_layers(self) -> None:
        for name, tower in self.towers().items():
            self.add_module(name, tower)
        self._predictors = self.predictors()
        levels = range(self.prior_generator.num_levels)
        for predictor in self._predictors:
            own = [self.build_predictor(predictor, level) for level in (levels if predictor.per_level else [0])]
            self.add_module(predictor.key, nn.ModuleList(own) if predictor.per_level else own[0])
        if any(predictor.scaled for predictor in self._predictors):
            self.scales = nn.ModuleList(Scale(1.0) for _ in levels)

    def build_predictor(self, predictor: Predictor, level: int) -> nn.Module:
        """The convolution to one output; `level` is the one it is for when it is `per_level`."""
        channels = self.feat_channels if predictor.tower else self.in_channels
        out_channels = self.prior_generator.num_base_priors[level] * predictor.dims
        return nn.Conv2d(channels, out_channels, predictor.kernel, padding=predictor.kernel // 2)

    def run_tower(self, name: str, feature: Tensor, level: int) -> Tensor:
        """Output of one tower on one level; a tower that is a list has an entry per level."""
        output: Tensor = _at_level(getattr(self, name), level)(feature)
        return output

    def forward_level(self, feature: Tensor, level: int) -> tuple[Tensor, ...]:
        """Raw maps `(N, A*D, H, W)` of one level, one per predictor."""
        needed = dict.fromkeys(p.tower for p in self._predictors)
        bases = {name: self.run_tower(name, feature, level) if name else feature for name in needed}
        maps = (_at_level(getattr(self, p.key), level)(bases[p.tower]) for p in self._predictors)
        return tuple(
            self.scales[level](value).float() if p.scaled else value
            for p, value in zip(self._predictors, maps, strict=True)
        )

    def forward(self, feats: Sequence[Tensor]) -> tuple[list[Tensor], ...]:
        """Raw maps: for each predictor, a list over levels."""
        levels = [self.forward_level(feature, level) for level, feature in enumerate(feats)]
        return tuple(list(maps) for maps in zip(*levels, strict=True))

    # The flat axis

    def outputs(self, feats: Sequence[Tensor]) -> DenseOutput:
        """Run the head and flatten what it predicts."""
        return self.flatten(self(feats))

    def flatten(self, maps: tuple[list[Tensor], ...]) -> DenseOutput:
        """Raw maps of `forward` to predictions on the flat axis, with their priors."""
        layout = LevelLayout.of(maps[0], self.prior_generator.num_base_priors)
        values = {
            predictor.role: flatten_levels(levels, predictor.dims)
            for predictor, levels in zip(self._predictors, maps, strict=True)
        }
        first = next(iter(values.values()))
        grids = self.prior_generator.grid_priors(list(layout.sizes), dtype=first.dtype, device=first.device)
        return DenseOutput(values, torch.cat(grids), layout)

    def prior_strides(self, output: DenseOutput) -> Tensor:
        """`(R,)` pixels per cell at the level of each prior, of square cells."""
        strides = output.priors.new_tensor([stride[0] for stride in self.prior_generator.strides])
        return strides[output.layout.level_of(strides.device)]

    # Training

    def loss(self, feats: Sequence[Tensor], batch: Batch) -> dict[str, Tensor]:
        """The losses of a batch with ground truth."""
        return self.batch_losses(self.outputs(feats), batch)

    def batch_losses(self, output: DenseOutput, batch: Batch) -> dict[str, Tensor]:
        """Named losses from predictions and ground truth."""
        return self.losses(output, self.targets(output, batch))

    def targets(self, output: DenseOutput, batch: Batch) -> DenseTargets:
        """What every prior shall predict."""
        return self.targets_by(self.assign, output, batch)

    def targets_by(self, assign: Callable[..., Any], output: DenseOutput, batch: Batch) -> DenseTargets:
        """What every prior shall predict when `assign` matches; its arguments are those of the head's own."""
        assert batch.truths is not None
        inside = self.inside(output, batch.metas)
        if isinstance(self.assigner, AscendMaxIoUAssigner):
            options = (self.num_classes, inside, self.training_config.pos_weight)
            return static_targets(output.priors, batch.truths, self.assigner, *options)
        return assign_targets(
            output.priors,
            batch.truths,
            partial(assign, output, inside),
            self.sampler,
            self.num_classes,
            inside,
            self.training_config.pos_weight,
        )

    def inside(self, output: DenseOutput, metas: Sequence[ImageMeta]) -> list[Tensor | None]:
        """Per image, a bool mask `(R,)` of the priors that may learn: not in the padding, not far over the border."""
        valid = self.valid_priors(output, metas)
        border = self.training_config.allowed_border
        return [
            anchor_inside_flags(output.image_priors(n), valid[n], meta.img_shape, border)
            for n, meta in enumerate(metas)
        ]

    def valid_priors(self, output: DenseOutput, metas: Sequence[ImageMeta]) -> list[Tensor | None]:
        """Per image, a bool mask `(R,)` of the priors outside the batch padding, or None when all may learn."""
        if self.learns_in_padding:
            return [None] * len(metas)
        sizes = output.layout.sizes
        device = output.priors.device
        return [
            None
            if self._fills(meta.pad_shape, sizes)
            else torch.cat(self.prior_generator.valid_flags(list(sizes), meta.pad_shape, device=device))
            for meta in metas
        ]

    def _fills(self, shape: Sequence[int], sizes: Sequence[tuple[int, int]]) -> bool:
        """Whether an image padded to `shape` reaches the last row and column of every feature map."""
        return all(
            -(-shape[0] // stride_h) >= h and -(-shape[1] // stride_w) >= w
            for (stride_w, stride_h), (h, w) in zip(self.prior_generator.strides, sizes, strict=True)
        )

    def assign(
        self, output: DenseOutput, inside: Sequence[Tensor | None], image: int, priors: Tensor, truth: GroundTruth
    ) -> Any:
        """Match the `priors` of one image (those `inside`) with its ground truths: an AssignResult."""
        return self.assigner.assign(priors, truth.boxes, truth.ignored, truth.labels)

    def losses(self, output: DenseOutput, targets: DenseTargets) -> dict[str, Tensor]:
        """Named losses from predictions and targets."""
        count = float(targets.num_pos + targets.num_neg if self.sampling else targets.num_pos)
        return {
            "loss_cls": self.class_loss(output, targets, count),
            "loss_bbox": self.box_loss(output, targets, count),
        }

    def class_loss(self, output: DenseOutput, targets: DenseTargets, avg_factor: float | Tensor) -> Tensor:
        """Classification loss; of the sampled priors alone when the head draws samples."""
        columns = (output["cls"].flatten(0, 1), targets.labels.flatten(), targets.label_weights.flatten())
        rows = None
        if self.sampling:
            rows = targets.sampled
            columns = tuple(column[rows] for column in columns)  # type: ignore[assignment]
        return apply_loss(self.loss_cls, columns, avg_factor, output, rows)

    def box_loss(
        self, output: DenseOutput, targets: DenseTargets, avg_factor: float | Tensor, weight: Tensor | None = None
    ) -> Tensor:
        """Regression loss of the positives, weighed by `(P,)`, on codes or on decoded boxes."""
        predicted, wanted = self.box_pairs(output, targets)
        if len(predicted) == 0:
            return predicted.sum()
        weight = targets.box_weights if weight is None else weight
        columns = (predicted, wanted, torch.ones_like(wanted) if weight is None else weight[:, None].expand_as(wanted))
        return apply_loss(self.loss_bbox, columns, avg_factor, output, targets.positive)

    def box_pairs(self, output: DenseOutput, targets: DenseTargets) -> tuple[Tensor, Tensor]:
        """What the regression loss compares, `(P, 4)` each: codes, or decoded boxes."""
        predicted = output.rows("box", targets.positive)
        if self.reg_decoded_bbox:
            return self.bbox_coder.decode(targets.priors, predicted), targets.boxes
        return predicted, self.bbox_coder.encode(targets.priors, targets.boxes)


def _at_level(module: nn.Module, level: int) -> nn.Module:
    return module[level] if isinstance(module, nn.ModuleList) else module
