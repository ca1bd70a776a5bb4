"""Checkpoints in another format, for others, and of older versions."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from raydet.checkpoint import CheckpointError, check_sidecar, load, save_checkpoint
from raydet.checkpoint.checksum import digest_of
from raydet.checkpoint.publish import publish, read_whole, upgrade, write_as
from raydet.checkpoint.summary import summarize


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    """Of a run with averaged weights: 1 is what was trained, 2 the average."""
    model = nn.Sequential(nn.Linear(2, 1, bias=False), nn.BatchNorm1d(1))
    nn.init.ones_(model[0].weight)  # type: ignore[arg-type]
    model.register_buffer("ema_0_weight", torch.full((1, 2), 2.0))
    model.CLASSES = ("cat", "dog")  # type: ignore[assignment]
    state = dict(random_states=[torch.zeros(3)], hooks={"EMAHook": {"swapped": False}})
    meta = dict(epoch=3, iter=12, config="lr = 1\n", raydet=state, hook_msgs=dict(last_ckpt="/home/me/a.pth"))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    save_checkpoint(model, tmp_path / "epoch_3.pth", optimizer, meta)
    return tmp_path / "epoch_3.pth"


def test_safetensors_and_back_keep_weights_and_plain_meta(checkpoint: Path, tmp_path: Path) -> None:
    lost = write_as(read_whole(checkpoint), tmp_path / "w.safetensors")
    assert lost == ["optimizer", "meta.raydet"]
    check_sidecar(tmp_path / "w.safetensors")
    assert write_as(read_whole(tmp_path / "w.safetensors"), tmp_path / "back.pth") == []
    before, after = load(checkpoint), load(tmp_path / "back.pth")
    assert after["meta"]["CLASSES"] == ["cat", "dog"]
    assert (after["meta"]["epoch"], after["meta"]["config"]) == (3, "lr = 1\n")
    assert list(before["state_dict"]) == list(after["state_dict"])
    assert all(torch.equal(value, after["state_dict"][key]) for key, value in before["state_dict"].items())


def test_other_formats_are_refused(checkpoint: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"ends with '\.onnx', expected one of \.pth, \.pt, \.safetensors"):
        write_as(read_whole(checkpoint), tmp_path / "w.onnx")


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_published_files_hold_weights_and_are_named_by_their_digest(
    suffix: str, checkpoint: Path, tmp_path: Path
) -> None:
    (tmp_path / f"net{suffix}").write_bytes(b"of somebody else")
    path, lost = publish(checkpoint, tmp_path / f"net{suffix}")
    assert path.name == f"net-{digest_of(path)[:8]}{suffix}"
    assert lost == []
    check_sidecar(path)
    content = load(path)
    assert sorted(content) == ["meta", "state_dict"]
    assert sorted(content["meta"]) == ["CLASSES", "config", "epoch", "iter", "raydet_version", "time"]
    assert (tmp_path / f"net{suffix}").read_bytes() == b"of somebody else"
    names = {each.name for each in tmp_path.iterdir() if each.name.startswith((".", "net"))}
    assert names == {f"net{suffix}", path.name, f"{path.name}.sha256"}


def test_published_weights_are_the_averages(checkpoint: Path, tmp_path: Path) -> None:
    content = load(publish(checkpoint, tmp_path / "net.pth")[0])
    assert content["state_dict"]["0.weight"].tolist() == [[2, 2]]
    assert not [key for key in content["state_dict"] if key.startswith("ema_")]
    exchanged = load(checkpoint)
    del exchanged["meta"]["raydet"]  # 2.x exchanges them before it saves
    torch.save(exchanged, tmp_path / "of_2x.pth")
    content = load(publish(tmp_path / "of_2x.pth", tmp_path / "other.pth")[0])
    assert content["state_dict"]["0.weight"].tolist() == [[1, 1]]


def test_upgrades_read_what_each_project_writes(tmp_path: Path) -> None:
    def saved(content: Any) -> str:
        torch.save(content, tmp_path / "old.pth")
        return str(tmp_path / "old.pth")

    one = torch.zeros(1)
    moco = saved({"epoch": 200, "state_dict": {"module.encoder_q.conv1.weight": one, "module.queue": one}})
    assert list(upgrade("moco", moco)["state_dict"]) == ["conv1.weight"]
    swav = saved({"module.conv1.weight": one, "module.prototypes.weight": one})
    assert list(upgrade("swav", swav)["state_dict"]) == ["conv1.weight"]
    pycls = saved({"epoch": 100, "model_state": {"stem.conv.weight": one}})
    assert list(upgrade("pycls", pycls)["state_dict"]) == ["conv1.weight"]
    ssd = upgrade("ssd", saved({"meta": {"epoch": 24}, "state_dict": {"backbone.extra.0.bias": one}}))
    assert list(ssd["state_dict"]) == ["neck.extra_layers.0.0.conv.bias"]
    assert ssd["meta"] == {"epoch": 24}
    (tmp_path / "r50.pkl").write_bytes(pickle.dumps({"blobs": {"conv1_w": np.zeros((1, 1), np.float32)}}))
    assert list(upgrade("detectron", tmp_path / "r50.pkl")["state_dict"]) == ["conv1.weight"]


def test_detectors_of_1x_need_their_number_of_classes(tmp_path: Path) -> None:
    state = {"bbox_head.fc_cls.bias": torch.tensor([0.0, 1.0, 2.0])}
    torch.save({"meta": {}, "state_dict": state}, tmp_path / "old.pth")
    with pytest.raises(ValueError, match=r"old\.pth does not say how many classes it knows"):
        upgrade("mmdet1", tmp_path / "old.pth")
    named = upgrade("mmdet1", tmp_path / "old.pth", num_classes=2)
    assert named["state_dict"]["roi_head.bbox_head.fc_cls.bias"].tolist() == [1, 2, 0]
    torch.save({"meta": {"CLASSES": ("a", "b")}, "state_dict": state}, tmp_path / "old.pth")
    known = upgrade("mmdet1", tmp_path / "old.pth")
    assert known["state_dict"]["roi_head.bbox_head.fc_cls.bias"].tolist() == [1, 2, 0]
    with pytest.raises(ValueError, match="kind 'mmdet3' are not known, expected one of mmdet1, ssd"):
        upgrade("mmdet3", tmp_path / "old.pth")
    with pytest.raises(CheckpointError, match="no key starts with"):
        upgrade("moco", tmp_path / "old.pth")


def test_a_summary_counts_weights_by_part(checkpoint: Path) -> None:
    facts = summarize(read_whole(checkpoint))
    assert facts["classes"] == ["cat", "dog"]
    assert facts["parameters"] == 2 + 4 + 1
    assert facts["parts"] == {"0": 2, "1": 5}
    assert facts["types"] == {"float32": 5, "int64": 1}
    assert facts["optimizer"]
    assert facts["exact resume"]
    assert facts["averaged weights"] == 1
    assert "keys of" not in facts
