"""Detectors that propose regions and look at each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from raydet.detectors.base import BaseDetector
from raydet.detectors.parts import section, with_settings
from raydet.heads.settings import Prediction
from raydet.heads.views import to_original
from raydet.registry import HEADS
from raydet.structures import Batch, Detections, ImageMeta


class TwoStageDetector(BaseDetector):
    """Backbone, optional neck, proposals from an RPN head or from outside, a RoI head (arXiv:1506.01497).

    Faster R-CNN, Mask R-CNN and their kin are names for it; so is Fast R-CNN (arXiv:1504.08083), which has no RPN head.

    Args:
        backbone: part or dict.
        neck: part or dict, or None.
        rpn_head: part or dict; None takes proposals from outside.
        roi_head: part or dict.
        train_cfg: sections `rpn`, `rpn_proposal` (that of `test_cfg.rpn` when left out) and `rcnn`.
        test_cfg: sections `rpn` and `rcnn`.
        pretrained: deprecated: checkpoint of the backbone; use its `init_cfg`.
        init_cfg: weight initialisation.
    """

    def __init__(
        self,
        backbone: Any,
        neck: Any = None,
        rpn_head: Any = None,
        roi_head: Any = None,
        train_cfg: Mapping[str, Any] | None = None,
        test_cfg: Mapping[str, Any] | None = None,
        pretrained: str | None = None,
        init_cfg: Any = None,
    ) -> None:
        super().__init__(backbone, neck, pretrained, init_cfg)
        proposal_cfg = section(test_cfg, "rpn")
        self.rpn_head = (
            None if rpn_head is None else HEADS.build(with_settings(rpn_head, section(train_cfg, "rpn"), proposal_cfg))
        )
        self.proposal_config = Prediction.read(section(train_cfg, "rpn_proposal") or proposal_cfg)
        roi_head = with_settings(roi_head, section(train_cfg, "rcnn"), section(test_cfg, "rcnn"))
        if pretrained is not None and isinstance(roi_head, Mapping):
            roi_head = {**roi_head, "pretrained": pretrained}
        self.roi_head = HEADS.build(roi_head)

    @property
    def with_rpn(self) -> bool:
        """Whether the detector proposes regions itself."""
        return self.rpn_head is not None

    @property
    def num_classes(self) -> int:
        return int(self.roi_head.num_classes)

    def loss(self, batch: Batch) -> dict[str, Tensor]:
        feats = self.features(batch.images)
        losses: dict[str, Tensor] = {}
        proposals: Sequence[Tensor]
        if self.rpn_head is None:
            proposals = _given(batch)
        else:
            losses, proposals = self.rpn_head.loss_and_proposals(feats, batch, self.proposal_config)
        return {**losses, **self.roi_head.loss(feats, proposals, batch)}

    def predict(self, batch: Batch, rescale: bool) -> list[Detections]:
        feats = self.features(batch.images)
        if batch.proposals is None and self.rpn_head is not None:
            proposals = self.rpn_head.proposals(feats, batch.metas)
        else:
            proposals = _given(batch)
        found: list[Detections] = self.roi_head.predict(feats, proposals, batch.metas, rescale)
        return found

    def predict_augmented(self, batches: Sequence[Batch], rescale: bool) -> Detections:
        feats = [self.features(batch.images) for batch in batches]
        metas = [batch.metas[0] for batch in batches]
        if self.rpn_head is None:
            # Outside proposals are the same in every view, so those of the first will do.
            proposals = to_original(_given(batches[0])[0][:, :4], metas[0])
        else:
            proposals = self.rpn_head.proposals_augmented(feats, metas)
        found: Detections = self.roi_head.predict_augmented(feats, proposals, metas, rescale)
        return found

    def forward_dummy(self, img: Tensor) -> Any:
        """Raw maps of the RPN head, and what the box head says of a thousand random regions."""
        feats = self.features(img)
        maps = () if self.rpn_head is None else (self.rpn_head(feats),)
        height, width = img.shape[-2:]
        corners = torch.rand(1000, 2, device=img.device) * min(height, width) / 2
        regions = [torch.cat([corners, corners * 2], dim=1)] * len(img)
        return (*maps, self.roi_head.regress(feats, regions, [ImageMeta((height, width))] * len(img)))


FastRCNN = TwoStageDetector


def _given(batch: Batch) -> Sequence[Tensor]:
    if batch.proposals is None:
        raise ValueError("a detector without rpn_head takes `proposals`: load them with LoadProposals and collect them")
    return batch.proposals
