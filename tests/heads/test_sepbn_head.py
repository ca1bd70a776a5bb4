"""RetinaNet's head with normalisations per level."""

from __future__ import annotations

import torch
from dense_settings import HEADS as SETTINGS
from test_dense_contract import batch, feats

from raydet.registry import HEADS


def test_levels_share_convolutions_but_not_normalisations() -> None:
    head = HEADS.build({"type": "RetinaSepBNHead", **SETTINGS["RetinaSepBNHead"]})
    head.init_weights()
    first, second = head.cls_convs[0][0], head.cls_convs[1][0]
    assert first.conv is second.conv
    assert first.gn is not second.gn
    assert {"cls_convs.0.0.conv.weight", "cls_convs.1.0.conv.weight", "reg_convs.1.0.gn.bias"} <= set(head.state_dict())
    sum(head.loss(feats(), batch()).values()).backward()
    assert not torch.equal(first.gn.weight.grad, second.gn.weight.grad)
