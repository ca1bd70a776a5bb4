"""What all RoI heads share: stages that sample, pool, classify and refine regions, and masks of what was found."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from raydet.geometry import merge_aug_bboxes, merge_aug_masks
from raydet.heads.roi.regions import RegionTargets, join_rois, region_targets
from raydet.heads.settings import Prediction, RoITraining
from raydet.heads.views import as_meta, scale_of, to_view
from raydet.layers import BaseModule
from raydet.structures import Batch, Detections, GroundTruth, ImageMeta


@dataclass(frozen=True)
class RoIStage:
    """One step of a cascade. The parts are modules of the RoI head; a stage only says how they work together.

    Attributes:
        extractor: pools the features of regions.
        bbox_head: a `BBoxHead`.
        config: how the stage learns.
        assigner: matches proposals with ground truths; None without a training config.
        sampler: picks regions among them.
        mask_extractor: pools for the mask head; None shares the features of the box head.
        mask_head: a `FCNMaskHead`, or None.
        prefix: goes in front of the names of the stage's losses.
        weight: multiplies the stage's losses.
    """

    extractor: Any
    bbox_head: Any
    config: RoITraining
    assigner: Any = None
    sampler: Any = None
    mask_extractor: Any = None
    mask_head: Any = None
    prefix: str = ""
    weight: float = 1.0

    def weighed(self, losses: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The stage's losses under their final names; accuracies keep their value."""
        return {self.prefix + k: v * self.weight if "loss" in k and self.weight != 1 else v for k, v in losses.items()}


class BoxOutput(NamedTuple):
    """What the box head of a stage says of `R` regions, and the features that it saw."""

    cls_score: Tensor
    bbox_pred: Tensor | None
    feats: Tensor


class RoIHead(BaseModule, ABC):
    """A cascade of stages (arXiv:1712.00726); the standard head is a cascade of one.

    A subclass registers the modules under their 2.x names and lists its `stages`.

    Attributes:
        shared_head: runs on pooled features before the heads, or None.
        test_config: score threshold, suppression and mask threshold.
    """

    shared_head: nn.Module | None
    test_config: Prediction

    @property
    @abstractmethod
    def stages(self) -> Sequence[RoIStage]:
        """The steps of the cascade."""

    @property
    def num_classes(self) -> int:
        """`K`."""
        return int(self.stages[-1].bbox_head.num_classes)

    @property
    def with_shared_head(self) -> bool:
        return self.shared_head is not None

    @property
    def with_bbox(self) -> bool:
        return self.stages[-1].bbox_head is not None

    @property
    def with_mask(self) -> bool:
        return self.stages[-1].mask_head is not None

    # Running the parts of a stage

    def pool(self, extractor: Any, feats: Sequence[Tensor], rois: Tensor) -> Tensor:
        """Pooled features `(R, C, h, w)`, after the shared head if there is one."""
        pooled: Tensor = extractor(feats[: extractor.num_inputs], rois)
        return pooled if self.shared_head is None else self.shared_head(pooled)

    def run_boxes(self, stage: RoIStage, feats: Sequence[Tensor], rois: Tensor) -> BoxOutput:
        pooled = self.pool(stage.extractor, feats, rois)
        cls_score, bbox_pred = stage.bbox_head(pooled)
        return BoxOutput(cls_score, bbox_pred, pooled)

    def run_masks(self, stage: RoIStage, feats: Sequence[Tensor], rois: Tensor) -> Tensor:
        """Mask logits `(R, K or 1, h, w)`."""
        logits: Tensor = stage.mask_head(self.pool(stage.mask_extractor or stage.extractor, feats, rois))
        return logits

    # Training

    def loss(self, feats: Sequence[Tensor], proposals: Sequence[Tensor], batch: Batch) -> dict[str, Tensor]:
        """The losses of all stages; `proposals` are `(r, 4)` or `(r, 5)` tensors, one per image."""
        assert batch.truths is not None
        losses: dict[str, Tensor] = {}
        stages = self.stages
        for number, stage in enumerate(stages, 1):
            samples = self.sample(stage, feats, proposals, batch.truths)
            targets = region_targets(samples, stage.bbox_head.num_classes, stage.config.pos_weight)
            output = self.run_boxes(stage, feats, targets.rois)
            losses.update(stage.weighed(stage.bbox_head.loss(output.cls_score, output.bbox_pred, targets)))
            if stage.mask_head is not None:
                losses.update(stage.weighed(self.mask_loss(stage, feats, samples, targets, output, batch.truths)))
            if number < len(stages):
                assert output.bbox_pred is not None
                proposals = stage.bbox_head.refine_bboxes(
                    targets, samples, output.cls_score, output.bbox_pred, batch.metas
                )
        return losses

    def sample(
        self, stage: RoIStage, feats: Sequence[Tensor], proposals: Sequence[Tensor], truths: Sequence[GroundTruth]
    ) -> list[Any]:
        """One SamplingResult per image."""
        if stage.assigner is None:
            raise ValueError(
                "a RoI head learns with train_cfg.rcnn, which names its assigner and sampler; it is missing"
            )
        samples = []
        for image, (proposal, truth) in enumerate(zip(proposals, truths, strict=True)):
            boxes = proposal[:, :4]
            assigned = stage.assigner.assign(boxes, truth.boxes, truth.ignored, truth.labels)
            maps = [level[image : image + 1] for level in feats]
            samples.append(stage.sampler.sample(assigned, boxes, truth.boxes, truth.labels, feats=maps))
        return samples

    def mask_loss(
        self,
        stage: RoIStage,
        feats: Sequence[Tensor],
        samples: Sequence[Any],
        targets: RegionTargets,
        output: BoxOutput,
        truths: Sequence[GroundTruth],
    ) -> dict[str, Tensor]:
        """Only positives learn masks."""
        if stage.mask_extractor is None:
            logits = stage.mask_head(output.feats[targets.positive])
        else:
            logits = self.run_masks(stage, feats, targets.rois[targets.positive])
        wanted = stage.mask_head.get_targets(samples, [_masks(truth) for truth in truths], stage.config)
        losses: dict[str, Tensor] = stage.mask_head.loss(logits, wanted, targets.labels[targets.positive])
        return losses

    # Inference

    @torch.no_grad()
    def predict(
        self, feats: Sequence[Tensor], proposals: Sequence[Tensor], metas: Sequence[ImageMeta], rescale: bool = False
    ) -> list[Detections]:
        """Detections of every image, with masks if there is a mask head, on the original image when `rescale`."""
        head = self.stages[-1].bbox_head
        found = []
        for (boxes, scores), meta in zip(self.regress(feats, proposals, metas), metas, strict=True):
            if rescale:
                boxes = (boxes.view(-1, 4) / scale_of(meta, boxes)).view(boxes.shape)
            found.append(head.detect(boxes, scores, self.test_config))
        return self.add_masks(feats, found, metas, rescale) if self.with_mask else found

    def regress(
        self, feats: Sequence[Tensor], proposals: Sequence[Tensor], metas: Sequence[ImageMeta]
    ) -> list[tuple[Tensor, Tensor]]:
        """Boxes `(r, 4K)` or `(r, 4)` in pixels of the network input, and probabilities `(r, K + 1)`, per image.

        Each stage moves the regions for the next one; class logits are averaged over the stages.
        """
        counts = [len(each) for each in proposals]
        rois, stages = join_rois(proposals), self.stages
        logits: list[Tensor] = []
        for number, stage in enumerate(stages, 1):
            cls_score, bbox_pred, _ = self.run_boxes(stage, feats, rois)
            logits.append(cls_score)
            if number < len(stages):
                assert bbox_pred is not None
                columns = (rois, stage.bbox_head.best_labels(cls_score), bbox_pred)
                per_image = zip(*(torch.split(column, counts) for column in columns), metas, strict=True)
                rois = torch.cat([stage.bbox_head.regress_by_class(*row) for row in per_image])
        head = stages[-1].bbox_head
        scores = torch.split(head.probabilities(_mean(logits)), counts)
        codes = [None] * len(counts) if bbox_pred is None else torch.split(bbox_pred, counts)
        regions = torch.split(rois, counts)
        return [(head.decode(regions[n], codes[n], meta), scores[n]) for n, meta in enumerate(metas)]

    def mask_probabilities(self, feats: Sequence[Tensor], rois: Tensor) -> Tensor:
        """`(R, K or 1, h, w)`, averaged over the stages."""
        return _mean(
            [self.run_masks(stage, feats, rois).sigmoid() for stage in self.stages if stage.mask_head is not None]
        )

    def add_masks(
        self, feats: Sequence[Tensor], found: Sequence[Detections], metas: Sequence[ImageMeta], rescale: bool
    ) -> list[Detections]:
        """The detections with their masks; regions are pooled where the network saw them."""
        boxes = [
            each.boxes * scale_of(meta, each.boxes) if rescale else each.boxes
            for each, meta in zip(found, metas, strict=True)
        ]
        probabilities = torch.split(self.mask_probabilities(feats, join_rois(boxes)), [len(each) for each in found])
        return [
            self.paste(each, masks, _canvas(meta, rescale))
            for each, masks, meta in zip(found, probabilities, metas, strict=True)
        ]

    def paste(self, found: Detections, masks: Tensor, size: tuple[int, int]) -> Detections:
        """Detections of one image with masks `(D, height, width)` from probabilities on their boxes."""
        head = self.stages[-1].mask_head
        pasted = head.paste(masks, found.boxes, found.labels, size, self.test_config.mask_thr_binary)
        return replace(found, masks=pasted)

    # Test-time augmentation

    @torch.no_grad()
    def predict_augmented(
        self,
        feats: Sequence[Sequence[Tensor]],
        proposals: Tensor,
        metas: Sequence[ImageMeta],
        rescale: bool = False,
    ) -> Detections:
        """Detections of one image from several views of it.

        Every view regresses the same proposals `(r, 4)` or `(r, 5)`, which are in pixels of the original image; boxes,
        scores and masks are averaged. Masks always lie on the original image.
        """
        views = [
            self.regress(each, [to_view(proposals[:, :4], meta)], [meta])[0]
            for each, meta in zip(feats, metas, strict=True)
        ]
        dicts = [[as_meta(meta)] for meta in metas]
        boxes, scores = merge_aug_bboxes([view[0] for view in views], [view[1] for view in views], dicts)
        found: Detections = self.stages[-1].bbox_head.detect(boxes, scores, self.test_config)
        if self.with_mask:
            found = self.paste(found, self._augmented_masks(feats, found.boxes, metas), _canvas(metas[0], True))
        return found if rescale else found.enlarged(scale_of(metas[0], found.boxes))

    def _augmented_masks(self, feats: Sequence[Sequence[Tensor]], boxes: Tensor, metas: Sequence[ImageMeta]) -> Tensor:
        masks = [
            self.mask_probabilities(each, join_rois([to_view(boxes, meta)])).cpu().numpy()
            for each, meta in zip(feats, metas, strict=True)
        ]
        return boxes.new_tensor(merge_aug_masks(masks, [[as_meta(meta)] for meta in metas]))


def _mean(values: Sequence[Tensor]) -> Tensor:
    return values[0] if len(values) == 1 else torch.stack(list(values)).mean(dim=0)


def _masks(truth: GroundTruth) -> Any:
    if truth.masks is None:
        raise ValueError(
            "a mask head learns from gt_masks, which are missing: load them with LoadAnnotations(with_mask=True)"
        )
    return truth.masks


def _canvas(meta: ImageMeta, original: bool) -> tuple[int, int]:
    """Height and width of the masks of an image: its original size, or that size times the scale factor."""
    height, width = meta.ori_shape[:2]
    if original:
        return int(height), int(width)
    width_scale, height_scale = (float(each) for each in meta.scale_factor[:2])
    return round(height * height_scale), round(width * width_scale)
