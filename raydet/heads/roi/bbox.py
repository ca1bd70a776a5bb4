"""Class and box of a region."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from raydet.geometry import multiclass_nms, of_class
from raydet.heads.roi.regions import RegionTargets
from raydet.heads.settings import Prediction
from raydet.layers import BaseModule, ConvModule, ModuleList
from raydet.losses import accuracy
from raydet.registry import BBOX_CODERS, LAYERS, LOSSES
from raydet.structures import Detections, ImageMeta

BOX_CODER = {
    "type": "DeltaXYWHBBoxCoder",
    "clip_border": True,
    "target_means": [0.0, 0.0, 0.0, 0.0],
    "target_stds": [0.1, 0.1, 0.2, 0.2],
}
LOSS_CLS = {"type": "CrossEntropyLoss", "use_sigmoid": False, "loss_weight": 1.0}
LOSS_BBOX = {"type": "SmoothL1Loss", "beta": 1.0, "loss_weight": 1.0}
LINEAR = {"type": "Linear"}


class BBoxHead(BaseModule):
    """Convolutions and linear layers, shared or for one branch, before a classifier and a regressor.

    Shared convolutions, shared linear layers; then for each branch its convolutions, its linear layers and `fc_cls` or
    `fc_reg`.

    Args:
        with_avg_pool: average the features of a region instead of flattening them.
        with_cls: predict classes.
        with_reg: predict boxes.
        roi_feat_size: side or `(h, w)` of the pooled features.
        in_channels: of the pooled features.
        num_classes: `K`, without background.
        bbox_coder: part or dict.
        reg_class_agnostic: one box for all classes instead of one for each.
        reg_decoded_bbox: the box loss compares boxes instead of their codes (for IoU losses).
        reg_predictor_cfg: linear layer of the regressor.
        cls_predictor_cfg: linear layer of the classifier.
        loss_cls: part or dict; one with `custom_cls_channels` decides about the classifier's outputs, one with
            `custom_activation` about their meaning.
        loss_bbox: part or dict.
        num_shared_convs: depth, and so on.
        num_shared_fcs: needs no convolutions in the branches behind it.
        num_cls_convs: depth.
        num_cls_fcs: depth.
        num_reg_convs: depth.
        num_reg_fcs: depth.
        conv_out_channels: of the convolutions.
        fc_out_channels: of the linear layers.
        conv_cfg: convolution.
        norm_cfg: normalisation of the convolutions; None for none.
        init_cfg: weight initialisation.

    Raises:
        ValueError: impossible combination of layers.
    """

    def __init__(
        self,
        with_avg_pool: bool = False,
        with_cls: bool = True,
        with_reg: bool = True,
        roi_feat_size: int | tuple[int, int] = 7,
        in_channels: int = 256,
        num_classes: int = 80,
        bbox_coder: Any = BOX_CODER,
        reg_class_agnostic: bool = False,
        reg_decoded_bbox: bool = False,
        reg_predictor_cfg: Mapping[str, Any] = LINEAR,
        cls_predictor_cfg: Mapping[str, Any] = LINEAR,
        loss_cls: Any = LOSS_CLS,
        loss_bbox: Any = LOSS_BBOX,
        init_cfg: Any = None,
        num_shared_convs: int = 0,
        num_shared_fcs: int = 0,
        num_cls_convs: int = 0,
        num_cls_fcs: int = 0,
        num_reg_convs: int = 0,
        num_reg_fcs: int = 0,
        conv_out_channels: int = 256,
        fc_out_channels: int = 1024,
        conv_cfg: Any = None,
        norm_cfg: Any = None,
    ) -> None:
        super().__init__(_initialisation(with_cls, with_reg) if init_cfg is None else init_cfg)
        if not with_cls and not with_reg:
            raise ValueError("a box head needs with_cls or with_reg, both are False")
        if num_shared_fcs and (num_cls_convs or num_reg_convs):
            raise ValueError("num_cls_convs and num_reg_convs must be 0 behind shared linear layers (num_shared_fcs)")
        if (not with_cls and num_cls_convs + num_cls_fcs) or (not with_reg and num_reg_convs + num_reg_fcs):
            raise ValueError("layers of a branch that is switched off (with_cls or with_reg) must number 0")
        self.with_avg_pool = with_avg_pool
        self.with_cls = with_cls
        self.with_reg = with_reg
        self.roi_feat_size = (roi_feat_size, roi_feat_size) if isinstance(roi_feat_size, int) else roi_feat_size
        self.in_channels = in_channels
        self.num_classes = num_classes
        self.reg_class_agnostic = reg_class_agnostic
        self.reg_decoded_bbox = reg_decoded_bbox
        self.conv_out_channels = conv_out_channels
        self.fc_out_channels = fc_out_channels
        self.conv_cfg = conv_cfg
        self.norm_cfg = norm_cfg
        self.bbox_coder = BBOX_CODERS.build(bbox_coder)
        self.loss_cls = LOSSES.build(loss_cls)
        self.loss_bbox = LOSSES.build(loss_bbox)
        self._build_layers(
            (num_shared_convs, num_shared_fcs),
            (num_cls_convs, num_cls_fcs),
            (num_reg_convs, num_reg_fcs),
            cls_predictor_cfg,
            reg_predictor_cfg,
        )

    # Layers

    def _build_layers(
        self, shared: tuple[int, int], cls: tuple[int, int], reg: tuple[int, int], cls_cfg: Any, reg_cfg: Any
    ) -> None:
        area = 1 if self.with_avg_pool else self.roi_feat_size[0] * self.roi_feat_size[1]
        channels, flat = self.in_channels, False
        self._flat_after_shared = shared[1] > 0
        branches = {}
        for name, (num_convs, num_fcs) in {"shared": shared, "cls": cls, "reg": reg}.items():
            convs = [self._conv(channels if i == 0 else self.conv_out_channels) for i in range(num_convs)]
            width = self.conv_out_channels if num_convs else channels
            first = width if flat else width * area
            fcs = [nn.Linear(self.fc_out_channels if i else first, self.fc_out_channels) for i in range(num_fcs)]
            branches[name] = (convs, fcs, self.fc_out_channels if num_fcs else first)
            if name == "shared":
                channels, flat = (self.fc_out_channels, True) if num_fcs else (width, False)
        if self.with_cls:
            features = {"in_features": branches["cls"][2], "out_features": self.cls_channels}
            self.fc_cls = LAYERS.build({**cls_cfg, **features})
        if self.with_reg:
            outputs = 4 if self.reg_class_agnostic else 4 * self.num_classes
            self.fc_reg = LAYERS.build({**reg_cfg, "in_features": branches["reg"][2], "out_features": outputs})
        for name, (convs, fcs, _) in branches.items():
            self.add_module(f"{name}_convs", ModuleList(convs))
            self.add_module(f"{name}_fcs", ModuleList(fcs))

    def _conv(self, in_channels: int) -> ConvModule:
        return ConvModule(
            in_channels, self.conv_out_channels, 3, padding=1, conv_cfg=self.conv_cfg, norm_cfg=self.norm_cfg
        )

    @property
    def cls_channels(self) -> int:
        """Outputs of the classifier."""
        if getattr(self.loss_cls, "custom_cls_channels", False):
            return int(self.loss_cls.get_cls_channels(self.num_classes))
        return self.num_classes + 1

    def forward(self, x: Tensor) -> tuple[Tensor | None, Tensor | None]:
        """Pooled features `(R, C, h, w)` to class logits `(R, K + 1)` and box codes `(R, 4K)` or `(R, 4)`."""
        x = self._run("shared", x, flatten=self._flat_after_shared)
        cls_score = self.fc_cls(self._run("cls", x)) if self.with_cls else None
        bbox_pred = self.fc_reg(self._run("reg", x)) if self.with_reg else None
        return _full_precision(cls_score), _full_precision(bbox_pred)

    def _run(self, branch: str, x: Tensor, flatten: bool = True) -> Tensor:
        for conv in getattr(self, f"{branch}_convs"):
            x = conv(x)
        if flatten and x.ndim > 2:
            x = x.mean(dim=(2, 3)) if self.with_avg_pool else x.flatten(1)
        for fc in getattr(self, f"{branch}_fcs"):
            x = fc(x).relu()
        return x

    # Training

    def loss(self, cls_score: Tensor | None, bbox_pred: Tensor | None, targets: RegionTargets) -> dict[str, Tensor]:
        """Losses of the sampled regions and the accuracy in percent."""
        losses = {} if cls_score is None else self._class_losses(cls_score, targets)
        if bbox_pred is not None:
            losses["loss_bbox"] = self._box_loss(bbox_pred, targets)
        return losses

    def _class_losses(self, cls_score: Tensor, targets: RegionTargets) -> dict[str, Tensor]:
        # All sampled regions have a positive weight, so their number is known without asking the device.
        num_regions = float(max(len(targets.rois), 1))
        if len(targets.rois) == 0:
            return {"loss_cls": cls_score.sum(), "acc": cls_score.new_zeros(1)}
        loss = self.loss_cls(cls_score, targets.labels, targets.label_weights, avg_factor=num_regions)
        losses = dict(loss) if isinstance(loss, Mapping) else {"loss_cls": loss}
        if getattr(self.loss_cls, "custom_activation", False):
            return {**losses, **self.loss_cls.get_accuracy(cls_score, targets.labels)}
        return {**losses, "acc": accuracy(cls_score, targets.labels)}

    def _box_loss(self, bbox_pred: Tensor, targets: RegionTargets) -> Tensor:
        positive = targets.positive
        predicted = of_class(bbox_pred[positive], targets.labels[positive])
        if len(positive) == 0:
            return predicted.sum()
        regions = targets.rois[positive, 1:]
        if self.reg_decoded_bbox:
            predicted, wanted = self.bbox_coder.decode(regions, predicted), targets.boxes
        else:
            wanted = self.bbox_coder.encode(regions, targets.boxes)
        # Divided by all sampled regions, not by the positives.
        loss: Tensor = self.loss_bbox(predicted, wanted, torch.ones_like(wanted), avg_factor=float(len(targets.rois)))
        return loss

    # Inference

    def probabilities(self, cls_score: Tensor) -> Tensor:
        """`(R, K + 1)` probabilities, the background last."""
        if getattr(self.loss_cls, "custom_activation", False):
            scores: Tensor = self.loss_cls.get_activation(cls_score)
            return scores
        return cls_score.softmax(-1)

    def decode(self, rois: Tensor, bbox_pred: Tensor | None, meta: ImageMeta) -> Tensor:
        """`(R, 4K)` or `(R, 4)` boxes of the regions of one image, clipped to it."""
        if bbox_pred is not None:
            boxes: Tensor = self.bbox_coder.decode(rois[:, 1:], bbox_pred, max_shape=meta.img_shape[:2])
            return boxes
        height, width = meta.img_shape[:2]
        return rois[:, 1:].clamp(min=0).minimum(rois.new_tensor([width, height, width, height]))

    def detect(self, boxes: Tensor, scores: Tensor, config: Prediction) -> Detections:
        """Suppress boxes `(R, 4K)` or `(R, 4)` of probabilities `(R, K + 1)` within each class."""
        dets, labels = multiclass_nms(boxes, scores, config.score_thr, config.nms, config.max_per_img)
        return Detections(dets[:, :4], dets[:, 4], labels)

    # Cascades

    @torch.no_grad()
    def best_labels(self, cls_score: Tensor) -> Tensor:
        """`(R,)` most probable class, background left out."""
        return self.probabilities(cls_score)[:, :-1].argmax(dim=1)

    def regress_by_class(self, rois: Tensor, labels: Tensor, bbox_pred: Tensor, meta: ImageMeta) -> Tensor:
        """RoIs `(R, 5)` of one image moved to where the regressor of each one's class sees the object."""
        return torch.cat([rois[:, :1], self.decode(rois, of_class(bbox_pred, labels), meta)], dim=1)

    @torch.no_grad()
    def refine_bboxes(
        self,
        targets: RegionTargets,
        samples: Sequence[Any],
        cls_score: Tensor,
        bbox_pred: Tensor,
        metas: Sequence[ImageMeta],
    ) -> list[Tensor]:
        """Proposals `(r, 4)` of each image for the next stage; ground truths among the samples do not go on."""
        background = targets.labels == self.num_classes
        labels = torch.where(background, self.best_labels(cls_score), targets.labels)
        columns = zip(*(torch.split(each, targets.counts) for each in (targets.rois, labels, bbox_pred)), strict=True)
        refined = []
        for (rois, label, codes), sample, meta in zip(columns, samples, metas, strict=True):
            moved = self.regress_by_class(rois, label, codes, meta)[:, 1:]
            keep = torch.ones(len(rois), dtype=torch.bool, device=rois.device)
            keep[: len(sample.pos_is_gt)] = sample.pos_is_gt == 0
            refined.append(moved[keep])
        return refined


ConvFCBBoxHead = BBoxHead


class Shared2FCBBoxHead(BBoxHead):
    """Two shared linear layers."""

    def __init__(self, fc_out_channels: int = 1024, **kwargs: Any) -> None:
        super().__init__(num_shared_fcs=2, fc_out_channels=fc_out_channels, **kwargs)


class Shared4Conv1FCBBoxHead(BBoxHead):
    """Four shared convolutions and a shared linear layer."""

    def __init__(self, fc_out_channels: int = 1024, **kwargs: Any) -> None:
        super().__init__(num_shared_convs=4, num_shared_fcs=1, fc_out_channels=fc_out_channels, **kwargs)


def _initialisation(with_cls: bool, with_reg: bool) -> list[dict[str, Any]]:
    fcs = [{"name": f"{branch}_fcs"} for branch in ("shared", "cls", "reg")]
    return [
        *([{"type": "Normal", "std": 0.01, "override": {"name": "fc_cls"}}] if with_cls else []),
        *([{"type": "Normal", "std": 0.001, "override": {"name": "fc_reg"}}] if with_reg else []),
        {"type": "Xavier", "distribution": "uniform", "override": fcs},
    ]


def _full_precision(x: Tensor | None) -> Tensor | None:
    return x.float() if x is not None and x.dtype in (torch.float16, torch.bfloat16) else x
