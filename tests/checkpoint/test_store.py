"""Checkpoints that are sent to a folder behind a URI, here one on the disk."""

from __future__ import annotations

import logging
import os
from pathlib import Path

import pytest
from torch import nn

from raydet.checkpoint import save_checkpoint
from raydet.checkpoint.store import CheckpointStore, checkpoints_in_store

LOGGER = logging.getLogger("raydet_test_store")


def write(folder: Path, number: int) -> Path:
    path = folder / f"iter_{number}.pth"
    save_checkpoint(nn.Linear(1, 1), path)
    return path


def checkpoints(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.glob("*.pth"))


def test_sent_checkpoints_are_there_with_digests_and_the_newest_stays_here(tmp_path: Path) -> None:
    store = CheckpointStore(f"file://{tmp_path}/there", LOGGER)
    for number in (1, 2, 3):
        store.send(write(tmp_path / "here", number))
        store.remove(f"iter_{each}.pth" for each in range(number - 2, 0, -1))
    store.close()
    assert checkpoints(tmp_path / "there") == ["iter_2.pth", "iter_3.pth"]
    assert checkpoints(tmp_path / "here") == ["iter_3.pth"]
    assert (tmp_path / "there" / "iter_3.pth.sha256").read_text().endswith("iter_3.pth\n")
    assert not (tmp_path / "there" / "iter_1.pth.sha256").exists()


def test_newest_checkpoint_comes_first_even_where_the_clock_is_coarse(tmp_path: Path) -> None:
    for number in (9, 10, 2):
        os.utime(write(tmp_path, number), (1, 1))
    os.utime(write(tmp_path, 3), (5, 5))
    write(tmp_path, 4).rename(tmp_path / "best_bbox_mAP_iter_4.pth")
    names = [uri.rpartition("/")[2] for uri in checkpoints_in_store(f"file://{tmp_path}")]
    assert names == ["iter_3.pth", "iter_10.pth", "iter_9.pth", "iter_2.pth"]
    assert checkpoints_in_store(f"file://{tmp_path}/none") == []


def test_checkpoint_that_cannot_be_sent_stays_and_others_follow(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    store = CheckpointStore(f"file://{tmp_path}/there", LOGGER)
    for number in (1, 2, 3):
        path = write(tmp_path / "here", number)
        if number == 2:
            path.with_name(f"{path.name}.sha256").unlink()
        store.send(path)
    store.close()
    assert "iter_2.pth to file:///" in caplog.text
    assert checkpoints(tmp_path / "here") == ["iter_2.pth", "iter_3.pth"]


def test_folder_that_cannot_be_written_is_said_at_once(tmp_path: Path) -> None:
    (tmp_path / "there").touch()
    with pytest.raises(OSError, match=r"file:///.*/there/a cannot be written"):
        CheckpointStore(f"file://{tmp_path}/there/a", LOGGER)
