"""Weights of older versions and of other projects under the keys of 2.x."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest
import torch

from raydet.backbones import ResNet
from raydet.checkpoint import CheckpointError, UnsafeCheckpointError
from raydet.checkpoint import conversions as c


def test_two_stage_1x_moves_heads_and_background() -> None:
    weights = {
        "backbone.conv1.weight": torch.zeros(1),
        "rpn_head.rpn_cls.bias": torch.arange(3.0),
        "bbox_head.fc_cls.bias": torch.tensor([0.0, 1.0, 2.0]),
        "bbox_head.fc_cls.weight": torch.arange(6.0).reshape(3, 2),
        "bbox_head.fc_reg.bias": torch.arange(12.0),
        "mask_head.conv_logits.weight": torch.arange(3.0).reshape(3, 1, 1, 1),
    }
    upgraded = c.upgrade_1x(weights, num_classes=2)
    assert upgraded["roi_head.bbox_head.fc_cls.bias"].tolist() == [1, 2, 0]
    assert upgraded["roi_head.bbox_head.fc_cls.weight"].tolist() == [[2, 3], [4, 5], [0, 1]]
    assert upgraded["roi_head.bbox_head.fc_reg.bias"].tolist() == list(range(4, 12))
    assert upgraded["roi_head.mask_head.conv_logits.weight"].flatten().tolist() == [1, 2]
    assert upgraded["rpn_head.rpn_cls.bias"].tolist() == [0, 1, 2]
    assert "backbone.conv1.weight" in upgraded


def test_class_agnostic_boxes_of_1x_stay() -> None:
    weights = {"bbox_head.fc_cls.bias": torch.zeros(3), "bbox_head.fc_reg.bias": torch.arange(4.0)}
    assert c.upgrade_1x(weights, 2)["roi_head.bbox_head.fc_reg.bias"].tolist() == [0, 1, 2, 3]


def test_one_stage_1x_keeps_its_head() -> None:
    retina = {"bbox_head.retina_cls.bias": torch.arange(3.0), "bbox_head.cls_convs.0.weight": torch.zeros(1)}
    assert list(c.upgrade_1x(retina, 2)) == ["bbox_head.retina_cls.bias", "bbox_head.cls_convs.0.conv.weight"]
    assert c.upgrade_1x(retina, 2)["bbox_head.retina_cls.bias"].tolist() == [0, 1, 2]
    ssd = {"bbox_head.cls_convs.0.bias": torch.arange(6.0)}
    assert c.upgrade_1x(ssd, 2)["bbox_head.cls_convs.0.bias"].tolist() == [1, 2, 0, 4, 5, 3]


def test_ssd_moves_its_extra_layers_to_the_neck() -> None:
    keys = ["backbone.features.0.weight", "backbone.extra.3.bias", "backbone.l2_norm.weight"]
    keys += ["bbox_head.cls_convs.5.weight", "bbox_head.reg_convs.0.bias"]
    assert list(c.upgrade_ssd(dict.fromkeys(keys, torch.zeros(1)))) == [
        "backbone.features.0.weight",
        "neck.extra_layers.1.1.conv.bias",
        "neck.l2_norm.weight",
        "bbox_head.cls_convs.5.0.weight",
        "bbox_head.reg_convs.0.0.bias",
    ]


def test_selfsupervised_backbones_lose_prefix_and_projections() -> None:
    one = torch.zeros(1)
    moco = {"module.encoder_q.conv1.weight": one, "module.encoder_q.fc.0.weight": one, "module.queue": one}
    assert list(c.convert_moco(moco)) == ["conv1.weight"]
    swav = {"module.conv1.weight": one, "module.projection_head.0.weight": one, "module.prototypes.weight": one}
    assert list(c.convert_swav(swav)) == ["conv1.weight"]
    with pytest.raises(CheckpointError, match=r"no key starts with 'module\.encoder_q\.'"):
        c.convert_moco({"conv1.weight": one})


def test_regnet_of_pycls() -> None:
    keys = ["stem.conv.weight", "stem.bn.bias", "s1.b1.proj.weight", "s1.b1.bn.running_mean"]
    keys += ["s4.b12.f.b.weight", "s4.b12.f.c_bn.bias", "head.fc.bias"]
    assert list(c.convert_pycls_regnet(dict.fromkeys(keys, torch.zeros(1)))) == [
        "conv1.weight",
        "bn1.bias",
        "layer1.0.downsample.0.weight",
        "layer1.0.downsample.1.running_mean",
        "layer4.11.conv2.weight",
        "layer4.11.bn3.bias",
        "fc.bias",
    ]
    with pytest.raises(CheckpointError, match=r"f\.se"):
        c.convert_pycls_regnet({"s1.b1.f.se.weight": torch.zeros(1)})


def detectron_blobs(model: ResNet) -> dict[str, np.ndarray]:
    """A ResNet-50 under the names of Caffe2, written down independently of the conversion."""
    blobs = {"fc1000_w": np.zeros(1), "conv1_w": model.conv1.weight}
    blobs |= {"res_conv1_bn_s": model.bn1.weight, "res_conv1_bn_b": model.bn1.bias}
    for stage in range(1, 5):
        for index, block in enumerate(getattr(model, f"layer{stage}")):
            name = f"res{stage + 1}_{index}_branch"
            pairs = [("2a", block.conv1, block.bn1), ("2b", block.conv2, block.bn2), ("2c", block.conv3, block.bn3)]
            if index == 0:
                pairs.append(("1", block.downsample[0], block.downsample[1]))
            for branch, conv, norm in pairs:
                blobs[f"{name}{branch}_w"] = conv.weight
                blobs[f"{name}{branch}_bn_s"], blobs[f"{name}{branch}_bn_b"] = norm.weight, norm.bias
    return {key: np.asarray(value.detach()) if hasattr(value, "detach") else value for key, value in blobs.items()}


def test_detectron_resnet_loads_strictly_into_ours(tmp_path: Path) -> None:
    model = ResNet(depth=50, base_channels=4, style="caffe")
    blobs = detectron_blobs(model)
    (tmp_path / "r50.pkl").write_bytes(pickle.dumps({"blobs": blobs}))
    weights = c.convert_detectron_resnet(c.read_blobs(tmp_path / "r50.pkl"))
    own = model.state_dict()
    assert {key for key in own if not key.endswith("num_batches_tracked")} == set(weights)
    assert all(torch.equal(own[key], value) for key, value in weights.items())


def test_pickles_with_other_things_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "bad.pkl"
    path.write_bytes(pickle.dumps({"blobs": Path("a")}))
    with pytest.raises(UnsafeCheckpointError, match=r"bad\.pkl: it asks for pathlib"):
        c.read_blobs(path)
    path.write_bytes(b"no pickle")
    with pytest.raises(CheckpointError, match="is not a pickle of arrays"):
        c.read_blobs(path)
    with pytest.raises(CheckpointError, match="no ResNet of Detectron"):
        c.convert_detectron_resnet({"x": np.zeros(1)})
