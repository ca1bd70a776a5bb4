"""Dense heads whose predictions are proposals."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import torch
from raydet_ops import batched_nms
from torch import Tensor

from raydet.assignment.targets import DenseTargets
from raydet.geometry import merge_aug_proposals
from raydet.heads.dense.output import DenseOutput
from raydet.heads.settings import Prediction
from raydet.heads.views import as_meta, scale_of, to_view
from raydet.structures import Batch, Detections, ImageMeta


class ProposalResults:
    """Proposals as results, from one view of an image or several: mix it in where there are `proposals`."""

    test_config: Prediction
    proposals: Callable[[Sequence[Tensor], Sequence[ImageMeta]], list[Tensor]]

    def predict(self, feats: Sequence[Tensor], metas: Sequence[ImageMeta], rescale: bool = False) -> list[Detections]:
        """Proposals of every image as detections of class 0, in pixels of the original image when `rescale`."""
        found = [_as_detections(each) for each in self.proposals(feats, metas)]
        if not rescale:
            return found
        return [each.reduced(scale_of(meta, each.boxes)) for each, meta in zip(found, metas, strict=True)]

    @torch.no_grad()
    def proposals_augmented(self, feats: Sequence[Sequence[Tensor]], metas: Sequence[ImageMeta]) -> Tensor:
        """Proposals `(r, 5)` of one image from several views of it, in pixels of the original image."""
        views = [self.proposals(f, [meta])[0] for f, meta in zip(feats, metas, strict=True)]
        options = {"nms": self.test_config.nms, "max_per_img": self.test_config.max_per_img}
        return merge_aug_proposals(views, [as_meta(meta) for meta in metas], options)

    def predict_augmented(
        self, feats: Sequence[Sequence[Tensor]], metas: Sequence[ImageMeta], rescale: bool = False
    ) -> Detections:
        """Proposals of one image from several views of it, as detections of class 0."""
        found = _as_detections(self.proposals_augmented(feats, metas))
        return found if rescale else replace(found, boxes=to_view(found.boxes, metas[0]))


class Proposals(ProposalResults):
    """What a `DenseHead` that proposes regions adds: mix it in before that class. It knows one class, object."""

    bbox_coder: Any
    outputs: Callable[[Sequence[Tensor]], DenseOutput]
    scores: Callable[[DenseOutput], Tensor]
    batch_losses: Callable[[DenseOutput, Batch], dict[str, Tensor]]

    def targets(self, output: DenseOutput, batch: Batch) -> DenseTargets:
        """Every object is of class 0, whatever its label."""
        assert batch.truths is not None
        truths = [replace(truth, labels=truth.labels.new_zeros(len(truth.boxes))) for truth in batch.truths]
        given: DenseTargets = super().targets(output, replace(batch, truths=truths))  # type: ignore[misc]
        return given

    def losses(self, output: DenseOutput, targets: DenseTargets) -> dict[str, Tensor]:
        """Losses whose names say whose they are."""
        losses = super().losses(output, targets)  # type: ignore[misc]
        return {name.replace("loss_", "loss_rpn_"): value for name, value in losses.items()}

    def loss_and_proposals(
        self, feats: Sequence[Tensor], batch: Batch, config: Prediction
    ) -> tuple[dict[str, Tensor], list[Tensor]]:
        """Losses, and proposals `(r, 5)` of every image for the RoI head, from one run of the head."""
        output = self.outputs(feats)
        return self.batch_losses(output, batch), self.propose(output, batch.metas, config)

    @torch.no_grad()
    def proposals(self, feats: Sequence[Tensor], metas: Sequence[ImageMeta]) -> list[Tensor]:
        """Proposals `(r, 5)` of every image: boxes in pixels of the network input, score."""
        return self.propose(self.outputs(feats), metas, self.test_config)

    @torch.no_grad()
    def propose(self, output: DenseOutput, metas: Sequence[ImageMeta], config: Prediction) -> list[Tensor]:
        """The best boxes of each level, suppressed level by level."""
        scores, index, levels = _best_per_level(self.objectness(output), output, config.nms_pre)
        deltas = output["box"].gather(1, index[..., None].expand(-1, -1, 4))
        priors = output.priors.expand(len(metas), -1, -1).gather(1, index[..., None].expand(-1, -1, 4))
        boxes = self.bbox_coder.decode(priors, deltas, max_shape=[meta.img_shape[:2] for meta in metas])
        return [self.suppress(boxes[n], scores[n], levels, config) for n in range(len(metas))]

    def objectness(self, output: DenseOutput) -> Tensor:
        """`(N, R)` probability of an object; with softmax its column comes before the background's."""
        return self.scores(output)[..., 0]

    def suppress(self, boxes: Tensor, scores: Tensor, levels: Tensor, config: Prediction) -> Tensor:
        """Proposals `(r, 5)` among the boxes `(M, 4)` of one image, best first."""
        dets, _ = suppress_per_level(boxes, scores, levels, config)
        return dets[: config.max_per_img] if config.max_per_img > 0 else dets


def check_one_class(num_classes: int) -> None:
    """Refuse anything but one class with a ValueError."""
    if num_classes != 1:
        raise ValueError(f"an RPN head knows one class, object; leave num_classes out, got {num_classes!r}")


def _as_detections(proposals: Tensor) -> Detections:
    return Detections(proposals[:, :4], proposals[:, 4], torch.zeros_like(proposals[:, 4], dtype=torch.long))


def _best_per_level(scores: Tensor, output: DenseOutput, nms_pre: int) -> tuple[Tensor, Tensor, Tensor]:
    """Scores and flat indices `(N, M)` of the best `nms_pre` priors of every level, and the `(M,)` levels."""
    best, index, levels = [], [], []
    for level, (chunk, start) in enumerate(zip(output.layout.split(scores), output.layout.starts, strict=True)):
        order = torch.arange(chunk.shape[1], device=chunk.device).expand_as(chunk)
        if 0 < nms_pre < chunk.shape[1]:
            chunk, order = (part[:, :nms_pre] for part in chunk.sort(dim=1, descending=True))  # as 2.x, ties too
        best.append(chunk)
        index.append(order + start)
        levels.append(torch.full_like(order[0], level))
    return torch.cat(best, dim=1), torch.cat(index, dim=1), torch.cat(levels)


def suppress_per_level(boxes: Tensor, scores: Tensor, levels: Tensor, config: Prediction) -> tuple[Tensor, Tensor]:
    """Large boxes that no better one of their level overlaps, best first: `(r, 5)`, and their levels `(r,)`."""
    if config.min_bbox_size >= 0:
        sides = boxes[:, 2:] - boxes[:, :2]
        large = (sides > config.min_bbox_size).all(dim=1)
        boxes, scores, levels = boxes[large], scores[large], levels[large]
    if len(boxes) == 0:
        return boxes.new_zeros(0, 5), levels
    dets, keep = batched_nms(boxes, scores, levels, config.nms)
    return dets, levels[keep]
