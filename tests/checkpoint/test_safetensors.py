"""Weights as safetensors files."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from torch import nn

from raydet.checkpoint import CheckpointError, load, load_checkpoint, read_safetensors, save_safetensors


def test_every_kind_of_tensor_comes_back(tmp_path: Path) -> None:
    weights = {
        "a": torch.randn(2, 3),
        "half": torch.randn(3).half(),
        "brain": torch.randn(2, 2).bfloat16(),
        "count": torch.tensor(7),
        "flag": torch.tensor([True, False]),
        "none": torch.zeros(0, 4),
        "turned": torch.randn(4, 2).t(),
    }
    save_safetensors(weights, tmp_path / "w.safetensors", meta=dict(classes="tree"))
    back = load(tmp_path / "w.safetensors")
    assert back["meta"] == {"classes": "tree"}
    assert list(back["state_dict"]) == list(weights)
    for name, value in weights.items():
        assert back["state_dict"][name].dtype == value.dtype
        assert torch.equal(back["state_dict"][name], value)


def test_a_model_loads_from_it(tmp_path: Path) -> None:
    one, other = nn.Linear(2, 2), nn.Linear(2, 2)
    save_safetensors(one.state_dict(), tmp_path / "w.safetensors")
    load_checkpoint(other, tmp_path / "w.safetensors", strict=True)
    assert torch.equal(one.weight, other.weight)


def test_header_is_that_of_the_format(tmp_path: Path) -> None:
    save_safetensors({"a": torch.zeros(2)}, tmp_path / "w.safetensors")
    content = (tmp_path / "w.safetensors").read_bytes()
    length = int.from_bytes(content[:8], "little")
    assert length % 8 == 0
    assert json.loads(content[8 : 8 + length])["a"] == {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}
    assert len(content) == 8 + length + 8


@pytest.mark.parametrize("cut", [3, 20, -1])
def test_truncated_files_are_refused(cut: int, tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    save_safetensors({"a": torch.zeros(20)}, path)
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(CheckpointError, match=r"w\.safetensors"):
        load(path)


def test_offsets_that_point_elsewhere_are_refused(tmp_path: Path) -> None:
    text = json.dumps({"a": {"dtype": "F32", "shape": [2], "data_offsets": [-8, 0]}}).encode()
    path = tmp_path / "w.safetensors"
    path.write_bytes(len(text).to_bytes(8, "little") + text + bytes(8))
    with pytest.raises(CheckpointError, match="bytes -8 to 0 of 8 cannot be"):
        read_safetensors(path)


def test_values_that_the_format_lacks_are_named(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match=r"cannot hold 'c', a torch.complex64"):
        save_safetensors({"c": torch.zeros(1, dtype=torch.complex64)}, tmp_path / "w.safetensors")
