"""The RoI head of Fast, Faster and Mask R-CNN."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from raydet.heads.roi.base import RoIHead, RoIStage
from raydet.heads.roi.judge import StageJudge
from raydet.heads.settings import Prediction, RoITraining, build_assigner_and_sampler
from raydet.registry import HEADS, ROI_EXTRACTORS, SHARED_HEADS


class StandardRoIHead(RoIHead):
    """One box head and, if wanted, one mask head (arXiv:1506.01497, arXiv:1703.06870).

    Args:
        bbox_roi_extractor: pools regions for the box head.
        bbox_head: part or dict.
        mask_roi_extractor: pools regions for the mask head; None shares what the box head sees.
        mask_head: part or dict; None for boxes only.
        shared_head: part or dict; runs on the pooled features before both heads.
        train_cfg: `assigner`, `sampler`, `pos_weight`, `mask_size`.
        test_cfg: `score_thr`, `nms`, `max_per_img`, `mask_thr_binary`.
        pretrained: deprecated: checkpoint of the shared head; use its `init_cfg`.
        init_cfg: weight initialisation.

    Raises:
        ValueError: no box head.
    """

    def __init__(
        self,
        bbox_roi_extractor: Any = None,
        bbox_head: Any = None,
        mask_roi_extractor: Any = None,
        mask_head: Any = None,
        shared_head: Any = None,
        train_cfg: Mapping[str, Any] | None = None,
        test_cfg: Mapping[str, Any] | None = None,
        pretrained: str | None = None,
        init_cfg: Any = None,
    ) -> None:
        super().__init__(init_cfg)
        if bbox_head is None or bbox_roi_extractor is None:
            raise ValueError("StandardRoIHead needs bbox_head and bbox_roi_extractor")
        self.shared_head = build_shared_head(shared_head, pretrained)
        self.bbox_roi_extractor = ROI_EXTRACTORS.build(bbox_roi_extractor)
        self.bbox_head = HEADS.build(bbox_head)
        self.share_roi_extractor = mask_roi_extractor is None
        if mask_head is not None:
            self.mask_roi_extractor = (
                self.bbox_roi_extractor if self.share_roi_extractor else ROI_EXTRACTORS.build(mask_roi_extractor)
            )
            self.mask_head = HEADS.build(mask_head)
        self.training_config = RoITraining.read(train_cfg)
        self.test_config = Prediction.read(test_cfg)
        self.bbox_assigner, self.bbox_sampler = build_assigner_and_sampler(self.training_config, StageJudge(self, 0))

    @property
    def stages(self) -> Sequence[RoIStage]:
        mask_head = getattr(self, "mask_head", None)
        return [
            RoIStage(
                self.bbox_roi_extractor,
                self.bbox_head,
                self.training_config,
                self.bbox_assigner,
                self.bbox_sampler,
                None if mask_head is None or self.share_roi_extractor else self.mask_roi_extractor,
                mask_head,
            )
        ]


def build_shared_head(cfg: Any, pretrained: str | None = None) -> Any:
    """The shared head, or None; `pretrained` is the old way to name its checkpoint."""
    if cfg is None:
        return None
    return SHARED_HEADS.build({**cfg, "pretrained": pretrained} if pretrained else cfg)
