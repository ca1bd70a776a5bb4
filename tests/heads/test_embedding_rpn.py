"""Learned proposals: the same for every image, in its pixels."""

from __future__ import annotations

import pytest
import torch

from raydet.heads.settings import Prediction
from raydet.registry import HEADS
from raydet.structures import Batch, ImageMeta

METAS = [ImageMeta.from_dict({"img_shape": shape}) for shape in ((64, 96, 3), (32, 48, 3))]


def test_proposals_start_as_whole_images() -> None:
    head = HEADS.build({"type": "EmbeddingRPNHead", "num_proposals": 5, "proposal_feature_channel": 8})
    head.init_weights()
    boxes, features, sizes = head.proposals([], METAS)
    assert boxes[:, 3].tolist() == [[0, 0, 96, 64], [0, 0, 48, 32]]
    assert (boxes.shape, features.shape, sizes.shape) == ((2, 5, 4), (2, 5, 8), (2, 1, 4))
    assert torch.equal(features[0], features[1])


def test_proposals_learn_from_what_is_made_of_them() -> None:
    head = HEADS.build({"type": "EmbeddingRPNHead", "num_proposals": 2, "train_cfg": None, "test_cfg": None})
    losses, found = head.loss_and_proposals([], Batch(torch.zeros(2, 3, 64, 96), METAS), Prediction())
    assert losses == {}
    (found.boxes.sum() + found.features.sum()).backward()
    assert all(p.grad is not None for p in head.parameters())


def test_what_it_cannot_do_is_refused() -> None:
    with pytest.raises(ValueError, match="initialises itself"):
        HEADS.build({"type": "EmbeddingRPNHead", "init_cfg": {"type": "Normal", "layer": "Embedding"}})
    with pytest.raises(NotImplementedError, match="one view"):
        HEADS.build({"type": "EmbeddingRPNHead"}).proposals_augmented([], METAS)
