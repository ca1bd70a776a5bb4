"""Proposals that are learned once, the same for every image (Sparse R-CNN, arXiv:2011.12450)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from raydet.geometry import bbox_cxcywh_to_xyxy
from raydet.heads.settings import Prediction
from raydet.layers import BaseModule
from raydet.structures import Batch, ImageMeta


class LearnedProposals(NamedTuple):
    """Where a RoI head starts.

    Attributes:
        boxes: `(N, Q, 4)` xyxy in pixels of the network input.
        features: `(N, Q, C)`.
        image_sizes: `(N, 1, 4)` width, height, width, height.
    """

    boxes: Tensor
    features: Tensor
    image_sizes: Tensor


class EmbeddingRPNHead(BaseModule):
    """Boxes, relative to the image, and features of `Q` proposals as parameters.

    Args:
        num_proposals: `Q`.
        proposal_feature_channel: `C`.
        init_cfg: must be None: boxes start as the whole image.
        train_cfg: without effect.
        test_cfg: without effect.

    Raises:
        ValueError: there is an `init_cfg`.
    """

    def __init__(
        self,
        num_proposals: int = 100,
        proposal_feature_channel: int = 256,
        init_cfg: Any = None,
        train_cfg: Any = None,
        test_cfg: Any = None,
    ) -> None:
        if init_cfg is not None:
            raise ValueError(f"EmbeddingRPNHead initialises itself; leave out init_cfg, got {init_cfg!r}")
        super().__init__(None)
        self.num_proposals = num_proposals
        self.proposal_feature_channel = proposal_feature_channel
        self.init_proposal_bboxes = nn.Embedding(num_proposals, 4)
        self.init_proposal_features = nn.Embedding(num_proposals, proposal_feature_channel)

    def _initialize(self) -> None:
        super()._initialize()
        with torch.no_grad():
            self.init_proposal_bboxes.weight.copy_(torch.tensor([0.5, 0.5, 1.0, 1.0]))

    def proposals(self, feats: Sequence[Tensor], metas: Sequence[ImageMeta]) -> LearnedProposals:
        """The proposals in pixels of every image."""
        relative = bbox_cxcywh_to_xyxy(self.init_proposal_bboxes.weight)
        sizes = relative.new_tensor([[*meta.img_shape[1::-1], *meta.img_shape[1::-1]] for meta in metas])[:, None]
        features = self.init_proposal_features.weight.expand(len(metas), -1, -1)
        return LearnedProposals(relative * sizes, features, sizes)

    def loss_and_proposals(
        self, feats: Sequence[Tensor], batch: Batch, config: Prediction
    ) -> tuple[dict[str, Tensor], LearnedProposals]:
        """No losses of its own, and the proposals: they learn from the losses of the RoI head."""
        return {}, self.proposals(feats, batch.metas)

    def forward(self, feats: Sequence[Tensor], metas: Sequence[ImageMeta]) -> LearnedProposals:
        return self.proposals(feats, metas)

    def proposals_augmented(self, feats: Sequence[Sequence[Tensor]], metas: Sequence[ImageMeta]) -> Tensor:
        """Not possible.

        Raises:
            NotImplementedError: always.
        """
        raise NotImplementedError("learned proposals have no test-time augmentation; test with one view of each image")
