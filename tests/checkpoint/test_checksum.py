"""The digest beside a checkpoint, and what becomes of it."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
import torch
from torch import nn

from raydet.checkpoint import CheckpointError, check_sidecar, load, remove_checkpoint, save_checkpoint


def test_sidecar_holds_the_sha256_of_the_file_and_goes_with_it(tmp_path: Path) -> None:
    path = tmp_path / "epoch_1.pth"
    save_checkpoint(nn.Linear(2, 2), path)
    sidecar = tmp_path / "epoch_1.pth.sha256"
    assert sidecar.read_text() == f"{hashlib.sha256(path.read_bytes()).hexdigest()}  epoch_1.pth\n"
    check_sidecar(path)
    remove_checkpoint(path)
    assert list(tmp_path.iterdir()) == []
    remove_checkpoint(path)


def test_one_changed_byte_is_noticed_even_through_a_link(tmp_path: Path) -> None:
    path = tmp_path / "epoch_1.pth"
    save_checkpoint(nn.Linear(64, 64), path)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    load(path)  # torch itself does not notice
    (tmp_path / "latest.pth").symlink_to(path.name)
    for each in (path, tmp_path / "latest.pth"):
        with pytest.raises(CheckpointError, match="is damaged: its sha256 is"):
            check_sidecar(each)


def test_a_file_written_again_is_not_measured_by_the_old_digest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.pth"
    save_checkpoint(nn.Linear(2, 2), path)
    monkeypatch.setattr("raydet.checkpoint.save.write_sidecar", lambda *_: None)  # killed just before
    save_checkpoint(nn.Linear(2, 2), path)
    check_sidecar(path)


def test_files_without_a_sidecar_pass(tmp_path: Path) -> None:
    torch.save({}, tmp_path / "old.pth")
    check_sidecar(tmp_path / "old.pth")
