"""The boundary between 2.x calls and typed batches and results. No other module knows of it."""

from __future__ import annotations

import importlib
import warnings
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from raydet.detectors.losses import parse_losses
from raydet.layers import BaseModule, Sequential
from raydet.registry import BACKBONES, NECKS
from raydet.structures import Batch, Detections, GroundTruth, ImageMeta

Metas = Sequence[Mapping[str, Any]]


class BaseDetector(BaseModule, ABC):
    """A backbone, an optional neck and what a subclass adds.

    A subclass implements `loss`, `predict` and, where it makes sense, `predict_augmented`.

    Args:
        backbone: part or dict.
        neck: part or dict, a list of those that follow each other, or None.
        pretrained: deprecated: checkpoint of the backbone; use its `init_cfg`.
        init_cfg: weight initialisation.

    Attributes:
        CLASSES: names of the classes, set by whoever trains or loads the model.
        PALETTE: colours of the classes.
    """

    CLASSES: Sequence[str] | None = None
    PALETTE: Any = None
    neck: nn.Module | None

    def __init__(self, backbone: Any, neck: Any = None, pretrained: str | None = None, init_cfg: Any = None) -> None:
        super().__init__(init_cfg)
        if pretrained is not None:
            warnings.warn("pretrained is deprecated, use init_cfg of the backbone", DeprecationWarning)
            backbone = {**backbone, "pretrained": pretrained}
        self.backbone = BACKBONES.build(backbone)
        self.neck = _build_neck(neck)

    # What a detector is

    @property
    @abstractmethod
    def num_classes(self) -> int:
        """`K`."""

    @abstractmethod
    def loss(self, batch: Batch) -> dict[str, Tensor]:
        """Losses of a batch with ground truth."""

    @abstractmethod
    def predict(self, batch: Batch, rescale: bool) -> list[Detections]:
        """Detections of every image, on the original image when `rescale`."""

    def predict_augmented(self, batches: Sequence[Batch], rescale: bool) -> Detections:
        """Detections of one image from several views of it."""
        raise NotImplementedError(f"{type(self).__name__} has no test-time augmentation; use one scale without flip")

    def features(self, images: Tensor) -> tuple[Tensor, ...]:
        """Feature maps of images `(N, 3, H, W)`, finest first."""
        maps = self.backbone(images)
        return tuple(maps if self.neck is None else self.neck(maps))

    def to_result(self, found: Detections) -> Any:
        """The 2.x result of one image: `K` box arrays, with masks a pair of boxes and masks."""
        boxes = found.boxes_per_class(self.num_classes)
        if found.masks is None:
            return boxes
        masks = found.masks_per_class(self.num_classes)
        if found.mask_scores is None:
            return boxes, masks
        return boxes, (masks, found.mask_scores_per_class(self.num_classes))

    # 2.x calls

    @property
    def with_neck(self) -> bool:
        return self.neck is not None

    @property
    def with_shared_head(self) -> bool:
        return bool(getattr(getattr(self, "roi_head", None), "with_shared_head", False))

    @property
    def with_bbox(self) -> bool:
        return getattr(self, "bbox_head", None) is not None or self._roi_head_has("with_bbox")

    @property
    def with_mask(self) -> bool:
        return getattr(self, "mask_head", None) is not None or self._roi_head_has("with_mask")

    def _roi_head_has(self, what: str) -> bool:
        return bool(getattr(getattr(self, "roi_head", None), what, False))

    def extract_feat(self, img: Tensor) -> tuple[Tensor, ...]:
        """Feature maps of images `(N, 3, H, W)`."""
        return self.features(img)

    def extract_feats(self, imgs: Sequence[Tensor]) -> list[tuple[Tensor, ...]]:
        """Feature maps of several batches."""
        return [self.features(img) for img in imgs]

    def forward(self, img: Any, img_metas: Any, return_loss: bool = True, **kwargs: Any) -> Any:
        """Losses of a training batch, or results of test images.

        Args:
            img: `(N, 3, H, W)` in training; a list of such tensors, one per augmentation, in testing.
            img_metas: list of `N` dicts, or a list of such lists.
            return_loss: training or testing.
            **kwargs: see `forward_train` and `forward_test`.
        """
        if return_loss:
            return self.forward_train(img, img_metas, **kwargs)
        return self.forward_test(img, img_metas, **kwargs)

    def forward_train(
        self,
        img: Tensor,
        img_metas: Metas,
        gt_bboxes: Sequence[Tensor],
        gt_labels: Sequence[Tensor] | None = None,
        gt_bboxes_ignore: Sequence[Tensor | None] | None = None,
        gt_masks: Sequence[Any] | None = None,
        proposals: Sequence[Tensor] | None = None,
        gt_semantic_seg: Tensor | None = None,
    ) -> dict[str, Tensor]:
        """Losses from the 2.x training arguments, one entry per image in each."""
        given = {"gt_labels": gt_labels, "gt_bboxes_ignore": gt_bboxes_ignore, "gt_masks": gt_masks}
        columns = {"gt_bboxes": gt_bboxes, **{k: [None] * len(img) if v is None else v for k, v in given.items()}}
        for name, column in {"img_metas": img_metas, **columns}.items():
            if len(column) != len(img):
                raise ValueError(f"a batch of {len(img)} images needs as many {name}, got {len(column)}")
        truths = [
            GroundTruth(boxes, _of_class_0(boxes) if labels is None else labels, masks, ignored)
            for boxes, labels, ignored, masks in zip(*columns.values(), strict=True)
        ]
        return self.loss(Batch(img, _metas(img, img_metas), truths, proposals, gt_semantic_seg))

    def forward_test(
        self, imgs: Sequence[Tensor], img_metas: Sequence[Metas], rescale: bool = False, proposals: Any = None
    ) -> list[Any]:
        """Results from lists over augmentations: one gives `simple_test`, several give `aug_test` of one image."""
        for name, value in (("img", imgs), ("img_metas", img_metas)):
            if not isinstance(value, (list, tuple)):
                raise TypeError(f"{name} must be a list, one entry per augmentation, got {type(value).__name__}")
        if len(imgs) != len(img_metas):
            raise ValueError(f"got {len(imgs)} augmented images but {len(img_metas)} lists of img_metas")
        if len(imgs) == 1:
            return self.simple_test(imgs[0], img_metas[0], rescale, None if proposals is None else proposals[0])
        if len(imgs[0]) != 1:
            raise ValueError(f"test-time augmentation takes one image at a time, got a batch of {len(imgs[0])}")
        return self.aug_test(imgs, img_metas, rescale, proposals)

    @torch.no_grad()
    def simple_test(
        self, img: Tensor, img_metas: Metas, rescale: bool = False, proposals: Sequence[Tensor] | None = None
    ) -> list[Any]:
        """Results of a batch of images."""
        found = self.predict(Batch(img, _metas(img, img_metas), proposals=proposals), rescale)
        return [self.to_result(each) for each in found]

    @torch.no_grad()
    def aug_test(
        self,
        imgs: Sequence[Tensor],
        img_metas: Sequence[Metas],
        rescale: bool = False,
        proposals: Sequence[Sequence[Tensor]] | None = None,
    ) -> list[Any]:
        """The result of one image from several views of it."""
        per_view = [None] * len(imgs) if proposals is None else proposals
        batches = [
            Batch(img, _metas(img, metas), proposals=boxes)
            for img, metas, boxes in zip(imgs, img_metas, per_view, strict=True)
        ]
        return [self.to_result(self.predict_augmented(batches, rescale))]

    def forward_dummy(self, img: Tensor) -> Any:
        """Feature maps, for counting operations; a subclass adds what its heads predict."""
        return self.features(img)

    def train_step(self, data: Mapping[str, Any], optimizer: Any = None) -> dict[str, Any]:
        """Losses of one iteration: `loss` to minimise, `log_vars` averaged over the ranks, `num_samples`."""
        loss, log_vars = parse_losses(self(**data))
        return {"loss": loss, "log_vars": log_vars, "num_samples": len(data["img_metas"])}

    def val_step(self, data: Mapping[str, Any], optimizer: Any = None) -> dict[str, Any]:
        """As `train_step`; names in `log_vars` end with `_val`."""
        step = self.train_step(data, optimizer)
        return {**step, "log_vars": {f"{name}_val": value for name, value in step["log_vars"].items()}}

    def show_result(self, img: Any, result: Any, **options: Any) -> Any:
        """Draw a 2.x result on an image; see `raydet.visualization.show_result`, which stands on a higher floor."""
        draw = importlib.import_module("raydet.visualization").show_result
        return draw(self, img, result, **options)


def _build_neck(neck: Any) -> nn.Module | None:
    if isinstance(neck, (list, tuple)):
        return Sequential(*(NECKS.build(each) for each in neck))
    return None if neck is None else NECKS.build(neck)


def _of_class_0(boxes: Tensor) -> Tensor:
    return boxes.new_zeros(len(boxes), dtype=torch.long)


def _metas(images: Tensor, metas: Metas) -> list[ImageMeta]:
    height, width = images.shape[-2:]
    return [ImageMeta.from_dict({**meta, "batch_input_shape": (height, width)}) for meta in metas]
